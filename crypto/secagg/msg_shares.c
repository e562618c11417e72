/* SPDX-License-Identifier: Apache-2.0
 *
 * R1. Shares, member to coordinator: commitments to the coefficients of the two polynomials that
 * share the mask secret s and the self seed b (crypto/feldman.h), and for every member of T0 that
 * is of the dealer's circle in the graph, by place, its shares of both, sealed. The signature
 * covers a root over the commitments and the sealed entries, so that a holder can check its own
 * entry with the list of leaves. Share set, coordinator to one holder: of every dealer in its
 * circle the signed envelope, commitments, leaves, and the holder's own entry.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/feldman.h"
#include "crypto/secagg/messages.h"
#include "crypto/shamir.h"

#include <string.h>

#define PLAIN_BYTES (RN_SA_SEALED_BYTES - RN_CHANNEL_OVERHEAD)
_Static_assert(PLAIN_BYTES == 4 + 4 + 3 * 32, "the plain text of one entry");

size_t rn_sa_coefficient_bytes(const struct rn_sa_transcript *transcript)
{
    return (size_t)(transcript->threshold - 1) * RN_POINT_BYTES;
}

static uint32_t holder_count(const struct rn_sa_transcript *transcript, uint32_t dealer)
{
    const struct rn_sa_set holders = rn_sa_transcript_holders(transcript, dealer);
    return rn_sa_set_count(&holders);
}

static size_t shares_bytes(const struct rn_sa_transcript *transcript, uint32_t dealer)
{
    return 2 * rn_sa_coefficient_bytes(transcript) +
           (size_t)holder_count(transcript, dealer) * RN_SA_SEALED_BYTES;
}

static void hash_leaf(uint32_t holder, struct rn_view sealed, uint8_t out[static RN_HASH_BYTES])
{
    uint8_t place[4];
    struct rn_writer w = rn_writer_to(place, sizeof place);
    rn_write_u32(&w, holder);
    const struct rn_view parts[] = {rn_view_of(place, sizeof place), sealed};
    rn_sha256(out, "rondo/v1 secagg leaf", parts, RN_ARRAY_LENGTH(parts));
}

/* commitments: those to s, then those to b. */
static void hash_parts(const struct rn_sa_transcript *transcript, struct rn_view commitments,
                       struct rn_view leaves, struct rn_sa_shares_hashes *out)
{
    const size_t half = rn_sa_coefficient_bytes(transcript);
    const struct rn_view s = rn_view_of(commitments.data, half);
    const struct rn_view b = rn_view_of(commitments.data + half, half);
    rn_sha256(out->coefficients[0], "rondo/v1 secagg coefficients", &s, 1);
    rn_sha256(out->coefficients[1], "rondo/v1 secagg coefficients", &b, 1);
    rn_sha256(out->entries, "rondo/v1 secagg entries", &leaves, 1);
}

void rn_sa_shares_root(const struct rn_sa_transcript *transcript, uint32_t dealer,
                       const struct rn_sa_shares_hashes *hashes, uint8_t out[static RN_HASH_BYTES])
{
    uint8_t head[RN_HASH_BYTES + 8];
    struct rn_writer w = rn_writer_to(head, sizeof head);
    rn_write_bytes(&w, transcript->t0, RN_HASH_BYTES);
    rn_write_u32(&w, dealer);
    rn_write_u32(&w, holder_count(transcript, dealer));
    const struct rn_view parts[] = {
        rn_view_of(head, sizeof head),
        rn_view_of(hashes->coefficients[0], RN_HASH_BYTES),
        rn_view_of(hashes->coefficients[1], RN_HASH_BYTES),
        rn_view_of(hashes->entries, RN_HASH_BYTES),
    };
    rn_sha256(out, "rondo/v1 secagg shares root", parts, RN_ARRAY_LENGTH(parts));
}

static struct rn_channel_context channel_context(const struct rn_sa_transcript *transcript,
                                                 uint32_t from, uint32_t to)
{
    struct rn_channel_context context = {.from = from, .to = to};
    memcpy(context.session, transcript->session, RN_HASH_BYTES);
    memcpy(context.transcript, transcript->t0, RN_HASH_BYTES);
    return context;
}

