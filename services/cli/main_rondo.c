/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo: the operator's, engineer's and auditor's commands. `rondo <noun> <verb>` or `rondo
 * <verb>`.
 */
#include "services/cli/kit/program.h"
#include "services/cli/rondo.h"

int main(int argc, char **argv)
{
    return rn_program_main(&rn_program_rondo, argc, argv);
}
