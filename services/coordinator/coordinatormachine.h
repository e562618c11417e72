/* SPDX-License-Identifier: Apache-2.0
 *
 * What runs on the coordinator's executor: the decisions, and where uploads lie that memory has no
 * room for.
 */
#ifndef RN_SERVICES_COORDINATOR_COORDINATORMACHINE_H
#define RN_SERVICES_COORDINATOR_COORDINATORMACHINE_H

#include "services/federation/coordination.h"
#include "services/host/uploadspool.h"

struct rn_coordinator_machine {
    struct rn_coordination *coordination;
    struct rn_upload_spool *spool;
};

#endif
