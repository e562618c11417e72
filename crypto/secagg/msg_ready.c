/* SPDX-License-Identifier: Apache-2.0
 *
 * R0. Ready, member to coordinator: fresh channel key, S = s*G of the fresh mask secret s and
 * B = b*G of the fresh self seed b.
 * Ready set, coordinator to all: every signed Ready by place; it defines T0.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/roster.h"
#include "crypto/secagg/messages.h"

#include <string.h>

void rn_sa_ready_write(const struct rn_sa_transcript *transcript, uint32_t self,
                       const struct rn_sa_secrets *secrets, const struct rn_identity *identity,
                       struct rn_buffer *out)
{
    struct rn_channel_public channel;
    rn_channel_public_of(&secrets->channel, &channel);
    struct rn_point mask;
    rn_point_of_scalar(&secrets->mask_secret, &mask);
    struct rn_point own;
    rn_point_of_scalar(&secrets->self_seed, &own);

    uint8_t body[RN_SA_READY_BODY];
    struct rn_writer w = rn_writer_to(body, sizeof body);
    rn_write_bytes(&w, channel.bytes, sizeof channel.bytes);
    rn_write_bytes(&w, mask.bytes, sizeof mask.bytes);
    rn_write_bytes(&w, own.bytes, sizeof own.bytes);
    RN_BUG_IF(!rn_writer_done(&w) || w.position != sizeof body);
    const struct rn_sa_draft draft = {
        .type = RN_SA_READY,
        .sender = self,
        .recipient = RN_SA_COORDINATOR,
        .hash = transcript->session,
        .body = rn_view_of(body, sizeof body),
    };
    rn_sa_transcript_write(transcript, &draft, identity, out);
}

static rn_result read_ready(struct rn_view body, struct rn_sa_peer *out, struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(body);
    uint8_t mask[RN_POINT_BYTES];
    uint8_t own[RN_POINT_BYTES];
    rn_read_copy(&r, out->channel.bytes, sizeof out->channel.bytes);
    rn_read_copy(&r, mask, sizeof mask);
    rn_read_copy(&r, own, sizeof own);
    RN_ENSURE(rn_reader_done(&r), err, RN_E_PEER_FORMAT, "ready: wrong length");
    RN_ENSURE(rn_channel_public_valid(&out->channel), err, RN_E_PEER_FORMAT,
              "ready: the channel key is no valid X25519 key");
    RN_TRY(rn_point_parse(mask, &out->mask, err));
    RN_TRY(rn_point_parse(own, &out->self, err));
    RN_ENSURE(!rn_point_equal(&out->mask, &out->self), err, RN_E_PEER_PROTOCOL,
              "ready: mask secret and self seed are one");
    return rn_ok();
}

rn_result rn_sa_ready_check(const struct rn_sa_message *message, struct rn_error *err)
{
    struct rn_sa_peer peer;
    return read_ready(message->body, &peer, err);
}

void rn_sa_ready_set_write(const struct rn_buffer *messages, const struct rn_sa_set *set,
                           struct rn_buffer *out_body)
{
    rn_buffer_u32(out_body, rn_sa_set_count(set));
    for (uint32_t i = rn_sa_set_next(set, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(set, i + 1)) {
        rn_buffer_append(out_body, messages[i].data, messages[i].length);
    }
}

/* Keys of two members, or the two keys of one, must not be equal. */
static rn_result check_distinct(const struct rn_sa_peer *peers, const struct rn_sa_set *set,
                                uint32_t last, struct rn_error *err)
{
    for (uint32_t i = rn_sa_set_next(set, 0); i < last; i = rn_sa_set_next(set, i + 1)) {
        const bool equal = memcmp(peers[i].channel.bytes, peers[last].channel.bytes,
                                  sizeof peers[i].channel.bytes) == 0 ||
                           rn_point_equal(&peers[i].mask, &peers[last].mask) ||
                           rn_point_equal(&peers[i].self, &peers[last].self) ||
                           rn_point_equal(&peers[i].mask, &peers[last].self) ||
                           rn_point_equal(&peers[i].self, &peers[last].mask);
        RN_ENSURE(!equal, err, RN_E_PEER_PROTOCOL,
                  "ready set: members %u and %u announce the same key", i, last);
    }
    return rn_ok();
}

/* In the complete graph all; in a ring a member may have too few neighbours left. */
static struct rn_sa_set find_dealing(const struct rn_sa_transcript *transcript)
{
    struct rn_sa_set dealing = {{0}};
    for (uint32_t i = rn_sa_set_next(&transcript->joined, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&transcript->joined, i + 1)) {
        const struct rn_sa_set holders = rn_sa_transcript_holders(transcript, i);
        if (rn_sa_set_count(&holders) >= transcript->threshold) {
            rn_sa_set_add(&dealing, i);
        }
    }
    return dealing;
}

rn_result rn_sa_ready_set_apply(struct rn_sa_transcript *transcript, struct rn_view body,
                                struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(body);
    const uint32_t count = rn_read_u32(&r);
    RN_ENSURE(count <= transcript->context.roster->count &&
                  rn_reader_left(&r) == (size_t)count * RN_SA_READY_BYTES,
              err, RN_E_PEER_FORMAT, "ready set: wrong length");
    const uint32_t floor = rn_sa_floor(&transcript->params, 0);
    RN_ENSURE(count >= floor, err, RN_E_PEER_PROTOCOL, "ready set: %u members are below %u", count,
              floor);
    const size_t members = transcript->graph.members;
    struct rn_sa_peer *RN_CLEANUP(rn_free_cleanup) peers = rn_alloc(members, sizeof *peers);
    struct rn_sa_set joined = {{0}};
    uint32_t least = 0;
    for (uint32_t k = 0; k < count; k++) {
        struct rn_sa_message message;
        RN_TRY(rn_sa_message_parse(rn_read_view(&r, RN_SA_READY_BYTES), &message, err));
        RN_TRY(
            rn_sa_transcript_nested(transcript, &message, RN_SA_READY, transcript->session, err));
        RN_ENSURE(message.sender >= least, err, RN_E_PEER_PROTOCOL,
                  "ready set: members repeat or are out of order");
        RN_TRY(read_ready(message.body, &peers[message.sender], err));
        RN_TRY(check_distinct(peers, &joined, message.sender, err));
        rn_sa_set_add(&joined, message.sender);
        least = message.sender + 1;
    }
    const struct rn_view parts[] = {rn_view_of(transcript->session, RN_HASH_BYTES), body};
    rn_sha256(transcript->t0, "rondo/v1 secagg T0", parts, 2);
    memcpy(transcript->peers, peers, members * sizeof *peers);
    transcript->joined = joined;
    transcript->n = count;
    transcript->dealing = find_dealing(transcript);
    transcript->level = RN_SA_LEVEL_JOINED;
    return rn_ok();
}
