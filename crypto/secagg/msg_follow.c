/* SPDX-License-Identifier: Apache-2.0
 *
 * Follow, member to coordinator: what of the public transcript I have; please send the rest. At
 * level RESULT: which chunks of the sum I want.
 */
#include "base/guard.h"
#include "crypto/secagg/messages.h"

void rn_sa_follow_write(const struct rn_sa_transcript *transcript, uint32_t self,
                        const uint8_t *bits, const struct rn_identity *identity,
                        struct rn_buffer *out)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    const enum rn_sa_level level = transcript->level;
    rn_buffer_u32(&body, (uint32_t)(level < RN_SA_LEVEL_RESULT ? level : RN_SA_LEVEL_RESULT));
    if (bits != NULL) {
        rn_buffer_append(&body, bits, rn_sa_bits_bytes(transcript));
    }
    const struct rn_sa_draft draft = {
        .type = RN_SA_FOLLOW,
        .sender = self,
        .recipient = RN_SA_COORDINATOR,
        .hash = transcript->session,
        .body = rn_buffer_view(&body),
    };
    rn_sa_transcript_write(transcript, &draft, identity, out);
}

rn_result rn_sa_follow_read(const struct rn_sa_transcript *transcript, struct rn_view body,
                            enum rn_sa_level *out_level, struct rn_view *out_bits,
                            struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(body);
    const uint32_t level = rn_read_u32(&r);
    RN_ENSURE(level >= RN_SA_LEVEL_SESSION && level <= RN_SA_LEVEL_RESULT, err, RN_E_PEER_FORMAT,
              "follow: no such level");
    struct rn_view bits = {0};
    if (level == RN_SA_LEVEL_RESULT) {
        bits = rn_read_view(&r, rn_sa_bits_bytes(transcript));
    }
    RN_ENSURE(rn_reader_done(&r), err, RN_E_PEER_FORMAT, "follow: wrong length");
    *out_level = (enum rn_sa_level)level;
    *out_bits = bits;
    return rn_ok();
}
