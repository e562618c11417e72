/* SPDX-License-Identifier: Apache-2.0
 *
 * R1. Shares, member to coordinator: for every member of T0, by place, the sealed shares of the
 * mask secret s and of the self seed b, and a hash commitment to each share. The signature covers a
 * root over the entries, so that a holder can check its own entry with the list of leaves.
 * Share set, coordinator to one holder: of every dealer the signed envelope, leaves, and the
 * holder's own entry.
 */
#include "base/guard.h"
#include "crypto/secagg/messages.h"
#include "crypto/shamir.h"

#include <string.h>

#define PLAIN_BYTES (RN_SA_SEALED_BYTES - RN_CHANNEL_OVERHEAD)
_Static_assert(PLAIN_BYTES == 4 + 4 + 5 * 32, "the plain text of one entry");

void rn_sa_share_commit(const struct rn_sa_transcript *transcript, enum rn_sa_kind kind,
                        uint32_t dealer, uint32_t holder, const struct rn_scalar *share,
                        const uint8_t opening[static 32], uint8_t out[static RN_HASH_BYTES])
{
    uint8_t bytes[RN_HASH_BYTES + 3 * 4 + RN_SCALAR_BYTES + 32];
    struct rn_writer w = rn_writer_to(bytes, sizeof bytes);
    rn_write_bytes(&w, transcript->session, RN_HASH_BYTES);
    rn_write_u32(&w, (uint32_t)kind);
    rn_write_u32(&w, dealer);
    rn_write_u32(&w, holder);
    rn_write_bytes(&w, share->bytes, RN_SCALAR_BYTES);
    rn_write_bytes(&w, opening, 32);
    RN_BUG_IF(!rn_writer_done(&w));
    const struct rn_view view = rn_view_of(bytes, w.position);
    rn_sha256(out, "rondo/v1 secagg share", &view, 1);
    rn_secret_wipe(bytes, sizeof bytes);
}

static void hash_leaf(uint32_t holder, struct rn_view entry, uint8_t out[static RN_HASH_BYTES])
{
    uint8_t sealed[RN_HASH_BYTES];
    const struct rn_view ciphertext = rn_view_of(entry.data, RN_SA_SEALED_BYTES);
    rn_sha256(sealed, "rondo/v1 secagg sealed", &ciphertext, 1);
    uint8_t place[4];
    struct rn_writer w = rn_writer_to(place, sizeof place);
    rn_write_u32(&w, holder);
    const struct rn_view parts[] = {
        rn_view_of(place, sizeof place),
        rn_view_of(sealed, sizeof sealed),
        rn_view_of(entry.data + RN_SA_SEALED_BYTES, 2 * RN_HASH_BYTES),
    };
    rn_sha256(out, "rondo/v1 secagg leaf", parts, RN_ARRAY_LENGTH(parts));
}