/* One entry; slot holds the shares for this holder. */
static rn_result write_entry(const struct rn_sa_transcript *transcript, uint32_t self,
                             uint32_t holder, const struct rn_sa_secrets *secrets,
                             const struct rn_sa_slot *slot, uint8_t *out, struct rn_error *err)
{
    memset(out, 0, RN_SA_SEALED_BYTES);
    if (holder == self) { /* the own share does not leave */
        return rn_ok();
    }
    uint8_t plain[PLAIN_BYTES];
    struct rn_writer w = rn_writer_to(plain, sizeof plain);
    rn_write_u32(&w, self);
    rn_write_u32(&w, holder);
    rn_write_bytes(&w, transcript->session, RN_HASH_BYTES);
    rn_write_bytes(&w, slot->share_s.bytes, 32);
    rn_write_bytes(&w, slot->share_b.bytes, 32);
    RN_BUG_IF(!rn_writer_done(&w) || w.position != sizeof plain);
    const struct rn_channel_context context = channel_context(transcript, self, holder);
    const rn_result sealed = rn_channel_seal(&secrets->channel, &transcript->peers[holder].channel,
                                             &context, rn_view_of(plain, sizeof plain), out, err);
    rn_secret_wipe(plain, sizeof plain);
    return sealed;
}

/* The two polynomials of one dealer, t coefficients each. In secret memory. */
struct polynomials {
    struct rn_sa_slot slot; /* for the holder whose entry is being written */
    struct rn_scalar coefficients[];
};

static struct polynomials *new_polynomials(size_t t)
{
    return rn_secret_alloc(sizeof(struct polynomials) + 2 * t * sizeof(struct rn_scalar));
}

static void draw(const struct rn_sa_transcript *transcript, struct rn_sa_secrets *secrets,
                 struct polynomials *out, struct rn_buffer *out_body)
{
    const size_t t = transcript->threshold;
    rn_shamir_draw(&secrets->mask_secret, t, &secrets->stream, out->coefficients);
    rn_shamir_draw(&secrets->self_seed, t, &secrets->stream, out->coefficients + t);
    struct rn_point *RN_CLEANUP(rn_free_cleanup) commitments = rn_alloc(2 * t, sizeof *commitments);
    rn_feldman_commit(out->coefficients, t, commitments);
    rn_feldman_commit(out->coefficients + t, t, commitments + (t - 1));
    rn_buffer_append(out_body, commitments, 2 * rn_sa_coefficient_bytes(transcript));
}

static rn_result write_entries(const struct rn_sa_transcript *transcript, uint32_t self,
                               struct rn_sa_secrets *secrets, struct polynomials *polynomials,
                               struct rn_buffer *out_body, struct rn_error *err)
{
    const size_t t = transcript->threshold;
    const struct rn_sa_set holders = rn_sa_transcript_holders(transcript, self);
    struct rn_sa_slot *slot = &polynomials->slot;
    slot->state = RN_SA_SLOT_BOTH;
    for (uint32_t i = rn_sa_set_next(&holders, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&holders, i + 1)) {
        rn_shamir_evaluate(polynomials->coefficients, t, i, &slot->share_s);
        rn_shamir_evaluate(polynomials->coefficients + t, t, i, &slot->share_b);
        if (i == self) {
            *rn_sa_secrets_slot(secrets, self) = *slot;
        }
        uint8_t *entry = rn_buffer_grow(out_body, RN_SA_SEALED_BYTES);
        RN_BUG_IF(entry == NULL);
        RN_TRY(write_entry(transcript, self, i, secrets, slot, entry, err));
    }
    return rn_ok();
}

void rn_sa_shares_hash(const struct rn_sa_transcript *transcript, uint32_t dealer,
                       struct rn_view body, uint8_t *out_leaves, struct rn_sa_shares_hashes *out)
{
    RN_BUG_IF(body.length != shares_bytes(transcript, dealer));
    struct rn_reader r = rn_reader_of(body);
    const struct rn_view commitments = rn_read_view(&r, 2 * rn_sa_coefficient_bytes(transcript));
    const struct rn_sa_set holders = rn_sa_transcript_holders(transcript, dealer);
    uint8_t *leaf = out_leaves;
    for (uint32_t i = rn_sa_set_next(&holders, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&holders, i + 1)) {
        hash_leaf(i, rn_read_view(&r, RN_SA_SEALED_BYTES), leaf);
        leaf += RN_HASH_BYTES;
    }
    const struct rn_view leaves = rn_view_of(out_leaves, (size_t)(leaf - out_leaves));
    hash_parts(transcript, commitments, leaves, out);
}

