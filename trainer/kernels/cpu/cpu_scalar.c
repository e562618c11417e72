/* SPDX-License-Identifier: Apache-2.0
 *
 * The CPU backend's bodies for scalar C.
 */
#define RN_SET_SCALAR
#define RN_CPU_TABLES rn_cpu_tables_scalar
#define RN_CPU_TILED rn_cpu_tiled_scalar
#define RN_CPU_NAME "scalar"
#include "trainer/kernels/cpu/cpu_table.body.h"
