/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secagg/openmasks.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/maskkey.h"

#include <string.h>

/* What is worth another thread: 64 scalar products, a MiB of key stream. */
#define PAIRS_A_PART 64u
#define STREAM_A_PART ((uint64_t)1 << 20)

struct key_sets {
    struct rn_mask_set **sets;
    size_t count;
};

/* Keys are at most |U2| + |lost| * min(|U3|, degree), of which a set holds a part. */
struct rn_sa_open_masks {
    const struct rn_parallel *parallel;
    struct key_sets all;
    uint64_t keys;
};

static rn_result add_key(struct key_sets *sets, const struct rn_secret32 *key, int sign,
                         struct rn_error *err)
{
    if (sets->count == 0 || rn_mask_set_count(sets->sets[sets->count - 1]) == RN_MASK_SET_MAX) {
        sets->sets = rn_realloc(sets->sets, sets->count, sets->count + 1, sizeof *sets->sets);
        sets->sets[sets->count++] = rn_mask_set_new(RN_MASK_SET_MAX);
    }
    return rn_mask_set_insert(sets->sets[sets->count - 1], key, sign, err);
}

static void free_sets(struct key_sets *sets)
{
    for (size_t i = 0; i < sets->count; i++) {
        rn_mask_set_free(sets->sets[i]);
    }
    rn_free(sets->sets);
}

/* Surviving neighbours of a lost member: whose uploads hold its pair masks. */
static struct rn_sa_set masked_by(const struct rn_sa_transcript *t, uint32_t lost)
{
    const struct rn_sa_set circle = rn_sa_transcript_circle(t, lost);
    return rn_sa_set_both(&t->survivors, &circle);
}

/* The signs are those of the members, turned round. */
static rn_result add_keys_of(const struct rn_sa_transcript *t, uint32_t member,
                             const struct rn_scalar *secret, struct key_sets *sets,
                             struct rn_error *err)
{
    struct rn_mask_context context;
    memcpy(context.session, t->session, RN_HASH_BYTES);
    memcpy(context.transcript, t->t1, RN_HASH_BYTES);
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) key = {{0}};
    if (rn_sa_set_has(&t->survivors, member)) {
        rn_mask_key_self(&context, secret, member, &key);
        return add_key(sets, &key, -1, err);
    }
    const struct rn_sa_set masked = masked_by(t, member);
    for (uint32_t j = rn_sa_set_next(&masked, 0); j < RN_SA_MEMBERS_MAX;
         j = rn_sa_set_next(&masked, j + 1)) {
        RN_TRY(rn_mask_key_pair(&context, secret, member, &t->peers[j].mask, j, &key, err));
        RN_TRY(add_key(sets, &key, -rn_mask_sign(j, member), err));
    }
    return rn_ok();
}

/* ---- Keys, by member: a part has every so many-th of U2 */

struct derivation {
    const struct rn_sa_transcript *t;
    const struct rn_scalar *secrets;
    uint32_t parts;
    struct key_sets sets[RN_PARALLEL_PARTS_MAX];
    rn_result results[RN_PARALLEL_PARTS_MAX];
    struct rn_error errors[RN_PARALLEL_PARTS_MAX];
};

static void derive_part(void *job, uint32_t part)
{
    struct derivation *d = job;
    const struct rn_sa_set *linked = &d->t->linked;
    uint32_t place = 0;
    d->results[part] = rn_ok();
    for (uint32_t i = rn_sa_set_next(linked, 0);
         i < RN_SA_MEMBERS_MAX && rn_is_ok(d->results[part]); i = rn_sa_set_next(linked, i + 1)) {
        if (place++ % d->parts == part) {
            d->results[part] =
                add_keys_of(d->t, i, &d->secrets[i], &d->sets[part], &d->errors[part]);
        }
    }
}

static uint32_t parts_for(const struct rn_parallel *parallel, uint64_t work, uint64_t a_part)
{
    const uint64_t wanted = work / a_part;
    const uint32_t most = rn_parallel_parts(parallel);
    return wanted < 1 ? 1 : wanted < most ? (uint32_t)wanted : most;
}

static uint64_t count_pairs(const struct rn_sa_transcript *t)
{
    uint64_t pairs = 0;
    for (uint32_t i = rn_sa_set_next(&t->linked, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&t->linked, i + 1)) {
        const struct rn_sa_set masked = masked_by(t, i);
        pairs += rn_sa_set_has(&t->survivors, i) ? 0 : rn_sa_set_count(&masked);
    }
    return pairs;
}