static void hash_root(const struct rn_sa_transcript *transcript, uint32_t dealer,
                      const uint8_t *leaves, uint8_t out[static RN_HASH_BYTES])
{
    uint8_t head[RN_HASH_BYTES + 8];
    struct rn_writer w = rn_writer_to(head, sizeof head);
    rn_write_bytes(&w, transcript->t0, RN_HASH_BYTES);
    rn_write_u32(&w, dealer);
    rn_write_u32(&w, transcript->n);
    const struct rn_view parts[] = {
        rn_view_of(head, sizeof head),
        rn_view_of(leaves, (size_t)transcript->n * RN_HASH_BYTES),
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

/* One entry; slot holds the shares and openings for this holder. */
static rn_result write_entry(const struct rn_sa_transcript *transcript, uint32_t self,
                             uint32_t holder, const struct rn_sa_secrets *secrets,
                             const struct rn_sa_slot *slot, uint8_t *out, struct rn_error *err)
{
    memset(out, 0, RN_SA_SEALED_BYTES);
    if (holder != self) { /* the own share does not leave */
        uint8_t plain[PLAIN_BYTES];
        struct rn_writer w = rn_writer_to(plain, sizeof plain);
        rn_write_u32(&w, self);
        rn_write_u32(&w, holder);
        rn_write_bytes(&w, transcript->session, RN_HASH_BYTES);
        rn_write_bytes(&w, slot->share_s.bytes, 32);
        rn_write_bytes(&w, slot->share_b.bytes, 32);
        rn_write_bytes(&w, slot->opening_s, 32);
        rn_write_bytes(&w, slot->opening_b, 32);
        RN_BUG_IF(!rn_writer_done(&w) || w.position != sizeof plain);
        const struct rn_channel_context context = channel_context(transcript, self, holder);
        const rn_result sealed =
            rn_channel_seal(&secrets->channel, &transcript->peers[holder].channel, &context,
                            rn_view_of(plain, sizeof plain), out, err);
        rn_secret_wipe(plain, sizeof plain);
        RN_TRY(sealed);
    }
    uint8_t *commitments = out + RN_SA_SEALED_BYTES;
    rn_sa_share_commit(transcript, RN_SA_KIND_S, self, holder, &slot->share_s, slot->opening_s,
                       commitments);
    rn_sa_share_commit(transcript, RN_SA_KIND_B, self, holder, &slot->share_b, slot->opening_b,
                       commitments + RN_HASH_BYTES);
    return rn_ok();
}

/* Shares of both secrets for all holders, by place. */
struct dealt {
    uint32_t holders[RN_SA_MEMBERS_MAX];
    struct rn_scalar s[RN_SA_MEMBERS_MAX];
    struct rn_scalar b[RN_SA_MEMBERS_MAX];
};

static rn_result deal(const struct rn_sa_transcript *transcript, struct rn_sa_secrets *secrets,
                      struct dealt *out, struct rn_error *err)
{
    uint32_t n = 0;
    for (uint32_t i = rn_sa_set_next(&transcript->joined, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&transcript->joined, i + 1)) {
        out->holders[n++] = i;
    }
    RN_TRY(rn_shamir_share(&secrets->mask, transcript->quorum, out->holders, n, &secrets->stream,
                           out->s, err));
    return rn_shamir_share(&secrets->self, transcript->quorum, out->holders, n, &secrets->stream,
                           out->b, err);
}

static rn_result write_body(const struct rn_sa_transcript *transcript, uint32_t self,
                            struct rn_sa_secrets *secrets, const struct dealt *dealt,
                            struct rn_buffer *out_body, uint8_t *out_leaves, struct rn_error *err)
{
    struct rn_sa_slot slot = {.state = RN_SA_SLOT_BOTH};
    rn_result result = rn_ok();
    for (uint32_t k = 0; k < transcript->n && rn_is_ok(result); k++) {
        const uint32_t holder = dealt->holders[k];
        slot.share_s = dealt->s[k];
        slot.share_b = dealt->b[k];
        rn_stream_read(&secrets->stream, slot.opening_s, sizeof slot.opening_s);
        rn_stream_read(&secrets->stream, slot.opening_b, sizeof slot.opening_b);
        if (holder == self) {
            secrets->slots[self] = slot;
        }
        uint8_t *entry = rn_buffer_grow(out_body, RN_SA_ENTRY_BYTES);
        RN_BUG_IF(entry == NULL);
        result = write_entry(transcript, self, holder, secrets, &slot, entry, err);
        hash_leaf(holder, rn_view_of(entry, RN_SA_ENTRY_BYTES),
                  out_leaves + (size_t)k * RN_HASH_BYTES);
    }
    rn_secret_wipe(&slot, sizeof slot);
    return result;
}

rn_result rn_sa_shares_write(const struct rn_sa_transcript *transcript, uint32_t self,
                             struct rn_sa_secrets *secrets, const struct rn_identity *identity,
                             struct rn_buffer *out, struct rn_error *err)
{
    struct dealt *RN_CLEANUP(rn_secret_free_cleanup) dealt = rn_secret_alloc(sizeof *dealt);
    RN_TRY(deal(transcript, secrets, dealt, err));
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    uint8_t leaves[RN_SA_MEMBERS_MAX * RN_HASH_BYTES];
    RN_TRY(write_body(transcript, self, secrets, dealt, &body, leaves, err));
    uint8_t root[RN_HASH_BYTES];
    hash_root(transcript, self, leaves, root);
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

void rn_sa_shares_root(const struct rn_sa_transcript *transcript, uint32_t dealer,
                       struct rn_view body, uint8_t *out_leaves,
                       uint8_t out_root[static RN_HASH_BYTES])
{
    RN_BUG_IF(body.length != (size_t)transcript->n * RN_SA_ENTRY_BYTES);
    struct rn_reader r = rn_reader_of(body);
    uint8_t *leaf = out_leaves;
    for (uint32_t i = rn_sa_set_next(&transcript->joined, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&transcript->joined, i + 1)) {
        hash_leaf(i, rn_read_view(&r, RN_SA_ENTRY_BYTES), leaf);
        leaf += RN_HASH_BYTES;
    }
    hash_root(transcript, dealer, out_leaves, out_root);
}

rn_result rn_sa_shares_check(const struct rn_sa_transcript *transcript,
                             const struct rn_sa_message *message, uint8_t *out_leaves,
                             struct rn_error *err)
{
    RN_ENSURE(message->body.length == (size_t)transcript->n * RN_SA_ENTRY_BYTES, err,
              RN_E_PEER_FORMAT, "shares: not one entry per member");
    uint8_t root[RN_HASH_BYTES];
    rn_sa_shares_root(transcript, message->sender, message->body, out_leaves, root);
    RN_ENSURE(memcmp(root, message->body_hash, RN_HASH_BYTES) == 0, err, RN_E_PEER_AUTH,
              "shares: the entries are not the signed ones");
    return rn_ok();
}

void rn_sa_shares_set_write(const struct rn_sa_transcript *transcript,
                            const struct rn_sa_dealing *dealings, const struct rn_sa_set *dealers,
                            uint32_t holder, struct rn_buffer *out_body)
{
    const uint32_t place = rn_sa_transcript_place(transcript, holder);
    rn_buffer_u32(out_body, rn_sa_set_count(dealers));
    for (uint32_t i = rn_sa_set_next(dealers, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(dealers, i + 1)) {
        const uint8_t *message = dealings[i].message.data;
        rn_buffer_append(out_body, message, RN_SA_ENVELOPE_BYTES);
        rn_buffer_append(out_body, dealings[i].leaves, (size_t)transcript->n * RN_HASH_BYTES);
        rn_buffer_append(out_body,
                         message + RN_SA_ENVELOPE_BYTES + (size_t)place * RN_SA_ENTRY_BYTES,
                         RN_SA_ENTRY_BYTES);
    }
}

/* Opens one entry; any failure is the dealer's and becomes a complaint. */
static rn_result open_entry(const struct rn_sa_transcript *transcript, uint32_t dealer,
                            uint32_t self, const struct rn_sa_secrets *secrets,
                            struct rn_view entry, struct rn_sa_slot *out, struct rn_error *err)
{
    uint8_t plain[PLAIN_BYTES];
    const struct rn_channel_context context = channel_context(transcript, dealer, self);
    RN_TRY(rn_channel_open(&secrets->channel, &transcript->peers[dealer].channel, &context,
                           rn_view_of(entry.data, RN_SA_SEALED_BYTES), plain, err));
    struct rn_reader r = rn_reader_of(rn_view_of(plain, sizeof plain));
    const bool ids = rn_read_u32(&r) == dealer && rn_read_u32(&r) == self;
    const struct rn_view session = rn_read_view(&r, RN_HASH_BYTES);
    const bool here = ids && rn_view_equal(session, rn_view_of(transcript->session, RN_HASH_BYTES));
    const rn_result s = rn_scalar_parse(rn_read_view(&r, 32).data, true, &out->share_s, err);
    const rn_result b = rn_scalar_parse(rn_read_view(&r, 32).data, true, &out->share_b, err);
    rn_read_copy(&r, out->opening_s, 32);
    rn_read_copy(&r, out->opening_b, 32);
    const bool whole = rn_reader_done(&r);
    rn_secret_wipe(plain, sizeof plain);
    RN_TRY(s);
    RN_TRY(b);
    RN_ENSURE(here && whole, err, RN_E_PEER_PROTOCOL, "shares: sealed for another place");

    uint8_t commitments[2 * RN_HASH_BYTES];
    rn_sa_share_commit(transcript, RN_SA_KIND_S, dealer, self, &out->share_s, out->opening_s,
                       commitments);
    rn_sa_share_commit(transcript, RN_SA_KIND_B, dealer, self, &out->share_b, out->opening_b,
                       commitments + RN_HASH_BYTES);
    RN_ENSURE(memcmp(commitments, entry.data + RN_SA_SEALED_BYTES, sizeof commitments) == 0, err,
              RN_E_PEER_PROTOCOL, "shares: a share does not match its commitment");
    out->state = RN_SA_SLOT_BOTH;
    return rn_ok();
}

/* What one holder's set says of one dealer, structure checked. */
struct part {
    struct rn_sa_message envelope;
    struct rn_view entry;
};

static rn_result read_part(const struct rn_sa_transcript *transcript, struct rn_reader *r,
                           uint32_t self, struct part *out, struct rn_error *err)
{
    RN_TRY(rn_sa_envelope_parse(rn_read_view(r, RN_SA_ENVELOPE_BYTES), &out->envelope, err));
    RN_TRY(rn_sa_transcript_nested(transcript, &out->envelope, RN_SA_SHARES, transcript->t0, err));
    const uint32_t dealer = out->envelope.sender;
    RN_ENSURE(rn_sa_set_has(&transcript->joined, dealer), err, RN_E_PEER_PROTOCOL,
              "share set: a dealer is not of this session");
    const struct rn_view leaves = rn_read_view(r, (size_t)transcript->n * RN_HASH_BYTES);
    out->entry = rn_read_view(r, RN_SA_ENTRY_BYTES);
    uint8_t hash[RN_HASH_BYTES];
    hash_root(transcript, dealer, leaves.data, hash);
    RN_ENSURE(memcmp(hash, out->envelope.body_hash, RN_HASH_BYTES) == 0, err, RN_E_PEER_AUTH,
              "share set: the leaves are not the ones that member %u signed", dealer);
    hash_leaf(self, out->entry, hash);
    const size_t place = rn_sa_transcript_place(transcript, self);
    RN_ENSURE(memcmp(hash, leaves.data + place * RN_HASH_BYTES, RN_HASH_BYTES) == 0, err,
              RN_E_PEER_AUTH, "share set: the entry is not the one that member %u signed", dealer);
    return rn_ok();
}

rn_result rn_sa_shares_set_apply(struct rn_sa_transcript *transcript, struct rn_view body,
                                 uint32_t self, struct rn_sa_secrets *secrets,
                                 struct rn_view own_envelope, struct rn_sa_set *out_valid,
                                 struct rn_error *err)
{
    const size_t part_bytes =
        RN_SA_ENVELOPE_BYTES + (size_t)transcript->n * RN_HASH_BYTES + RN_SA_ENTRY_BYTES;
    struct rn_reader r = rn_reader_of(body);
    const uint32_t count = rn_read_u32(&r);
    RN_ENSURE(count <= transcript->n && rn_reader_left(&r) == count * part_bytes, err,
              RN_E_PEER_FORMAT, "share set: wrong length");
    struct part parts[RN_SA_MEMBERS_MAX];
    struct rn_sa_set dealers = {{0}};
    uint32_t least = 0;
    for (uint32_t k = 0; k < count; k++) {
        RN_TRY(read_part(transcript, &r, self, &parts[k], err));
        const uint32_t dealer = parts[k].envelope.sender;
        RN_ENSURE(dealer >= least, err, RN_E_PEER_PROTOCOL,
                  "share set: dealers repeat or are out of order");
        RN_ENSURE(dealer != self || rn_view_equal(parts[k].envelope.envelope, own_envelope), err,
                  RN_E_PEER_PROTOCOL, "share set: own shares were altered");
        rn_sa_set_add(&dealers, dealer);
        least = dealer + 1;
    }
    struct rn_sa_set valid = {{0}};
    for (uint32_t k = 0; k < count; k++) {
        const uint32_t dealer = parts[k].envelope.sender;
        memcpy(transcript->peers[dealer].shares_envelope, parts[k].envelope.envelope.data,
               RN_SA_ENVELOPE_BYTES);
        struct rn_sa_slot *slot = &secrets->slots[dealer];
        if (dealer != self &&
            !rn_is_ok(open_entry(transcript, dealer, self, secrets, parts[k].entry, slot, NULL))) {
            rn_secret_wipe(slot, sizeof *slot);
        }
        if (slot->state == RN_SA_SLOT_BOTH) {
            rn_sa_set_add(&valid, dealer);
        }
    }
    transcript->dealers = dealers;
    *out_valid = valid;
    return rn_ok();
}
