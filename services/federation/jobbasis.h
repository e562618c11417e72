/* SPDX-License-Identifier: Apache-2.0
 *
 * What both state machines of a job stand on: the signed plan, the roster, the own identity, and
 * the three things that they may ask the outside for (random bytes, records written earlier).
 * Immutable while a job runs; borrowed by the machines, which it outlives.
 */
#ifndef RN_SERVICES_FEDERATION_JOBBASIS_H
#define RN_SERVICES_FEDERATION_JOBBASIS_H

#include "base/parallel.h"
#include "crypto/identity.h"
#include "crypto/roster.h"
#include "policy/plan.h"
#include "services/federation/jobrecord.h"

/* Records of this job written earlier: what COMMIT effects of EARLIER steps held, durable already
 * or not (the driver waits for them if need be). Slow: for the start and for members that are
 * behind. */
struct rn_job_reader {
    void *context;
    /* Calls visit for each record of the kind in the order written; session NULL: of any. The view
     * is valid during the call; a failure of visit ends the scan and is returned. */
    rn_result (*scan)(void *context, enum rn_record_kind kind, const uint8_t *session,
                      rn_record_visit visit, void *argument, struct rn_error *err);
    /* The newest record of a kind, of one round (round < 0: of any). out_body is initialised by the
     * caller and replaced. */
    rn_result (*latest)(void *context, enum rn_record_kind kind, int64_t round,
                        struct rn_record_key *out_key, struct rn_buffer *out_body, bool *out_found,
                        struct rn_error *err);
};

struct rn_job_basis {
    const struct rn_plan *plan;
    const struct rn_roster *roster;
    const struct rn_identity *identity;
    uint32_t self; /* place in the roster, or RN_SA_COORDINATOR */
    uint8_t base_hash[RN_HASH_BYTES];
    struct rn_job_reader reader;
    /* Fills out from the operating system; seeded in a simulation. */
    rn_result (*random)(void *context, void *out, size_t length, struct rn_error *err);
    void *random_context;
    const struct rn_parallel *parallel; /* for taking masks off; NULL: the stepping thread alone */
};

#endif
