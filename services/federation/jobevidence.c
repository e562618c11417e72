/* SPDX-License-Identifier: Apache-2.0 */
#include "services/federation/jobevidence.h"

static void add_all(struct rn_sa_set *to, const struct rn_sa_set *from)
{
    for (uint32_t i = rn_sa_set_next(from, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(from, i + 1)) {
        rn_sa_set_add(to, i);
    }
}

void rn_job_evidence_add(struct rn_job_evidence *evidence, const struct rn_roster *roster,
                         struct rn_view document)
{
    struct rn_sa_evidence one;
    evidence->documents++;
    if (rn_is_ok(rn_sa_evidence_check(document, roster, &one, NULL))) {
        evidence->round = (uint32_t)one.round;
        evidence->coordinator |= one.coordinator;
        add_all(&evidence->members, &one.members);
        add_all(&evidence->one_of, &one.one_of);
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
