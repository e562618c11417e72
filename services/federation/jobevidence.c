/* SPDX-License-Identifier: Apache-2.0 */
#include "services/federation/jobevidence.h"

void rn_job_evidence_add(struct rn_job_evidence *evidence, const struct rn_roster *roster,
                         struct rn_view document)
{
    struct rn_sa_evidence one;
    evidence->documents++;
    if (rn_is_ok(rn_sa_evidence_check(document, roster, &one, NULL))) {
        evidence->round = (uint32_t)one.round;
        evidence->coordinator |= one.coordinator;
        evidence->members = rn_sa_set_either(&evidence->members, &one.members);
        evidence->one_of = rn_sa_set_either(&evidence->one_of, &one.one_of);
    }
}

struct loading {
    struct rn_job_evidence *evidence;
    const struct rn_roster *roster;
};

static rn_result visit(void *argument, const struct rn_record_key *key, struct rn_view body,
                       struct rn_error *err)
{
    const struct loading *loading = argument;
    (void)key;
    (void)err;
    rn_job_evidence_add(loading->evidence, loading->roster, body);
    return rn_ok();
}

rn_result rn_job_evidence_load(const struct rn_job_basis *basis, struct rn_job_evidence *out,
                               struct rn_error *err)
{
    struct loading loading = {out, basis->roster};
    *out = (struct rn_job_evidence){0};
    return basis->reader.scan(basis->reader.context, RN_RECORD_EVIDENCE, NULL, visit, &loading,
                              err);
}
