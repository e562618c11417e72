/* SPDX-License-Identifier: Apache-2.0
 *
 * R1, second half. Ack, member to coordinator: whose shares opened and match their commitments, and
 * a hash of all R1 envelopes that this holder was shown.
 * Ack set, coordinator to all: all R1 envelopes and all Acks; it defines U2 and T1.
 */
#include "base/guard.h"
#include "crypto/roster.h"
#include "crypto/secagg/messages.h"

#include <string.h>

/* Everyone must have been shown the same R1 envelopes, or some dealer or the coordinator lies. */
static void hash_seen(const struct rn_sa_transcript *transcript, const struct rn_sa_peer *peers,
                      const struct rn_sa_set *dealers, uint8_t out[static RN_HASH_BYTES])
{
    struct rn_sha256 RN_CLEANUP(rn_sha256_clear) state = {0};
    rn_sha256_init(&state, "rondo/v1 secagg seen");
    rn_sha256_update(&state, transcript->t0, RN_HASH_BYTES);
    for (uint32_t i = rn_sa_set_next(dealers, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(dealers, i + 1)) {
        rn_sha256_update(&state, peers[i].shares_envelope, RN_SA_ENVELOPE_BYTES);
    }
    rn_sha256_final(&state, out);
}

void rn_sa_ack_write(const struct rn_sa_transcript *transcript, uint32_t self,
                     const struct rn_sa_set *valid, const struct rn_identity *identity,
                     struct rn_buffer *out)
{
    uint8_t seen[RN_HASH_BYTES];
    hash_seen(transcript, transcript->peers, &transcript->dealers, seen);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_sa_set_write(&body, valid);
    rn_buffer_append(&body, seen, sizeof seen);
    const struct rn_sa_draft draft = {
        .type = RN_SA_ACK,
        .sender = self,
        .recipient = RN_SA_COORDINATOR,
        .hash = transcript->t0,
        .body = rn_buffer_view(&body),
    };
    rn_sa_transcript_write(transcript, &draft, identity, out);
}

static rn_result read_ack(uint32_t sender, struct rn_view body, const struct rn_sa_set *dealers,
                          const uint8_t *seen, struct rn_sa_set *out_valid, struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(body);
    const struct rn_sa_set valid = rn_sa_set_read(&r);
    uint8_t theirs[RN_HASH_BYTES];
    rn_read_copy(&r, theirs, sizeof theirs);
    RN_ENSURE(rn_reader_done(&r), err, RN_E_PEER_FORMAT, "ack: wrong length");
    RN_ENSURE(rn_sa_set_within(&valid, dealers), err, RN_E_PEER_PROTOCOL,
              "ack: member %u names a dealer that sent no shares", sender);
    RN_ENSURE(!rn_sa_set_has(dealers, sender) || rn_sa_set_has(&valid, sender), err,
              RN_E_PEER_PROTOCOL, "ack: member %u complains about itself", sender);
    RN_ENSURE(memcmp(theirs, seen, RN_HASH_BYTES) == 0, err, RN_E_PEER_PROTOCOL,
              "ack: member %u was shown other shares", sender);
    *out_valid = valid;
    return rn_ok();
}

rn_result rn_sa_ack_check(const struct rn_sa_transcript *transcript,
                          const struct rn_sa_message *message, struct rn_error *err)
{
    uint8_t seen[RN_HASH_BYTES];
    hash_seen(transcript, transcript->peers, &transcript->dealers, seen);
    struct rn_sa_set valid;
    return read_ack(message->sender, message->body, &transcript->dealers, seen, &valid, err);
}

void rn_sa_ack_set_write(const struct rn_sa_transcript *transcript,
                         const struct rn_buffer *messages, const struct rn_sa_set *set,
                         struct rn_buffer *out_body)
{
    rn_buffer_u32(out_body, rn_sa_set_count(&transcript->dealers));
    for (uint32_t i = rn_sa_set_next(&transcript->dealers, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&transcript->dealers, i + 1)) {
        rn_buffer_append(out_body, transcript->peers[i].shares_envelope, RN_SA_ENVELOPE_BYTES);
    }
    rn_buffer_u32(out_body, rn_sa_set_count(set));
    for (uint32_t i = rn_sa_set_next(set, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(set, i + 1)) {
        rn_buffer_append(out_body, messages[i].data, messages[i].length);
    }
}

/* U2: members whose R1 and Ack came, with at least t holders and at most n_c complaints. */
static struct rn_sa_set find_linked(const struct rn_sa_transcript *transcript,
                                    const struct rn_sa_set *dealers, const struct rn_sa_set *ackers,
                                    const struct rn_sa_set *valid,
                                    struct rn_sa_set out_holders[static RN_SA_MEMBERS_MAX])
{
    struct rn_sa_set linked = {{0}};
    const struct rn_sa_set both = rn_sa_set_both(dealers, ackers);
    const uint32_t acks = rn_sa_set_count(ackers);
    for (uint32_t i = rn_sa_set_next(dealers, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(dealers, i + 1)) {
        out_holders[i] = (struct rn_sa_set){{0}};
        for (uint32_t j = rn_sa_set_next(ackers, 0); j < RN_SA_MEMBERS_MAX;
             j = rn_sa_set_next(ackers, j + 1)) {
            if (rn_sa_set_has(&valid[j], i)) {
                rn_sa_set_add(&out_holders[i], j);
            }
        }
        const uint32_t holders = rn_sa_set_count(&out_holders[i]);
        if (rn_sa_set_has(&both, i) && holders >= transcript->quorum &&
            acks - holders <= transcript->params.colluding) {
            rn_sa_set_add(&linked, i);
        }
    }
    return linked;
}

struct rn_sa_set rn_sa_ack_linked(const struct rn_sa_transcript *transcript,
                                  const struct rn_buffer *messages, const struct rn_sa_set *set)
{
    struct rn_sa_set valid[RN_SA_MEMBERS_MAX] = {{{0}}};
    for (uint32_t i = rn_sa_set_next(set, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(set, i + 1)) {
        struct rn_reader r = rn_reader_of(rn_view_of(messages[i].data + RN_SA_ENVELOPE_BYTES,
                                                     messages[i].length - RN_SA_ENVELOPE_BYTES));
        valid[i] = rn_sa_set_read(&r);
    }
    struct rn_sa_set holders[RN_SA_MEMBERS_MAX];
    return find_linked(transcript, &transcript->dealers, set, valid, holders);
}

/* The R1 envelopes. A participant was shown them before and signed what it saw. */
static rn_result read_dealers(const struct rn_sa_transcript *transcript, struct rn_reader *r,
                              struct rn_sa_peer *peers, struct rn_sa_set *out_dealers,
                              struct rn_error *err)
{
    const bool known = !rn_sa_set_empty(&transcript->dealers);
    const uint32_t count = rn_read_u32(r);
    RN_ENSURE(count <= transcript->n, err, RN_E_PEER_FORMAT, "ack set: too many dealers");
    struct rn_sa_set dealers = {{0}};
    uint32_t least = 0;
    for (uint32_t k = 0; k < count; k++) {
        struct rn_sa_message envelope;
        RN_TRY(rn_sa_envelope_parse(rn_read_view(r, RN_SA_ENVELOPE_BYTES), &envelope, err));
        const uint32_t dealer = envelope.sender;
        RN_ENSURE(dealer >= least && rn_sa_set_has(&transcript->joined, dealer), err,
                  RN_E_PEER_PROTOCOL, "ack set: dealers repeat, are out of order or not of T0");
        if (known) {
            RN_ENSURE(rn_sa_set_has(&transcript->dealers, dealer) &&
                          memcmp(transcript->peers[dealer].shares_envelope, envelope.envelope.data,
                                 RN_SA_ENVELOPE_BYTES) == 0,
                      err, RN_E_PEER_PROTOCOL,
                      "ack set: the shares of member %u are not those that were handed out",
                      dealer);
        } else {
            RN_TRY(
                rn_sa_transcript_nested(transcript, &envelope, RN_SA_SHARES, transcript->t0, err));
        }
        memcpy(peers[dealer].shares_envelope, envelope.envelope.data, RN_SA_ENVELOPE_BYTES);
        rn_sa_set_add(&dealers, dealer);
        least = dealer + 1;
    }
    RN_ENSURE(!known || rn_sa_set_equal(&dealers, &transcript->dealers), err, RN_E_PEER_PROTOCOL,
              "ack set: a dealer is missing whose shares were handed out");
    *out_dealers = dealers;
    return rn_ok();
}

static rn_result read_acks(const struct rn_sa_transcript *transcript, struct rn_reader *r,
                           const struct rn_sa_set *dealers, const uint8_t *seen,
                           struct rn_sa_set valid[static RN_SA_MEMBERS_MAX],
                           struct rn_sa_set *out_ackers, struct rn_error *err)
{
    const uint32_t count = rn_read_u32(r);
    RN_ENSURE(count <= transcript->n && rn_reader_left(r) == (size_t)count * RN_SA_ACK_BYTES, err,
              RN_E_PEER_FORMAT, "ack set: wrong length");
    uint32_t least = 0;
    for (uint32_t k = 0; k < count; k++) {
        struct rn_sa_message message;
        RN_TRY(rn_sa_message_parse(rn_read_view(r, RN_SA_ACK_BYTES), &message, err));
        RN_TRY(rn_sa_transcript_nested(transcript, &message, RN_SA_ACK, transcript->t0, err));
        RN_ENSURE(message.sender >= least && rn_sa_set_has(&transcript->joined, message.sender),
                  err, RN_E_PEER_PROTOCOL, "ack set: acks repeat, are out of order or not of T0");
        RN_TRY(read_ack(message.sender, message.body, dealers, seen, &valid[message.sender], err));
        rn_sa_set_add(out_ackers, message.sender);
        least = message.sender + 1;
    }
    return rn_ok();
}

rn_result rn_sa_ack_set_apply(struct rn_sa_transcript *transcript, struct rn_view body,
                              struct rn_error *err)
{
    struct rn_sa_peer peers[RN_SA_MEMBERS_MAX];
    memcpy(peers, transcript->peers, sizeof peers);
    struct rn_reader r = rn_reader_of(body);
    struct rn_sa_set dealers;
    RN_TRY(read_dealers(transcript, &r, peers, &dealers, err));
    uint8_t seen[RN_HASH_BYTES];
    hash_seen(transcript, peers, &dealers, seen);
    struct rn_sa_set valid[RN_SA_MEMBERS_MAX] = {{{0}}};
    struct rn_sa_set ackers = {{0}};
    RN_TRY(read_acks(transcript, &r, &dealers, seen, valid, &ackers, err));

    struct rn_sa_set holders[RN_SA_MEMBERS_MAX] = {{{0}}};
    const struct rn_sa_set linked = find_linked(transcript, &dealers, &ackers, valid, holders);
    const uint32_t floor = rn_sa_floor(&transcript->params, 0);
    RN_ENSURE(rn_sa_set_count(&linked) >= floor, err, RN_E_PEER_PROTOCOL,
              "ack set: %u members are left, below %u", rn_sa_set_count(&linked), floor);
    for (uint32_t i = 0; i < RN_SA_MEMBERS_MAX; i++) {
        peers[i].holders = holders[i];
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) set = {0};
    rn_sa_set_write(&set, &linked);
    const struct rn_view chain[] = {rn_view_of(transcript->t0, RN_HASH_BYTES), rn_buffer_view(&set),
                                    body};
    rn_sha256(transcript->t1, "rondo/v1 secagg T1", chain, RN_ARRAY_LENGTH(chain));
    memcpy(transcript->peers, peers, sizeof peers);
    transcript->dealers = dealers;
    transcript->linked = linked;
    transcript->level = RN_SA_LEVEL_LINKED;
    return rn_ok();
}
