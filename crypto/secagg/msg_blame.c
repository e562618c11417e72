/* SPDX-License-Identifier: Apache-2.0
 *
 * Part of the Result: the proof that a holder revealed a share which is not the one it had
 * acknowledged. It is the holder's whole signed Reveal, with what binds the dealer's polynomial to
 * the dealer's signature in the Ack set; everybody who has the transcript can check it.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/feldman.h"
#include "crypto/secagg/messages.h"

#include <string.h>

static size_t reveal_bytes(const struct rn_sa_transcript *transcript, uint32_t holder)
{
    const struct rn_sa_set members = rn_sa_reveal_members(transcript, holder);
    return RN_SA_ENVELOPE_BYTES + 4 + (size_t)rn_sa_set_count(&members) * RN_SA_REVEAL_ENTRY;
}

size_t rn_sa_blame_bytes(const struct rn_sa_transcript *transcript, uint32_t holder)
{
    return 4 + reveal_bytes(transcript, holder) + rn_sa_coefficient_bytes(transcript) +
           2 * RN_HASH_BYTES;
}

void rn_sa_blame_write(const struct rn_sa_transcript *transcript, uint32_t dealer,
                       const struct rn_sa_dealing *dealing, struct rn_view reveal,
                       struct rn_buffer *out)
{
    const enum rn_sa_kind kind = rn_sa_kind_due(transcript, dealer);
    const struct rn_view coefficients = rn_sa_dealing_coefficients(transcript, dealing, kind);
    const struct rn_view body = rn_view_of(dealing->message.data + RN_SA_ENVELOPE_BYTES,
                                           dealing->message.length - RN_SA_ENVELOPE_BYTES);
    const struct rn_sa_set holders = rn_sa_transcript_holders(transcript, dealer);
    uint8_t *RN_CLEANUP(rn_free_cleanup) leaves =
        rn_alloc(rn_sa_set_count(&holders), RN_HASH_BYTES);
    struct rn_sa_shares_hashes hashes;
    rn_sa_shares_hash(transcript, dealer, body, leaves, &hashes);
    rn_buffer_u32(out, dealer);
    rn_buffer_append(out, reveal.data, reveal.length);
    rn_buffer_append(out, coefficients.data, coefficients.length);
    rn_buffer_append(out, hashes.coefficients[kind == RN_SA_KIND_S ? 1 : 0], RN_HASH_BYTES);
    rn_buffer_append(out, hashes.entries, RN_HASH_BYTES);
}

/* The commitments are those that the dealer signed in R1. */
static rn_result check_coefficients(const struct rn_sa_transcript *transcript, uint32_t dealer,
                                    struct rn_view coefficients, struct rn_reader *r,
                                    struct rn_error *err)
{
    const unsigned own = rn_sa_kind_due(transcript, dealer) == RN_SA_KIND_S ? 0 : 1;
    struct rn_sa_shares_hashes hashes;
    rn_sha256(hashes.coefficients[own], "rondo/v1 secagg coefficients", &coefficients, 1);
    rn_read_copy(r, hashes.coefficients[1 - own], RN_HASH_BYTES);
    rn_read_copy(r, hashes.entries, RN_HASH_BYTES);
    uint8_t root[RN_HASH_BYTES];
    rn_sa_shares_root(transcript, dealer, &hashes, root);
    struct rn_sa_message shares;
    const uint8_t *envelope = transcript->peers[dealer].shares_envelope;
    RN_TRY(rn_sa_envelope_parse(rn_view_of(envelope, RN_SA_ENVELOPE_BYTES), &shares, err));
    RN_ENSURE(memcmp(root, shares.body_hash, RN_HASH_BYTES) == 0, err, RN_E_PEER_AUTH,
              "blame: these commitments are not the ones that member %u signed", dealer);
    return rn_ok();
}

/* A whole Reveal, whose length follows from its sender. */
static rn_result read_reveal(const struct rn_sa_transcript *transcript, struct rn_reader *r,
                             struct rn_sa_message *out, struct rn_error *err)
{
    struct rn_reader ahead = *r;
    RN_TRY(rn_sa_envelope_parse(rn_read_view(&ahead, RN_SA_ENVELOPE_BYTES), out, err));
    RN_ENSURE(rn_sa_set_has(&transcript->survivors, out->sender), err, RN_E_PEER_PROTOCOL,
              "blame: member %u is no survivor", out->sender);
    const struct rn_view whole = rn_read_view(r, reveal_bytes(transcript, out->sender));
    RN_TRY(rn_sa_message_parse(whole, out, err));
    return rn_sa_transcript_nested(transcript, out, RN_SA_REVEAL, transcript->t2, err);
}

rn_result rn_sa_blame_read(const struct rn_sa_transcript *transcript, struct rn_reader *r,
                           uint32_t *out_holder, struct rn_error *err)
{
    const uint32_t dealer = rn_read_u32(r);
    struct rn_sa_message reveal;
    RN_TRY(read_reveal(transcript, r, &reveal, err));
    const uint32_t holder = reveal.sender;
    RN_ENSURE(rn_sa_set_has(&transcript->linked, dealer) &&
                  rn_sa_set_has(&transcript->peers[dealer].holders, holder),
              err, RN_E_PEER_PROTOCOL, "blame: member %u owed no share of member %u", holder,
              dealer);
    struct rn_sa_revealed *RN_CLEANUP(rn_free_cleanup) revealed =
        rn_alloc(transcript->graph.members, sizeof *revealed);
    RN_TRY(rn_sa_reveal_read(transcript, holder, reveal.body, revealed, err));
    const struct rn_view coefficients = rn_read_view(r, rn_sa_coefficient_bytes(transcript));
    RN_ENSURE(!r->failed, err, RN_E_PEER_FORMAT, "blame: cut short");
    RN_TRY(check_coefficients(transcript, dealer, coefficients, r, err));
    struct rn_point expected;
    RN_TRY(rn_sa_share_expected(transcript, rn_sa_kind_due(transcript, dealer), dealer, holder,
                                coefficients, &expected, err));
    RN_ENSURE(!rn_feldman_matches(&expected, &revealed[dealer].share), err, RN_E_PEER_PROTOCOL,
              "blame: the share that member %u revealed of member %u is the right one", holder,
              dealer);
    *out_holder = holder;
    return rn_ok();
}