rn_result rn_sa_shares_write(const struct rn_sa_transcript *transcript, uint32_t self,
                             struct rn_sa_secrets *secrets, const struct rn_identity *identity,
                             struct rn_buffer *out, struct rn_error *err)
{
    const uint32_t holders = holder_count(transcript, self);
    RN_ENSURE(transcript->threshold <= holders, err, RN_E_PEER_PROTOCOL,
              "shares: fewer holders than the threshold");
    struct polynomials *RN_CLEANUP(rn_secret_free_cleanup) polynomials =
        new_polynomials(transcript->threshold);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    draw(transcript, secrets, polynomials, &body);
    RN_TRY(write_entries(transcript, self, secrets, polynomials, &body, err));
    uint8_t *RN_CLEANUP(rn_free_cleanup) leaves = rn_alloc(holders, RN_HASH_BYTES);
    struct rn_sa_shares_hashes hashes;
    uint8_t root[RN_HASH_BYTES];
    rn_sa_shares_hash(transcript, self, rn_buffer_view(&body), leaves, &hashes);
    rn_sa_shares_root(transcript, self, &hashes, root);
    const struct rn_sa_draft draft = {
        .type = RN_SA_SHARES,
        .sender = self,
        .recipient = RN_SA_COORDINATOR,
        .hash = transcript->t0,
        .body = rn_buffer_view(&body),
        .body_hash = root,
    };
    rn_sa_transcript_write(transcript, &draft, identity, out);
    return rn_ok();
}

rn_result rn_sa_shares_check(const struct rn_sa_transcript *transcript,
                             const struct rn_sa_message *message, uint8_t *out_leaves,
                             struct rn_error *err)
{
    RN_ENSURE(message->body.length == shares_bytes(transcript, message->sender), err,
              RN_E_PEER_FORMAT,
              "shares: not t - 1 commitments to each secret and one entry per holder");
    struct rn_sa_shares_hashes hashes;
    uint8_t root[RN_HASH_BYTES];
    rn_sa_shares_hash(transcript, message->sender, message->body, out_leaves, &hashes);
    rn_sa_shares_root(transcript, message->sender, &hashes, root);
    RN_ENSURE(memcmp(root, message->body_hash, RN_HASH_BYTES) == 0, err, RN_E_PEER_AUTH,
              "shares: commitments and entries are not the signed ones");
    return rn_feldman_check(rn_view_of(message->body.data, 2 * rn_sa_coefficient_bytes(transcript)),
                            err);
}

struct rn_view rn_sa_dealing_coefficients(const struct rn_sa_transcript *transcript,
                                          const struct rn_sa_dealing *dealing, enum rn_sa_kind kind)
{
    const size_t half = rn_sa_coefficient_bytes(transcript);
    const uint8_t *body = dealing->message.data + RN_SA_ENVELOPE_BYTES;
    return rn_view_of(body + (kind == RN_SA_KIND_B ? half : 0), half);
}

/* The place of a holder's entry among the dealer's. */
static size_t place_of(const struct rn_sa_transcript *transcript, uint32_t dealer, uint32_t holder)
{
    const struct rn_sa_set holders = rn_sa_transcript_holders(transcript, dealer);
    return rn_sa_set_rank(&holders, holder);
}

void rn_sa_shares_set_write(const struct rn_sa_transcript *transcript,
                            const struct rn_sa_dealing *dealings, const struct rn_sa_set *dealers,
                            uint32_t holder, struct rn_buffer *out_body)
{
    const size_t open = RN_SA_ENVELOPE_BYTES + 2 * rn_sa_coefficient_bytes(transcript);
    const struct rn_sa_set circle = rn_sa_transcript_circle(transcript, holder);
    const struct rn_sa_set shown = rn_sa_set_both(dealers, &circle);
    rn_buffer_u32(out_body, rn_sa_set_count(&shown));
    for (uint32_t i = rn_sa_set_next(&shown, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&shown, i + 1)) {
        const uint8_t *message = dealings[i].message.data;
        const size_t place = place_of(transcript, i, holder);
        rn_buffer_append(out_body, message, open);
        rn_buffer_append(out_body, dealings[i].leaves,
                         (size_t)holder_count(transcript, i) * RN_HASH_BYTES);
        rn_buffer_append(out_body, message + open + place * RN_SA_SEALED_BYTES, RN_SA_SEALED_BYTES);
    }
}

static const struct rn_point *constant_of(const struct rn_sa_transcript *transcript,
                                          enum rn_sa_kind kind, uint32_t dealer)
{
    const struct rn_sa_peer *peer = &transcript->peers[dealer];
    return kind == RN_SA_KIND_B ? &peer->self : &peer->mask;
}

