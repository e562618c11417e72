/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secagg/audit.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/pack.h"
#include "crypto/secagg/openmasks.h"

#include <string.h>

struct rn_sa_audit {
    const struct rn_sa_transcript *t;
    uint32_t self;
    const uint8_t *sum_leaves;
    struct rn_sa_open_masks *masks;
    uint8_t **leaves;      /* [members][chunks][32] of an upload; NULL: not here yet */
    uint32_t chunk;        /* being replayed; layout.chunks: done */
    struct rn_sa_set left; /* of the survivors, for leaves or for this chunk */
    bool has_leaves;
    void *lanes;               /* [chunk_elements + RN_SA_CANARIES] of this chunk */
    struct rn_buffer *uploads; /* [members]: whole Chunks of it, for a proof */
    size_t kept;               /* bytes of them; none are kept beyond RN_SA_SUM_PROOF_MAX */
};

bool rn_sa_audit_has(const struct rn_sa_transcript *transcript, uint32_t member, uint32_t chunk)
{
    const uint32_t members = transcript->params.members;
    struct rn_reader r = rn_reader_of(rn_view_of(transcript->t2, RN_HASH_BYTES));
    const uint64_t first = (uint64_t)rn_read_u32(&r) + chunk;
    return (member + members - first % members) % members < rn_sa_auditors(&transcript->params);
}

static uint32_t next_chunk(const struct rn_sa_audit *audit, uint32_t from)
{
    const uint32_t chunks = audit->t->layout.chunks;
    while (from < chunks && !rn_sa_audit_has(audit->t, audit->self, from)) {
        from++;
    }
    return from;
}

static size_t lanes_of(const struct rn_sa_audit *audit)
{
    return (size_t)rn_sa_layout_chunk_elements(&audit->t->layout, audit->chunk) + RN_SA_CANARIES;
}

static void forget_uploads(struct rn_sa_audit *audit)
{
    for (uint32_t i = 0; i < audit->t->graph.members; i++) {
        rn_buffer_clear(&audit->uploads[i]);
    }
}

/* A proof that would be too large is none: then memory holds no upload but the one that came. */
static void keep_upload(struct rn_sa_audit *audit, uint32_t member, struct rn_view whole)
{
    audit->kept += whole.length;
    if (audit->kept <= RN_SA_SUM_PROOF_MAX) {
        rn_buffer_append(&audit->uploads[member], whole.data, whole.length);
    } else {
        forget_uploads(audit);
    }
}

static void begin_chunk(struct rn_sa_audit *audit, uint32_t chunk)
{
    const struct rn_sa_layout *layout = &audit->t->layout;
    audit->chunk = chunk;
    audit->left = audit->t->survivors;
    memset(audit->lanes, 0, ((size_t)layout->chunk_elements + RN_SA_CANARIES) * layout->lane_bytes);
    forget_uploads(audit);
    audit->kept = 0;
}

rn_result rn_sa_audit_new(const struct rn_sa_transcript *transcript, uint32_t self,
                          const uint8_t *sum_leaves, const struct rn_parallel *parallel,
                          struct rn_sa_audit **out, struct rn_error *err)
{
    const uint32_t members = transcript->graph.members;
    struct rn_scalar *RN_CLEANUP(rn_free_cleanup) secrets = /* opened, so no secrets any more */
        rn_alloc(members, sizeof *secrets);
    for (uint32_t i = 0; i < members; i++) {
        secrets[i] = transcript->peers[i].opened;
    }
    struct rn_sa_open_masks *masks = NULL;
    RN_TRY(rn_sa_open_masks_new(transcript, secrets, parallel, &masks, err));
    const struct rn_sa_layout *layout = &transcript->layout;
    struct rn_sa_audit *audit = rn_alloc(1, sizeof *audit);
    *audit = (struct rn_sa_audit){.t = transcript, .self = self, .sum_leaves = sum_leaves};
    audit->masks = masks;
    audit->leaves = rn_alloc(members, sizeof *audit->leaves);
    audit->uploads = rn_alloc(members, sizeof *audit->uploads);
    audit->lanes = rn_alloc((size_t)layout->chunk_elements + RN_SA_CANARIES, layout->lane_bytes);
    begin_chunk(audit, next_chunk(audit, 0));
    *out = audit;
    return rn_ok();
}

