/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of mask streams.
 */
#include "crypto/maskkey.h"

#include "base/guard.h"
#include "crypto/kdf.h"

#define FIELDS_MAX (2 * 4 + RN_HASH_BYTES)

static void derive(const struct rn_mask_context *context, struct rn_view secret, const char *tag,
                   const uint32_t *indices, size_t count, struct rn_secret32 *out_key)
{
    uint8_t fields[FIELDS_MAX];
    struct rn_writer writer = rn_writer_to(fields, sizeof(fields));
    for (size_t k = 0; k < count; k++) {
        rn_write_u32(&writer, indices[k]);
    }
    rn_write_bytes(&writer, context->transcript, RN_HASH_BYTES);
    RN_BUG_IF(!rn_writer_done(&writer));
    rn_kdf_sha256(out_key, secret, rn_view_of(context->session, RN_HASH_BYTES), tag,
                  rn_view_of(fields, writer.position));
}

rn_result rn_mask_key_pair(const struct rn_mask_context *context, const struct rn_scalar *own,
                           uint32_t own_index, const struct rn_point *peer, uint32_t peer_index,
                           struct rn_secret32 *out_key, struct rn_error *err)
{
    RN_BUG_IF(own_index == peer_index);
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 shared;
    RN_TRY(rn_point_agree(own, peer, &shared, err));
    const bool own_first = own_index < peer_index;
    const uint32_t indices[2] = {own_first ? own_index : peer_index,
                                 own_first ? peer_index : own_index};
    derive(context, rn_view_of(shared.bytes, sizeof(shared.bytes)), "rondo/v1 secagg pair mask",
           indices, 2, out_key);
    return rn_ok();
}

int rn_mask_sign(uint32_t own_index, uint32_t peer_index)
{
    RN_BUG_IF(own_index == peer_index);
    return own_index < peer_index ? 1 : -1;
}

void rn_mask_key_self(const struct rn_mask_context *context, const struct rn_scalar *self_seed,
                      uint32_t index, struct rn_secret32 *out_key)
{
    derive(context, rn_view_of(self_seed->bytes, sizeof(self_seed->bytes)),
           "rondo/v1 secagg self mask", &index, 1, out_key);
}

void rn_mask_key_blind(const struct rn_mask_context *context, const struct rn_secret32 *group,
                       uint32_t index, struct rn_secret32 *out_key)
{
    derive(context, rn_view_of(group->bytes, sizeof(group->bytes)), "rondo/v1 secagg blind mask",
           &index, 1, out_key);
}