rn_result rn_sa_share_expected(const struct rn_sa_transcript *transcript, enum rn_sa_kind kind,
                               uint32_t dealer, uint32_t holder, struct rn_view coefficients,
                               struct rn_point *out, struct rn_error *err)
{
    const struct rn_point *constant = constant_of(transcript, kind, dealer);
    return rn_feldman_evaluate(constant, coefficients, holder, out, err);
}

rn_result rn_sa_shares_expected(const struct rn_sa_transcript *transcript, enum rn_sa_kind kind,
                                uint32_t dealer, struct rn_view coefficients,
                                const uint32_t *holders, size_t count, struct rn_point *out,
                                struct rn_error *err)
{
    const struct rn_point *constant = constant_of(transcript, kind, dealer);
    return rn_feldman_expect(constant, coefficients, holders, count, out, err);
}

rn_result rn_sa_share_check(const struct rn_sa_transcript *transcript, enum rn_sa_kind kind,
                            uint32_t dealer, uint32_t holder, struct rn_view coefficients,
                            const struct rn_scalar *share, struct rn_error *err)
{
    struct rn_point expected;
    const rn_result quick =
        rn_sa_shares_expected(transcript, kind, dealer, coefficients, &holder, 1, &expected, NULL);
    if (rn_is_ok(quick) && rn_feldman_matches(&expected, share)) {
        return rn_ok();
    }
    RN_TRY(rn_sa_share_expected(transcript, kind, dealer, holder, coefficients, &expected, err));
    RN_ENSURE(rn_feldman_matches(&expected, share), err, RN_E_PEER_PROTOCOL,
              "a share of member %u for member %u is not on the polynomial that was committed to",
              dealer, holder);
    return rn_ok();
}

/* What one holder's set says of one dealer, structure checked. */
struct part {
    struct rn_sa_message envelope;
    struct rn_view commitments;
    struct rn_view entry;
};

/* Opens one entry; any failure is the dealer's and becomes a complaint. */
static rn_result open_entry(const struct rn_sa_transcript *transcript, uint32_t self,
                            const struct rn_sa_secrets *secrets, const struct part *part,
                            struct rn_sa_slot *out, struct rn_error *err)
{
    const uint32_t dealer = part->envelope.sender;
    uint8_t plain[PLAIN_BYTES];
    const struct rn_channel_context context = channel_context(transcript, dealer, self);
    RN_TRY(rn_channel_open(&secrets->channel, &transcript->peers[dealer].channel, &context,
                           part->entry, plain, err));
    struct rn_reader r = rn_reader_of(rn_view_of(plain, sizeof plain));
    const bool ids = rn_read_u32(&r) == dealer && rn_read_u32(&r) == self;
    const struct rn_view session = rn_read_view(&r, RN_HASH_BYTES);
    const bool here = ids && rn_view_equal(session, rn_view_of(transcript->session, RN_HASH_BYTES));
    const rn_result s = rn_scalar_parse(rn_read_view(&r, 32).data, true, &out->share_s, err);
    const rn_result b = rn_scalar_parse(rn_read_view(&r, 32).data, true, &out->share_b, err);
    const bool whole = rn_reader_done(&r);
    rn_secret_wipe(plain, sizeof plain);
    RN_TRY(s);
    RN_TRY(b);
    RN_ENSURE(here && whole, err, RN_E_PEER_PROTOCOL, "shares: sealed for another place");
    const size_t half = rn_sa_coefficient_bytes(transcript);
    const uint8_t *commitments = part->commitments.data;
    RN_TRY(rn_sa_share_check(transcript, RN_SA_KIND_S, dealer, self, rn_view_of(commitments, half),
                             &out->share_s, err));
    RN_TRY(rn_sa_share_check(transcript, RN_SA_KIND_B, dealer, self,
                             rn_view_of(commitments + half, half), &out->share_b, err));
    out->state = RN_SA_SLOT_BOTH;
    return rn_ok();
}

