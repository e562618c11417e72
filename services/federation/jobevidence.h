/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom the evidence at this site (crypto/secagg/evidence.h) proves anything against: over all
 * sessions and processes of the job.
 */
#ifndef RN_SERVICES_FEDERATION_JOBEVIDENCE_H
#define RN_SERVICES_FEDERATION_JOBEVIDENCE_H

#include "crypto/secagg/evidence.h"
#include "services/federation/jobbasis.h"

struct rn_job_evidence {
    uint32_t documents;
    uint32_t round; /* of the newest */
    bool coordinator;
    struct rn_sa_set members;
    struct rn_sa_set one_of; /* named by two receipts: one of each two computed something else */
};

/* A document that is durable, or about to be. One that proves nothing counts and names nobody. */
void rn_job_evidence_add(struct rn_job_evidence *evidence, const struct rn_roster *roster,
                         struct rn_view document);
/* From the records. */
RN_MUST rn_result rn_job_evidence_load(const struct rn_job_basis *basis,
                                       struct rn_job_evidence *out, struct rn_error *err);

#endif
