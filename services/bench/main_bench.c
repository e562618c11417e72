/* SPDX-License-Identifier: Apache-2.0 */
#include "services/bench/benchprogram.h"
#include "services/cli/kit/program.h"

int main(int argc, char **argv)
{
    return rn_program_main(&rn_program_bench, argc, argv);
}
