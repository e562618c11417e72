/* SPDX-License-Identifier: Apache-2.0 */
#include "services/coordinator/coordinatorservice.h"

int main(int argc, char **argv)
{
    return rn_service_main("rondo-coordinator", argc, argv, rn_coordinator_service_run);
}