void rn_sa_audit_free(struct rn_sa_audit *audit)
{
    if (audit == NULL) {
        return;
    }
    rn_sa_open_masks_free(audit->masks);
    forget_uploads(audit);
    for (uint32_t i = 0; i < audit->t->graph.members; i++) {
        rn_free(audit->leaves[i]);
    }
    rn_free(audit->leaves);
    rn_free(audit->uploads);
    rn_free(audit->lanes);
    rn_free(audit);
}

bool rn_sa_audit_done(const struct rn_sa_audit *audit)
{
    return audit->chunk == audit->t->layout.chunks;
}

struct rn_sa_audit_request rn_sa_audit_wanted(const struct rn_sa_audit *audit)
{
    return (struct rn_sa_audit_request){
        .leaves = !audit->has_leaves,
        .chunk = audit->has_leaves ? audit->chunk : 0,
        .members = audit->left,
    };
}

rn_result rn_sa_audit_leaves(struct rn_sa_audit *audit, struct rn_view body, struct rn_error *err)
{
    uint32_t member = 0;
    struct rn_view leaves;
    RN_TRY(rn_sa_leaves_read(audit->t, body, &member, &leaves, err));
    if (audit->leaves[member] != NULL) {
        return rn_ok(); /* came before */
    }
    audit->leaves[member] = rn_alloc(audit->t->layout.chunks, RN_HASH_BYTES);
    memcpy(audit->leaves[member], leaves.data, leaves.length);
    rn_sa_set_remove(&audit->left, member);
    if (rn_sa_set_empty(&audit->left)) {
        audit->has_leaves = true;
        audit->left = audit->t->survivors;
    }
    return rn_ok();
}

static rn_result add(struct rn_sa_audit *audit, struct rn_view packed, struct rn_error *err)
{
    const struct rn_sa_layout *layout = &audit->t->layout;
    return layout->lane_bytes == 4
               ? rn_unpack_add_u32(packed, layout->bits, audit->lanes, lanes_of(audit), err)
               : rn_unpack_add_u64(packed, layout->bits, audit->lanes, lanes_of(audit), err);
}

/* All uploads of the chunk are in: is it the announced one? */
static rn_result compare(struct rn_sa_audit *audit, bool *out_same, struct rn_error *err)
{
    const struct rn_sa_layout *layout = &audit->t->layout;
    const size_t count = lanes_of(audit);
    const uint64_t first = rn_sa_layout_chunk_lane(layout, audit->chunk);
    RN_TRY(
        rn_sa_open_masks_take(audit->masks, audit->lanes, layout->lane_bytes, first, count, err));
    const size_t size = rn_sa_layout_chunk_bytes(layout, audit->chunk);
    uint8_t *RN_CLEANUP(rn_free_cleanup) packed = rn_alloc(size, 1);
    if (layout->lane_bytes == 4) {
        rn_pack_u32(packed, layout->bits, audit->lanes, count);
    } else {
        rn_pack_u64(packed, layout->bits, audit->lanes, count);
    }
    const struct rn_sa_chunk part = {audit->chunk, rn_view_of(packed, size)};
    uint8_t leaf[RN_HASH_BYTES];
    rn_sa_chunk_leaf(audit->t, RN_SA_COORDINATOR, &part, leaf);
    const uint8_t *announced = audit->sum_leaves + (size_t)audit->chunk * RN_HASH_BYTES;
    *out_same = memcmp(leaf, announced, RN_HASH_BYTES) == 0;
    return rn_ok();
}

