/* SPDX-License-Identifier: Apache-2.0 */
#include "services/federation/jobevent.h"

const char *rn_job_stage_code(enum rn_sa_stage stage)
{
    switch (stage) {
    case RN_SA_STAGE_OFFER:
        return "offer";
    case RN_SA_STAGE_READY:
        return "R0";
    case RN_SA_STAGE_SHARES:
        return "R1";
    case RN_SA_STAGE_ACKS:
        return "R1-acks";
    case RN_SA_STAGE_UPLOAD:
        return "R2";
    case RN_SA_STAGE_VOTE:
        return "R3";
    case RN_SA_STAGE_UNMASK:
        return "R4";
    case RN_SA_STAGE_SUM:
        return "R5";
    default:
        return rn_sa_stage_name(stage);
    }
}
