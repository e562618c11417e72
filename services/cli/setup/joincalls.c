/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/setup/joincalls.h"

#include <math.h>
#include <string.h>

#include "base/guard.h"
#include "crypto/secagg/epoch.h"

#define CALLS_LABEL "roster calls"

uint32_t rn_join_calls_spared(uint32_t colluding)
{
    return colluding / 2;
}

uint32_t rn_join_calls_count(uint32_t members, uint32_t colluding)
{
    const uint32_t others = members - 1;
    const uint32_t invented = rn_join_calls_spared(colluding) + 1;
    const double accepted = ldexp(1.0, -RN_JOIN_CALLS_MISS_BITS);
    double miss = 1.0;
    uint32_t calls = 0;
    if (members <= RN_JOIN_CALLS_ALL_MAX) {
        return members == 0 ? 0 : others;
    }
    for (; miss > accepted && calls < others; calls++) {
        const double real = (double)others - (double)invented - (double)calls;
        miss *= real <= 0 ? 0 : real / (double)(others - calls);
    }
    return calls;
}

uint32_t rn_join_calls_draw(const struct rn_identity *identity, const struct rn_roster *roster,
                            uint32_t self, uint32_t colluding,
                            bool called[static RN_ROSTER_MEMBERS_MAX])
{
    uint8_t hash[RN_HASH_BYTES];
    uint32_t order[RN_ROSTER_MEMBERS_MAX];
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) seed = {{0}};
    const uint32_t count = rn_join_calls_count(roster->count, colluding);
    uint32_t drawn = 0;
    rn_roster_hash_of(roster, hash);
    rn_identity_derive(identity, rn_view_of(hash, sizeof hash), CALLS_LABEL, &seed);
    rn_sa_epoch_permutation(seed.bytes, roster->count, order);
    memset(called, 0, RN_ROSTER_MEMBERS_MAX * sizeof called[0]);
    for (uint32_t i = 0; i < roster->count && drawn < count; i++) {
        if (order[i] != self) {
            called[order[i]] = true;
            drawn++;
        }
    }
    return drawn;
}