rn_result rn_sa_audit_chunk(struct rn_sa_audit *audit, const struct rn_sa_message *message,
                            bool *out_forged, struct rn_error *err)
{
    const uint32_t member = message->sender;
    struct rn_sa_chunk part;
    *out_forged = false;
    RN_TRY(rn_sa_chunk_read(audit->t, message->body, &part, err));
    if (!audit->has_leaves) {
        return rn_ok();
    }
    uint8_t leaf[RN_HASH_BYTES];
    rn_sa_chunk_leaf(audit->t, member, &part, leaf);
    RN_ENSURE(memcmp(leaf, audit->leaves[member] + (size_t)part.chunk * RN_HASH_BYTES,
                     RN_HASH_BYTES) == 0,
              err, RN_E_PEER_PROTOCOL, "chunk %u: not the one that member %u uploaded", part.chunk,
              member);
    if (part.chunk != audit->chunk || !rn_sa_set_has(&audit->left, member)) {
        return rn_ok(); /* came before, or is not its turn yet */
    }
    RN_TRY(add(audit, part.packed, err));
    keep_upload(audit, member, message->whole);
    rn_sa_set_remove(&audit->left, member);
    if (rn_sa_set_empty(&audit->left)) {
        bool same = false;
        RN_TRY(compare(audit, &same, err));
        *out_forged = !same;
        if (same) {
            begin_chunk(audit, next_chunk(audit, audit->chunk + 1));
        }
    }
    return rn_ok();
}

/* ---- For a proof */

const struct rn_sa_transcript *rn_sa_audit_transcript(const struct rn_sa_audit *audit)
{
    return audit->t;
}

bool rn_sa_audit_write_chunk(const struct rn_sa_audit *audit, struct rn_buffer *out)
{
    if (audit->kept > RN_SA_SUM_PROOF_MAX) {
        return false;
    }
    const struct rn_sa_transcript *t = audit->t;
    const size_t leaves = (size_t)t->layout.chunks * RN_HASH_BYTES;
    rn_buffer_append(out, audit->sum_leaves, leaves);
    for (uint32_t i = rn_sa_set_next(&t->survivors, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&t->survivors, i + 1)) {
        rn_buffer_append(out, audit->leaves[i], leaves);
        rn_buffer_blob(out, rn_buffer_view(&audit->uploads[i]));
    }
    return !out->failed;
}

static rn_result read_leaves(struct rn_sa_audit *audit, uint32_t member, struct rn_reader *r,
                             struct rn_error *err)
{
    const struct rn_view leaves = rn_read_view(r, (size_t)audit->t->layout.chunks * RN_HASH_BYTES);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    RN_ENSURE(!r->failed, err, RN_E_PEER_FORMAT, "proof: wrong length");
    rn_buffer_u32(&body, member);
    rn_buffer_append(&body, leaves.data, leaves.length);
    return rn_sa_audit_leaves(audit, rn_buffer_view(&body), err);
}

rn_result rn_sa_audit_read_chunk(struct rn_sa_audit *audit, uint32_t chunk, struct rn_reader *r,
                                 bool *out_forged, struct rn_error *err)
{
    const struct rn_sa_set *survivors = &audit->t->survivors;
    struct rn_view *RN_CLEANUP(rn_free_cleanup) uploads =
        rn_alloc(audit->t->graph.members, sizeof *uploads);
    for (uint32_t i = rn_sa_set_next(survivors, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(survivors, i + 1)) {
        RN_TRY(read_leaves(audit, i, r, err));
        uploads[i] = rn_read_blob(r, RN_SA_MESSAGE_MAX);
    }
    RN_ENSURE(rn_reader_done(r), err, RN_E_PEER_FORMAT, "proof: wrong length");
    begin_chunk(audit, chunk);
    for (uint32_t i = rn_sa_set_next(survivors, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(survivors, i + 1)) {
        struct rn_sa_message message;
        RN_TRY(rn_sa_message_parse(uploads[i], &message, err));
        RN_ENSURE(message.sender == i, err, RN_E_PEER_PROTOCOL,
                  "proof: another upload is in the place of member %u's", i);
        RN_TRY(rn_sa_transcript_nested(audit->t, &message, RN_SA_CHUNK, audit->t->t1, err));
        RN_TRY(rn_sa_audit_chunk(audit, &message, out_forged, err));
    }
    return rn_ok();
}
