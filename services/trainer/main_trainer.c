/* SPDX-License-Identifier: Apache-2.0 */
#include "services/trainer/memberservice.h"

int main(int argc, char **argv)
{
    return rn_service_main("rondo-trainer", argc, argv, rn_member_service_run);
}
