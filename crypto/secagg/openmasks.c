/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secagg/openmasks.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/maskkey.h"

#include <string.h>

/* Keys are at most |U2| + |lost| * min(|U3|, degree), of which a set holds a part. */
struct rn_sa_open_masks {
    struct rn_mask_set **sets;
    size_t count;
};

static rn_result add_key(struct rn_sa_open_masks *masks, const struct rn_secret32 *key, int sign,
                         struct rn_error *err)
{
    if (masks->count == 0 || rn_mask_set_count(masks->sets[masks->count - 1]) == RN_MASK_SET_MAX) {
        masks->sets = rn_realloc(masks->sets, masks->count, masks->count + 1, sizeof *masks->sets);
        masks->sets[masks->count++] = rn_mask_set_new(RN_MASK_SET_MAX);
    }
    return rn_mask_set_insert(masks->sets[masks->count - 1], key, sign, err);
}

/* The signs are those of the members, turned round. */
static rn_result add_keys_of(const struct rn_sa_transcript *t, uint32_t member,
                             const struct rn_scalar *secret, struct rn_sa_open_masks *masks,
                             struct rn_error *err)
{
    struct rn_mask_context context;
    memcpy(context.session, t->session, RN_HASH_BYTES);
    memcpy(context.transcript, t->t1, RN_HASH_BYTES);
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) key = {{0}};
    if (rn_sa_set_has(&t->survivors, member)) {
        rn_mask_key_self(&context, secret, member, &key);
        return add_key(masks, &key, -1, err);
    }
    const struct rn_sa_set circle = rn_sa_transcript_circle(t, member);
    const struct rn_sa_set masked = rn_sa_set_both(&t->survivors, &circle);
    for (uint32_t j = rn_sa_set_next(&masked, 0); j < RN_SA_MEMBERS_MAX;
         j = rn_sa_set_next(&masked, j + 1)) {
        RN_TRY(rn_mask_key_pair(&context, secret, member, &t->peers[j].mask, j, &key, err));
        RN_TRY(add_key(masks, &key, -rn_mask_sign(j, member), err));
    }
    return rn_ok();
}

rn_result rn_sa_open_masks_new(const struct rn_sa_transcript *transcript,
                               const struct rn_scalar *secrets, struct rn_sa_open_masks **out,
                               struct rn_error *err)
{
    struct rn_sa_open_masks *RN_CLEANUP(rn_sa_open_masks_free_cleanup) masks =
        rn_alloc(1, sizeof *masks);
    for (uint32_t i = rn_sa_set_next(&transcript->linked, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&transcript->linked, i + 1)) {
        RN_TRY(add_keys_of(transcript, i, &secrets[i], masks, err));
    }
    *out = RN_TAKE(masks);
    return rn_ok();
}

void rn_sa_open_masks_free(struct rn_sa_open_masks *masks)
{
    for (size_t i = 0; masks != NULL && i < masks->count; i++) {
        rn_mask_set_free(masks->sets[i]);
    }
    if (masks != NULL) {
        rn_free(masks->sets);
    }
    rn_free(masks);
}

void rn_sa_open_masks_free_cleanup(struct rn_sa_open_masks **masks)
{
    rn_sa_open_masks_free(*masks);
}

rn_result rn_sa_open_masks_take(struct rn_sa_open_masks *masks, void *lanes, uint32_t lane_bytes,
                                uint64_t first, uint64_t count, struct rn_error *err)
{
    for (size_t i = 0; i < masks->count; i++) {
        RN_TRY(lane_bytes == 4 ? rn_mask_set_add_u32(masks->sets[i], lanes, first, count, err)
                               : rn_mask_set_add_u64(masks->sets[i], lanes, first, count, err));
    }
    return rn_ok();
}
