/* SPDX-License-Identifier: Apache-2.0
 *
 * R2. Chunk, member to coordinator: packed masked elements with their canaries, each with a leaf
 * hash. Done, member to coordinator: the root over all leaves. Need, coordinator to one member:
 * which chunks are missing. The same chunk layout carries the sum back (R5).
 */
#include "base/guard.h"
#include "crypto/secagg/messages.h"

static const uint8_t *chain_hash(const struct rn_sa_transcript *transcript, uint32_t sender)
{
    return sender == RN_SA_COORDINATOR ? transcript->t2 : transcript->t1;
}

void rn_sa_chunk_write(const struct rn_sa_transcript *transcript, uint32_t sender, uint32_t chunk,
                       struct rn_view packed, const struct rn_identity *identity,
                       struct rn_buffer *out)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_u64(&body, (uint64_t)chunk * transcript->layout.chunk_elements);
    rn_buffer_u32(&body, rn_sa_layout_chunk_elements(&transcript->layout, chunk));
    rn_buffer_append(&body, packed.data, packed.length);
    const bool sum = sender == RN_SA_COORDINATOR;
    const struct rn_sa_draft draft = {
        .type = sum ? RN_SA_SUM_CHUNK : RN_SA_CHUNK,
        .sender = sender,
        .recipient = sum ? RN_SA_EVERYONE : RN_SA_COORDINATOR,
        .hash = chain_hash(transcript, sender),
        .body = rn_buffer_view(&body),
    };
    rn_sa_transcript_write(transcript, &draft, identity, out);
}

rn_result rn_sa_chunk_read(const struct rn_sa_transcript *transcript, struct rn_view body,
                           struct rn_sa_chunk *out, struct rn_error *err)
{
    const struct rn_sa_layout *layout = &transcript->layout;
    struct rn_reader r = rn_reader_of(body);
    const uint64_t first = rn_read_u64(&r);
    const uint32_t count = rn_read_u32(&r);
    RN_ENSURE(first < layout->elements && first % layout->chunk_elements == 0, err,
              RN_E_PEER_PROTOCOL, "chunk: does not start where a chunk starts");
    const uint32_t chunk = (uint32_t)(first / layout->chunk_elements);
    RN_ENSURE(count == rn_sa_layout_chunk_elements(layout, chunk) &&
                  rn_reader_left(&r) == rn_sa_layout_chunk_bytes(layout, chunk),
              err, RN_E_PEER_PROTOCOL, "chunk %u: wrong number of elements", chunk);
    const struct rn_view packed = rn_read_view(&r, rn_reader_left(&r));
    const uint64_t bits = (count + RN_SA_CANARIES) * (uint64_t)layout->bits;
    RN_ENSURE(bits % 8 == 0 || packed.data[packed.length - 1] >> (bits % 8) == 0, err,
              RN_E_PEER_FORMAT, "chunk %u: padding bits are set", chunk);
    out->chunk = chunk;
    out->packed = packed;
    return rn_ok();
}

void rn_sa_chunk_leaf(const struct rn_sa_transcript *transcript, uint32_t sender,
                      const struct rn_sa_chunk *chunk, uint8_t out[static RN_HASH_BYTES])
{
    uint8_t head[RN_HASH_BYTES + 4 + 8 + 4];
    struct rn_writer w = rn_writer_to(head, sizeof head);
    rn_write_bytes(&w, chain_hash(transcript, sender), RN_HASH_BYTES);
    rn_write_u32(&w, sender);
    rn_write_u64(&w, (uint64_t)chunk->chunk * transcript->layout.chunk_elements);
    rn_write_u32(&w, rn_sa_layout_chunk_elements(&transcript->layout, chunk->chunk));
    RN_BUG_IF(!rn_writer_done(&w));
    const struct rn_view parts[] = {rn_view_of(head, sizeof head), chunk->packed};
    rn_sha256(out, "rondo/v1 secagg chunk", parts, RN_ARRAY_LENGTH(parts));
}

