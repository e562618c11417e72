/* SPDX-License-Identifier: Apache-2.0
 *
 * What hides the sum of a blind session from its coordinator, computed a lane at a time.
 */
#ifndef RN_TESTS_BLINDING_H
#define RN_TESTS_BLINDING_H

#include "crypto/maskkey.h"
#include "crypto/maskstream.h"
#include "crypto/secagg/aggregator_state.h"
#include "tests/simulation/simulator.h"

#include <string.h>

/* What the streams of these members add to element e of the session's sum, modulo 2^b. */
static inline uint64_t sim_blinding(const struct sim *sim, const struct rn_sa_set *members,
                                    uint64_t element)
{
    const uint64_t lane = element + element / sim->params.chunk_elements * RN_SA_CANARIES;
    const uint32_t bits = rn_sa_bits(&sim->params);
    struct rn_mask_context context;
    uint64_t sum = 0;
    memcpy(context.session, sim->aggregator->t.session, RN_HASH_BYTES);
    memcpy(context.transcript, sim->aggregator->t.t1, RN_HASH_BYTES);
    for (uint32_t i = 0; i < sim->params.members; i++) {
        struct rn_secret32 key;
        uint32_t narrow = 0;
        uint64_t wide = 0;
        if (!rn_sa_set_has(members, i)) {
            continue;
        }
        rn_mask_key_blind(&context, &sim->group, i, &key);
        assert_true(rn_is_ok(rn_mask_add_u32(&narrow, lane, 1, &key, 1, NULL)));
        assert_true(rn_is_ok(rn_mask_add_u64(&wide, lane, 1, &key, 1, NULL)));
        sum += bits <= 32 ? narrow : wide;
    }
    return sum & (UINT64_MAX >> (64 - bits));
}

#endif
