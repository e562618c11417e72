/* SPDX-License-Identifier: Apache-2.0
 *
 * The open sessions of a ledger of spent updates (spent.h): each spent an update and has no abort
 * certificate. Found by session and by update through two balanced trees, so that no choice of
 * session ids or adapters makes a look-up longer than the logarithm of their number. A session
 * takes about 460 bytes, RN_SA_SPENT_MAX of them 46 MB.
 */
#ifndef RN_CRYPTO_SECAGG_SPENTSESSIONS_H
#define RN_CRYPTO_SECAGG_SPENTSESSIONS_H

#include "base/result.h"
#include "crypto/secagg/memberset.h"
#include "crypto/sha256.h"

struct rn_sa_spent_session {
    uint8_t session[RN_HASH_BYTES];
    uint8_t base[RN_HASH_BYTES]; /* base, adapter, active: the update */
    uint8_t adapter[RN_HASH_BYTES];
    uint32_t active;
    uint32_t quorum;
    uint64_t round;
    uint8_t t0[RN_HASH_BYTES];
    struct rn_sa_set joined;
    struct rn_sa_spent_session *same; /* the next one with this base and adapter */
};

/* Zero-initialised: empty. */
struct rn_sa_spent_sessions {
    void *by_session, *by_update;
    size_t count;
};

void rn_sa_spent_sessions_clear(struct rn_sa_spent_sessions *sessions);

/* Copies the entry; one that is there already stays as it is. RN_E_DATA when there are
 * RN_SA_SPENT_MAX of them. */
RN_MUST rn_result rn_sa_spent_sessions_add(struct rn_sa_spent_sessions *sessions,
                                           const struct rn_sa_spent_session *entry,
                                           struct rn_error *err);
/* Does nothing for one that is not there. */
void rn_sa_spent_sessions_remove(struct rn_sa_spent_sessions *sessions,
                                 const uint8_t session[static RN_HASH_BYTES]);

/* NULL when there is none; borrowed until the next add or remove. */
const struct rn_sa_spent_session *
rn_sa_spent_sessions_find(const struct rn_sa_spent_sessions *sessions,
                          const uint8_t session[static RN_HASH_BYTES]);
/* One that spent this update, or another with a part in common. */
const struct rn_sa_spent_session *
rn_sa_spent_sessions_of(const struct rn_sa_spent_sessions *sessions,
                        const uint8_t base[static RN_HASH_BYTES],
                        const uint8_t adapter[static RN_HASH_BYTES], uint32_t active);

#endif