void rn_sa_chunk_root(const struct rn_sa_transcript *transcript, uint32_t sender,
                      const uint8_t *leaves, uint8_t out[static RN_HASH_BYTES])
{
    const uint32_t chunks = transcript->layout.chunks;
    uint8_t head[RN_HASH_BYTES + 8];
    struct rn_writer w = rn_writer_to(head, sizeof head);
    rn_write_bytes(&w, chain_hash(transcript, sender), RN_HASH_BYTES);
    rn_write_u32(&w, sender);
    rn_write_u32(&w, chunks);
    const struct rn_view parts[] = {
        rn_view_of(head, sizeof head),
        rn_view_of(leaves, (size_t)chunks * RN_HASH_BYTES),
    };
    rn_sha256(out, "rondo/v1 secagg chunk root", parts, RN_ARRAY_LENGTH(parts));
}

void rn_sa_done_write(const struct rn_sa_transcript *transcript, uint32_t self,
                      const uint8_t root[static RN_HASH_BYTES], const struct rn_identity *identity,
                      struct rn_buffer *out)
{
    uint8_t body[RN_SA_DONE_BODY];
    struct rn_writer w = rn_writer_to(body, sizeof body);
    rn_write_u32(&w, transcript->layout.chunks);
    rn_write_u64(&w, transcript->layout.elements);
    rn_write_bytes(&w, root, RN_HASH_BYTES);
    RN_BUG_IF(!rn_writer_done(&w) || w.position != sizeof body);
    const struct rn_sa_draft draft = {
        .type = RN_SA_DONE,
        .sender = self,
        .recipient = RN_SA_COORDINATOR,
        .hash = transcript->t1,
        .body = rn_view_of(body, sizeof body),
    };
    rn_sa_transcript_write(transcript, &draft, identity, out);
}

rn_result rn_sa_done_read(const struct rn_sa_transcript *transcript, struct rn_view body,
                          uint8_t out_root[static RN_HASH_BYTES], struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(body);
    const uint32_t chunks = rn_read_u32(&r);
    const uint64_t elements = rn_read_u64(&r);
    rn_read_copy(&r, out_root, RN_HASH_BYTES);
    RN_ENSURE(rn_reader_done(&r), err, RN_E_PEER_FORMAT, "done: wrong length");
    RN_ENSURE(chunks == transcript->layout.chunks && elements == transcript->layout.elements, err,
              RN_E_PEER_PROTOCOL, "done: of a vector of another layout");
    return rn_ok();
}

size_t rn_sa_bits_bytes(const struct rn_sa_transcript *transcript)
{
    return ((size_t)transcript->layout.chunks + 7) / 8;
}

void rn_sa_need_write(const struct rn_sa_transcript *transcript, uint32_t recipient,
                      const uint8_t *bits, const struct rn_identity *identity,
                      struct rn_buffer *out)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_u32(&body, transcript->layout.chunks);
    rn_buffer_append(&body, bits, rn_sa_bits_bytes(transcript));
    const struct rn_sa_draft draft = {
        .type = RN_SA_NEED,
        .sender = RN_SA_COORDINATOR,
        .recipient = recipient,
        .hash = transcript->t1,
        .body = rn_buffer_view(&body),
    };
    rn_sa_transcript_write(transcript, &draft, identity, out);
}

rn_result rn_sa_need_read(const struct rn_sa_transcript *transcript, struct rn_view body,
                          struct rn_view *out_bits, struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(body);
    const uint32_t chunks = rn_read_u32(&r);
    const struct rn_view bits = rn_read_view(&r, rn_sa_bits_bytes(transcript));
    RN_ENSURE(rn_reader_done(&r) && chunks == transcript->layout.chunks, err, RN_E_PEER_FORMAT,
              "need: of a vector of another layout");
    *out_bits = bits;
    return rn_ok();
}
