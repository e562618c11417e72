/* SPDX-License-Identifier: Apache-2.0
 *
 * R1, second half. Ack, member to coordinator: whose shares opened and match their commitments, and
 * a hash of all R1 envelopes that this holder was shown.
 * Ack set, coordinator to all: all R1 envelopes and all Acks; it defines U2 and T1.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/roster.h"
#include "crypto/secagg/messages.h"

#include <string.h>

/* The dealers whose Shares have an entry for this member. */
static struct rn_sa_set dealers_of(const struct rn_sa_transcript *transcript, uint32_t member,
                                   const struct rn_sa_set *dealers)
{
    const struct rn_sa_set circle = rn_sa_transcript_circle(transcript, member);
    return rn_sa_set_both(dealers, &circle);
}

/* All holders of a dealer must have been shown one R1 envelope of it, or it or the coordinator
 * lies. shown: the dealers that dealt to one holder. */
static void hash_seen(const struct rn_sa_transcript *transcript, const struct rn_sa_peer *peers,
                      const struct rn_sa_set *shown, uint8_t out[static RN_HASH_BYTES])
{
    struct rn_sha256 RN_CLEANUP(rn_sha256_clear) state = {0};
    rn_sha256_init(&state, "rondo/v1 secagg seen");
    rn_sha256_update(&state, transcript->t0, RN_HASH_BYTES);
    for (uint32_t i = rn_sa_set_next(shown, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(shown, i + 1)) {
        rn_sha256_update(&state, peers[i].shares_envelope, RN_SA_ENVELOPE_BYTES);
    }
    rn_sha256_final(&state, out);
}

void rn_sa_ack_write(const struct rn_sa_transcript *transcript, uint32_t self,
                     const struct rn_sa_set *valid, const struct rn_identity *identity,
                     struct rn_buffer *out)
{
    uint8_t seen[RN_HASH_BYTES];
    const struct rn_sa_set shown = dealers_of(transcript, self, &transcript->dealers);
    hash_seen(transcript, transcript->peers, &shown, seen);
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

/* One Ack under these dealers, whose envelopes stand in peers. */
static rn_result read_ack(const struct rn_sa_transcript *transcript, const struct rn_sa_peer *peers,
                          const struct rn_sa_set *dealers, const struct rn_sa_message *message,
                          struct rn_sa_set *out_valid, struct rn_error *err)
{
    const uint32_t sender = message->sender;
    const struct rn_sa_set shown = dealers_of(transcript, sender, dealers);
    uint8_t seen[RN_HASH_BYTES];
    hash_seen(transcript, peers, &shown, seen);
    struct rn_reader r = rn_reader_of(message->body);
    const struct rn_sa_set valid = rn_sa_set_read(&r);
    uint8_t theirs[RN_HASH_BYTES];
    rn_read_copy(&r, theirs, sizeof theirs);
    RN_ENSURE(rn_reader_done(&r), err, RN_E_PEER_FORMAT, "ack: wrong length");
    RN_ENSURE(rn_sa_set_within(&valid, &shown), err, RN_E_PEER_PROTOCOL,
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
    struct rn_sa_set valid;
    return read_ack(transcript, transcript->peers, &transcript->dealers, message, &valid, err);
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

/* What the Acks of one session say. */
struct acks {
    struct rn_sa_set senders;
    struct rn_sa_set *valid;   /* [members]: whose shares were right, by the sender */
    struct rn_sa_set *holders; /* [members]: who found them right, by the dealer */
    struct rn_sa_set accused;  /* stay, though somebody complained */
};

static void clear_acks(struct acks *acks)
{
    rn_free(acks->valid);
    rn_free(acks->holders);
}

static struct acks new_acks(const struct rn_sa_transcript *transcript)
{
    const size_t members = transcript->graph.members;
    return (struct acks){.valid = rn_alloc(members, sizeof(struct rn_sa_set)),
                         .holders = rn_alloc(members, sizeof(struct rn_sa_set))};
}

/* Who of those that could acknowledge the dealer did. */
static struct rn_sa_set holders_of(const struct acks *acks, const struct rn_sa_set *asked,
                                   uint32_t dealer)
{
    struct rn_sa_set holders = {{0}};
    for (uint32_t j = rn_sa_set_next(asked, 0); j < RN_SA_MEMBERS_MAX;
         j = rn_sa_set_next(asked, j + 1)) {
        if (rn_sa_set_has(&acks->valid[j], dealer)) {
            rn_sa_set_add(&holders, j);
        }
    }
    return holders;
}

/* U2: members whose R1 and Ack came, with at least t holders and at most n_c complaints. */
static struct rn_sa_set find_linked(const struct rn_sa_transcript *transcript,
                                    const struct rn_sa_set *dealers, struct acks *acks)
{
    struct rn_sa_set linked = {{0}};
    for (uint32_t i = rn_sa_set_next(dealers, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(dealers, i + 1)) {
        const struct rn_sa_set circle = rn_sa_transcript_holders(transcript, i);
        const struct rn_sa_set asked = rn_sa_set_both(&circle, &acks->senders);
        acks->holders[i] = holders_of(acks, &asked, i);
        const uint32_t holders = rn_sa_set_count(&acks->holders[i]);
        const uint32_t complaints = rn_sa_set_count(&asked) - holders;
        if (rn_sa_set_has(&acks->senders, i) && holders >= transcript->threshold &&
            complaints <= transcript->params.colluding) {
            rn_sa_set_add(&linked, i);
            if (complaints > 0) {
                rn_sa_set_add(&acks->accused, i);
            }
        }
    }
    return linked;
}

struct rn_sa_set rn_sa_ack_linked(const struct rn_sa_transcript *transcript,
                                  const struct rn_buffer *messages, const struct rn_sa_set *set)
{
    struct acks RN_CLEANUP(clear_acks) acks = new_acks(transcript);
    acks.senders = *set;
    for (uint32_t i = rn_sa_set_next(set, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(set, i + 1)) {
        struct rn_reader r = rn_reader_of(rn_view_of(messages[i].data + RN_SA_ENVELOPE_BYTES,
                                                     messages[i].length - RN_SA_ENVELOPE_BYTES));
        acks.valid[i] = rn_sa_set_read(&r);
    }
    return find_linked(transcript, &transcript->dealers, &acks);
}

/* Of a dealer whose Shares a participant was shown, the envelope has to be that one; the others'
 * are new to it. */
static rn_result check_dealer(const struct rn_sa_transcript *transcript,
                              const struct rn_sa_message *envelope, struct rn_error *err)
{
    const uint32_t dealer = envelope->sender;
    if (!rn_sa_set_has(&transcript->handed, dealer)) {
        return rn_sa_transcript_nested(transcript, envelope, RN_SA_SHARES, transcript->t0, err);
    }
    RN_ENSURE(rn_sa_set_has(&transcript->dealers, dealer) &&
                  memcmp(transcript->peers[dealer].shares_envelope, envelope->envelope.data,
                         RN_SA_ENVELOPE_BYTES) == 0,
              err, RN_E_PEER_PROTOCOL,
              "ack set: the shares of member %u are not those that were handed out", dealer);
    return rn_ok();
}

/* The R1 envelopes; of those who deal to a participant, exactly the ones that it was shown. */
static rn_result read_dealers(const struct rn_sa_transcript *transcript, struct rn_reader *r,
                              struct rn_sa_peer *peers, struct rn_sa_set *out_dealers,
                              struct rn_error *err)
{
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
        RN_TRY(check_dealer(transcript, &envelope, err));
        memcpy(peers[dealer].shares_envelope, envelope.envelope.data, RN_SA_ENVELOPE_BYTES);
        rn_sa_set_add(&dealers, dealer);
        least = dealer + 1;
    }
    RN_ENSURE(rn_sa_set_within(&transcript->dealers, &dealers), err, RN_E_PEER_PROTOCOL,
              "ack set: a dealer is missing whose shares were handed out");
    *out_dealers = dealers;
    return rn_ok();
}

static rn_result read_acks(const struct rn_sa_transcript *transcript, struct rn_reader *r,
                           const struct rn_sa_peer *peers, const struct rn_sa_set *dealers,
                           struct acks *acks, struct rn_error *err)
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
        RN_TRY(read_ack(transcript, peers, dealers, &message, &acks->valid[message.sender], err));
        rn_sa_set_add(&acks->senders, message.sender);
        least = message.sender + 1;
    }
    return rn_ok();
}

static void hash_t1(struct rn_sa_transcript *transcript, const struct rn_sa_set *linked,
                    struct rn_view body)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) set = {0};
    rn_sa_set_write(&set, linked);
    const struct rn_view chain[] = {rn_view_of(transcript->t0, RN_HASH_BYTES), rn_buffer_view(&set),
                                    body};
    rn_sha256(transcript->t1, "rondo/v1 secagg T1", chain, RN_ARRAY_LENGTH(chain));
}

rn_result rn_sa_ack_set_apply(struct rn_sa_transcript *transcript, struct rn_view body,
                              struct rn_error *err)
{
    const size_t members = transcript->graph.members;
    struct rn_sa_peer *RN_CLEANUP(rn_free_cleanup) peers = rn_alloc(members, sizeof *peers);
    memcpy(peers, transcript->peers, members * sizeof *peers);
    struct acks RN_CLEANUP(clear_acks) acks = new_acks(transcript);
    struct rn_reader r = rn_reader_of(body);
    struct rn_sa_set dealers;
    RN_TRY(read_dealers(transcript, &r, peers, &dealers, err));
    RN_TRY(read_acks(transcript, &r, peers, &dealers, &acks, err));
    const struct rn_sa_set linked = find_linked(transcript, &dealers, &acks);
    const uint32_t floor = rn_sa_floor(&transcript->params, 0);
    RN_ENSURE(rn_sa_set_count(&linked) >= floor, err, RN_E_PEER_PROTOCOL,
              "ack set: %u members are left, below %u", rn_sa_set_count(&linked), floor);
    for (size_t i = 0; i < members; i++) {
        peers[i].holders = acks.holders[i];
    }
    hash_t1(transcript, &linked, body);
    memcpy(transcript->peers, peers, members * sizeof *peers);
    transcript->dealers = dealers;
    transcript->linked = linked;
    transcript->accused = acks.accused;
    transcript->level = RN_SA_LEVEL_LINKED;
    return rn_ok();
}
