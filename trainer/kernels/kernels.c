/* SPDX-License-Identifier: Apache-2.0
 *
 * Views of matrices.
 */
#include "trainer/kernels/kernels.h"

#include "base/guard.h"

struct rn_mat rn_mat_rows(struct rn_mat m, uint32_t first, uint32_t count)
{
    RN_BUG_IF(first > m.rows || count > m.rows - first);
    m.data = (uint8_t *)m.data + (size_t)first * m.ld * rn_element_size(m.type);
    m.rows = count;
    return m;
}

struct rn_mat rn_mat_cols(struct rn_mat m, uint32_t first, uint32_t count)
{
    RN_BUG_IF(first > m.cols || count > m.cols - first);
    m.data = (uint8_t *)m.data + (size_t)first * rn_element_size(m.type);
    m.cols = count;
    return m;
}