static void join(struct rn_sa_open_masks *masks, struct key_sets *part)
{
    struct key_sets *all = &masks->all;
    if (part->count > 0) {
        all->sets = rn_realloc(all->sets, all->count, all->count + part->count, sizeof *all->sets);
    }
    for (size_t i = 0; i < part->count; i++) {
        masks->keys += rn_mask_set_count(part->sets[i]);
        all->sets[all->count++] = part->sets[i];
    }
    rn_free(part->sets);
}

rn_result rn_sa_open_masks_new(const struct rn_sa_transcript *transcript,
                               const struct rn_scalar *secrets, const struct rn_parallel *parallel,
                               struct rn_sa_open_masks **out, struct rn_error *err)
{
    struct rn_sa_open_masks *RN_CLEANUP(rn_sa_open_masks_free_cleanup) masks =
        rn_alloc(1, sizeof *masks);
    struct derivation *RN_CLEANUP(rn_free_cleanup) d = rn_alloc(1, sizeof *d);
    masks->parallel = parallel;
    *d = (struct derivation){.t = transcript, .secrets = secrets};
    d->parts = parts_for(parallel, count_pairs(transcript), PAIRS_A_PART);
    rn_parallel_run(parallel, d->parts, derive_part, d);
    rn_result result = rn_ok();
    for (uint32_t part = 0; part < d->parts; part++) {
        join(masks, &d->sets[part]);
        if (rn_is_ok(result) && !rn_is_ok(d->results[part])) {
            result = d->results[part];
            if (err != NULL) {
                *err = d->errors[part];
            }
        }
    }
    RN_TRY(result);
    *out = RN_TAKE(masks);
    return rn_ok();
}

void rn_sa_open_masks_free(struct rn_sa_open_masks *masks)
{
    if (masks != NULL) {
        free_sets(&masks->all);
    }
    rn_free(masks);
}

void rn_sa_open_masks_free_cleanup(struct rn_sa_open_masks **masks)
{
    rn_sa_open_masks_free(*masks);
}

/* ---- Lanes, by range */

struct removal {
    const struct rn_sa_open_masks *masks;
    uint8_t *lanes;
    uint32_t lane_bytes;
    uint32_t parts;
    uint64_t first, count;
    rn_result results[RN_PARALLEL_PARTS_MAX];
};

static rn_result take_range(struct rn_mask_set *set, void *lanes, uint32_t lane_bytes,
                            uint64_t first, uint64_t count, struct rn_error *err)
{
    return lane_bytes == 4 ? rn_mask_set_add_u32(set, lanes, first, count, err)
                           : rn_mask_set_add_u64(set, lanes, first, count, err);
}

/* One thread at a time uses a set: beside others each has copies. */
static rn_result take_with_copies(const struct removal *r, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < r->masks->all.count; i++) {
        RN_CLEANUP(rn_mask_set_free_cleanup) struct rn_mask_set *copy = NULL;
        RN_TRY(rn_mask_set_copy(r->masks->all.sets[i], &copy, NULL));
        RN_TRY(take_range(copy, r->lanes + from * r->lane_bytes, r->lane_bytes, r->first + from,
                          to - from, NULL));
    }
    return rn_ok();
}

static void take_part(void *job, uint32_t part)
{
    struct removal *r = job;
    const uint64_t from = r->count * part / r->parts;
    r->results[part] = take_with_copies(r, from, r->count * (part + 1) / r->parts);
}

static rn_result take_in_parts(struct removal *r, struct rn_error *err)
{
    rn_parallel_run(r->masks->parallel, r->parts, take_part, r);
    for (uint32_t part = 0; part < r->parts; part++) {
        RN_ENSURE(rn_is_ok(r->results[part]), err, r->results[part].code,
                  "OpenSSL failed while masks were taken off");
    }
    return rn_ok();
}

rn_result rn_sa_open_masks_take(struct rn_sa_open_masks *masks, void *lanes, uint32_t lane_bytes,
                                uint64_t first, uint64_t count, struct rn_error *err)
{
    struct removal removal = {masks, lanes, lane_bytes, 1, first, count, {{0}}};
    removal.parts = parts_for(masks->parallel, masks->keys * count * lane_bytes, STREAM_A_PART);
    if (removal.parts > 1) {
        return take_in_parts(&removal, err);
    }
    for (size_t i = 0; i < masks->all.count; i++) {
        RN_TRY(take_range(masks->all.sets[i], lanes, lane_bytes, first, count, err));
    }
    return rn_ok();
}
