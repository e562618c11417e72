/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/kit/program.h"
#include "services/trainer/memberservice.h"

int main(int argc, char **argv)
{
    return rn_program_main(&rn_program_trainer, argc, argv);
}