/* One dealer's part. circle: the own one. */
static rn_result read_part(const struct rn_sa_transcript *transcript, struct rn_reader *r,
                           uint32_t self, const struct rn_sa_set *circle, struct part *out,
                           struct rn_error *err)
{
    RN_TRY(rn_sa_envelope_parse(rn_read_view(r, RN_SA_ENVELOPE_BYTES), &out->envelope, err));
    RN_TRY(rn_sa_transcript_nested(transcript, &out->envelope, RN_SA_SHARES, transcript->t0, err));
    const uint32_t dealer = out->envelope.sender;
    RN_ENSURE(rn_sa_set_has(&transcript->joined, dealer) && rn_sa_set_has(circle, dealer), err,
              RN_E_PEER_PROTOCOL, "share set: a dealer is not of this session, or no neighbour");
    out->commitments = rn_read_view(r, 2 * rn_sa_coefficient_bytes(transcript));
    const struct rn_view leaves =
        rn_read_view(r, (size_t)holder_count(transcript, dealer) * RN_HASH_BYTES);
    out->entry = rn_read_view(r, RN_SA_SEALED_BYTES);
    RN_ENSURE(!r->failed, err, RN_E_PEER_FORMAT, "share set: wrong length");
    struct rn_sa_shares_hashes hashes;
    uint8_t hash[RN_HASH_BYTES];
    hash_parts(transcript, out->commitments, leaves, &hashes);
    rn_sa_shares_root(transcript, dealer, &hashes, hash);
    RN_ENSURE(memcmp(hash, out->envelope.body_hash, RN_HASH_BYTES) == 0, err, RN_E_PEER_AUTH,
              "share set: commitments or leaves are not the ones that member %u signed", dealer);
    hash_leaf(self, out->entry, hash);
    const size_t place = place_of(transcript, dealer, self);
    RN_ENSURE(memcmp(hash, leaves.data + place * RN_HASH_BYTES, RN_HASH_BYTES) == 0, err,
              RN_E_PEER_AUTH, "share set: the entry is not the one that member %u signed", dealer);
    return rn_ok();
}

/* The parts of a set for one holder, one for each dealer in its circle. */
struct parts {
    uint32_t count;
    struct part *items;
};

static void clear_parts(struct parts *parts)
{
    rn_free(parts->items);
}

static rn_result read_parts(const struct rn_sa_transcript *transcript, struct rn_view body,
                            uint32_t self, struct rn_view own_envelope, struct parts *out,
                            struct rn_error *err)
{
    const struct rn_sa_set circle = rn_sa_transcript_holders(transcript, self);
    struct rn_reader r = rn_reader_of(body);
    const uint32_t count = rn_read_u32(&r);
    RN_ENSURE(count <= rn_sa_set_count(&circle), err, RN_E_PEER_FORMAT, "share set: wrong length");
    out->items = rn_alloc(count + 1, sizeof *out->items);
    uint32_t least = 0;
    for (uint32_t k = 0; k < count; k++) {
        RN_TRY(read_part(transcript, &r, self, &circle, &out->items[k], err));
        const struct rn_sa_message *envelope = &out->items[k].envelope;
        RN_ENSURE(envelope->sender >= least, err, RN_E_PEER_PROTOCOL,
                  "share set: dealers repeat or are out of order");
        RN_ENSURE(envelope->sender != self || rn_view_equal(envelope->envelope, own_envelope), err,
                  RN_E_PEER_PROTOCOL, "share set: own shares were altered");
        least = envelope->sender + 1;
    }
    RN_ENSURE(rn_reader_done(&r), err, RN_E_PEER_FORMAT, "share set: wrong length");
    out->count = count;
    return rn_ok();
}

rn_result rn_sa_shares_set_apply(struct rn_sa_transcript *transcript, struct rn_view body,
                                 uint32_t self, struct rn_sa_secrets *secrets,
                                 struct rn_view own_envelope, struct rn_sa_set *out_valid,
                                 struct rn_error *err)
{
    struct parts RN_CLEANUP(clear_parts) parts = {0};
    RN_TRY(read_parts(transcript, body, self, own_envelope, &parts, err));
    struct rn_sa_set dealers = {{0}};
    struct rn_sa_set valid = {{0}};
    for (uint32_t k = 0; k < parts.count; k++) {
        const struct part *part = &parts.items[k];
        const uint32_t dealer = part->envelope.sender;
        memcpy(transcript->peers[dealer].shares_envelope, part->envelope.envelope.data,
               RN_SA_ENVELOPE_BYTES);
        rn_sa_set_add(&dealers, dealer);
        struct rn_sa_slot *slot = rn_sa_secrets_slot(secrets, dealer);
        if (dealer != self && !rn_is_ok(open_entry(transcript, self, secrets, part, slot, NULL))) {
            rn_secret_wipe(slot, sizeof *slot);
        }
        if (slot->state == RN_SA_SLOT_BOTH) {
            rn_sa_set_add(&valid, dealer);
        }
    }
    transcript->handed = rn_sa_transcript_holders(transcript, self);
    transcript->dealers = dealers;
    *out_valid = valid;
    return rn_ok();
}
