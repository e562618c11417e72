/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom a session speaks against at its end: with proof, or by its silence.
 */
#include "base/guard.h"
#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/evidence.h"
#include "crypto/secagg/sessionproof.h"

void rn_sa_aggregator_write_blame(struct rn_sa_aggregator *a, struct rn_sa_proofs *out)
{
    const size_t room = rn_sa_result_room(&a->t);
    struct rn_sa_set proven = {{0}};
    for (uint32_t j = rn_sa_set_next(&a->blamed, 0); j < RN_SA_MEMBERS_MAX;
         j = rn_sa_set_next(&a->blamed, j + 1)) {
        const uint32_t dealer = a->blamed_for[j];
        if (out->bytes.length + rn_sa_blame_bytes(&a->t, j) > room) {
            break;
        }
        rn_sa_blame_write(&a->t, dealer, &a->dealings[dealer],
                          rn_buffer_view(&a->inbox[RN_SA_REVEAL][j]), &out->bytes);
        rn_sa_set_add(&proven, j);
        out->count++;
    }
    a->blamed = proven;
}

void rn_sa_aggregator_prove(const struct rn_sa_aggregator *a, struct rn_sa_actions *actions)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) session = {0};
    uint32_t given = 0;
    if (rn_sa_set_empty(&a->blamed)) {
        return;
    }
    rn_sa_session_numbers_write(&a->t, &session);
    RN_BUG_IF(!rn_sa_session_broadcasts_write(a->sent, &session));
    for (uint32_t j = rn_sa_set_next(&a->blamed, 0);
         j < RN_SA_MEMBERS_MAX && given < RN_SA_REVEAL_EVIDENCE_MAX;
         j = rn_sa_set_next(&a->blamed, j + 1), given++) {
        const uint32_t dealer = a->blamed_for[j];
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) proof = {0};
        rn_sa_blame_write(&a->t, dealer, &a->dealings[dealer],
                          rn_buffer_view(&a->inbox[RN_SA_REVEAL][j]), &proof);
        struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_EVIDENCE);
        rn_sa_evidence_write(RN_SA_EVIDENCE_REVEAL, rn_buffer_view(&proof),
                             rn_buffer_view(&session), &action->bytes);
    }
}

struct rn_sa_set rn_sa_aggregator_silent(const struct rn_sa_aggregator *a, enum rn_sa_reason reason)
{
    const bool upload = reason == RN_SA_REASON_UPLOAD_QUORUM;
    const struct rn_sa_set *here = upload ? &a->complete : &a->got[RN_SA_REVEAL];
    const struct rn_sa_set *of = upload ? &a->t.linked : &a->t.survivors;
    struct rn_sa_set silent = {{0}};
    if (!upload && reason != RN_SA_REASON_UNMASK_QUORUM) {
        return silent;
    }
    for (uint32_t i = rn_sa_set_next(&a->t.accused, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&a->t.accused, i + 1)) {
        const struct rn_sa_set left = rn_sa_set_both(&a->t.peers[i].holders, here);
        if (rn_sa_set_has(of, i) && !rn_sa_set_has(here, i) &&
            rn_sa_set_count(&left) < a->t.threshold) {
            rn_sa_set_add(&silent, i);
        }
    }
    return silent;
}
