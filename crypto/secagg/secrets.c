/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secagg/secrets.h"

#include "base/guard.h"
#include "crypto/channel.h"
#include "crypto/kdf.h"

void rn_sa_secrets_draw(struct rn_sa_secrets *secrets, const struct rn_secret32 *seed,
                        const uint8_t session[static RN_HASH_BYTES])
{
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) key = {{0}};
    rn_kdf_sha256(&key, rn_view_of(seed->bytes, sizeof seed->bytes),
                  rn_view_of(session, RN_HASH_BYTES), "rondo/v1 secagg member",
                  rn_view_of(NULL, 0));
    rn_stream_init(&secrets->stream, &key);
    struct rn_channel_public unused;
    rn_channel_generate(&secrets->stream, &secrets->channel, &unused);
    rn_scalar_draw(&secrets->stream, &secrets->mask_secret);
    rn_scalar_draw(&secrets->stream, &secrets->self_seed);
}

void rn_sa_secrets_init(struct rn_sa_secrets *secrets, const struct rn_sa_set *circle,
                        struct rn_sa_slot *slots)
{
    secrets->circle = *circle;
    secrets->slots = slots;
}

struct rn_sa_slot *rn_sa_secrets_slot(const struct rn_sa_secrets *secrets, uint32_t member)
{
    RN_BUG_IF(!rn_sa_set_has(&secrets->circle, member));
    return &secrets->slots[rn_sa_set_rank(&secrets->circle, member)];
}

enum rn_sa_kind rn_sa_kind_due(const struct rn_sa_transcript *transcript, uint32_t member)
{
    return rn_sa_set_has(&transcript->survivors, member) ? RN_SA_KIND_B : RN_SA_KIND_S;
}

static void keep_only(struct rn_sa_slot *slot, enum rn_sa_kind kind)
{
    if (slot->state != RN_SA_SLOT_BOTH) {
        return; /* nothing held, or chosen before: never back */
    }
    if (kind == RN_SA_KIND_S) {
        rn_scalar_clear(&slot->share_b);
        slot->state = RN_SA_SLOT_KEPT_S;
    } else {
        rn_scalar_clear(&slot->share_s);
        slot->state = RN_SA_SLOT_KEPT_B;
    }
}

void rn_sa_slots_choose(const struct rn_sa_transcript *transcript, struct rn_sa_secrets *secrets)
{
    RN_BUG_IF(transcript->level < RN_SA_LEVEL_CERTIFIED);
    for (uint32_t i = rn_sa_set_next(&secrets->circle, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&secrets->circle, i + 1)) {
        struct rn_sa_slot *slot = rn_sa_secrets_slot(secrets, i);
        if (rn_sa_set_has(&transcript->linked, i)) {
            keep_only(slot, rn_sa_kind_due(transcript, i));
        } else {
            rn_secret_wipe(slot, sizeof *slot);
        }
    }
}
