/* SPDX-License-Identifier: Apache-2.0
 *
 * R2 at the coordinator: chunks in any order, as they came; when Done's root proves them they are
 * added to the masked sum, and kept for the replay until the sum is receipted. Uploads under way
 * lie in memory up to its limit, in the spool above; complete ones in the spool, if there is one.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/secagg/aggregator_state.h"

#include <string.h>

static void unreserve(struct rn_sa_aggregator *a)
{
    a->spool_bytes -= rn_sa_layout_vector_bytes(&a->t.layout);
}

static void release_memory(struct rn_sa_aggregator *a, struct rn_sa_upload *upload)
{
    for (uint32_t i = 0; i < a->t.layout.chunks; i++) {
        rn_buffer_clear(&upload->chunks[i]);
    }
    rn_free(RN_TAKE(upload->chunks));
    if (!upload->complete) {
        unreserve(a);
    }
}

void rn_sa_upload_free(struct rn_sa_aggregator *a, uint32_t member)
{
    struct rn_sa_upload *upload = &a->uploads[member];
    if (upload->chunks != NULL) {
        release_memory(a, upload);
    }
    rn_free(RN_TAKE(upload->held));
    rn_free(RN_TAKE(upload->leaves));
    upload->open = false;
    upload->complete = false;
    upload->have = 0;
}

void rn_sa_upload_clear(struct rn_sa_aggregator *a, uint32_t member)
{
    const struct rn_sa_upload *upload = &a->uploads[member];
    if (upload->open && upload->chunks == NULL) {
        a->config.spool->drop(a->config.spool->context, member);
    }
    rn_sa_upload_free(a, member);
}

void rn_sa_uploads_forget(struct rn_sa_aggregator *a)
{
    const struct rn_sa_spool *spool = a->config.spool;
    for (uint32_t i = 0; i < a->config.params.members; i++) {
        rn_sa_upload_clear(a, i);
        if (spool != NULL) {
            spool->drop(spool->context, i); /* of before a restart, too */
        }
    }
}

/* Uploads without a chunk for this long make room for others; their members send again. */
static uint64_t idle_ms(const struct rn_sa_aggregator *a)
{
    const uint64_t retry = a->config.params.retry_ms;
    return retry == 0 ? a->config.params.upload.soft_ms / 4 : 2 * retry;
}

/* Reserves memory for a whole upload: half uploads that block each other would never end. */
static bool reserve(struct rn_sa_aggregator *a)
{
    const uint64_t size = rn_sa_layout_vector_bytes(&a->t.layout);
    const uint64_t limit = a->config.spool_bytes_max;
    for (uint32_t i = 0; i < a->config.params.members && size > limit - a->spool_bytes; i++) {
        const struct rn_sa_upload *upload = &a->uploads[i];
        if (upload->chunks != NULL && !upload->complete &&
            a->now_ms - upload->last_ms >= idle_ms(a)) {
            rn_sa_upload_clear(a, i);
        }
    }
    if (size > limit - a->spool_bytes) {
        return false;
    }
    a->spool_bytes += size;
    return true;
}

static rn_result open_upload(struct rn_sa_aggregator *a, struct rn_sa_upload *upload,
                             struct rn_error *err)
{
    const uint32_t chunks = a->t.layout.chunks;
    if (reserve(a)) {
        upload->chunks = rn_alloc(chunks, sizeof *upload->chunks);
    } else {
        RN_ENSURE(a->config.spool != NULL, err, RN_E_BUSY,
                  "the memory for uploads is full (%llu bytes)",
                  (unsigned long long)a->config.spool_bytes_max);
    }
    upload->held = rn_alloc(chunks, 1);
    upload->leaves = rn_alloc(chunks, RN_HASH_BYTES);
    upload->open = true;
    return rn_ok();
}

/* A full disk is no fault of the member: it is asked again. */
static rn_result put(const struct rn_sa_aggregator *a, uint32_t member, uint32_t chunk,
                     struct rn_view whole, struct rn_error *err)
{
    const struct rn_sa_spool *spool = a->config.spool;
    const rn_result result = spool->put(spool->context, member, chunk, whole, err);
    return rn_is_ok(result) ? result : (rn_result){RN_E_BUSY};
}

static rn_result store(struct rn_sa_aggregator *a, uint32_t member, uint32_t chunk,
                       struct rn_view whole, struct rn_error *err)
{
    struct rn_buffer *memory = a->uploads[member].chunks;
    if (memory == NULL) {
        return put(a, member, chunk, whole, err);
    }
    rn_buffer_append(&memory[chunk], whole.data, whole.length);
    return rn_ok();
}

static rn_result keep_chunk(struct rn_sa_aggregator *a, uint32_t member, struct rn_view whole,
                            const struct rn_sa_chunk *part, struct rn_error *err)
{
    struct rn_sa_upload *upload = &a->uploads[member];
    if (!upload->open) {
        RN_TRY(open_upload(a, upload, err));
    }
    uint8_t *leaf = upload->leaves + (size_t)part->chunk * RN_HASH_BYTES;
    uint8_t hash[RN_HASH_BYTES];
    rn_sa_chunk_leaf(&a->t, member, part, hash);
    if (upload->held[part->chunk]) {
        RN_ENSURE(memcmp(leaf, hash, RN_HASH_BYTES) == 0, err, RN_E_PEER_PROTOCOL,
                  "chunk %u: differs from the one sent before", part->chunk);
        return rn_ok();
    }
    RN_TRY(store(a, member, part->chunk, whole, err));
    upload->held[part->chunk] = 1;
    upload->last_ms = a->now_ms;
    memcpy(leaf, hash, RN_HASH_BYTES);
    upload->have++;
    return rn_ok();
}

/* ---- Reading back */

static size_t message_bytes(const struct rn_sa_aggregator *a, uint32_t chunk)
{
    return RN_SA_ENVELOPE_BYTES + RN_SA_CHUNK_HEAD + rn_sa_layout_chunk_bytes(&a->t.layout, chunk);
}

static struct rn_sa_chunk part_of(uint32_t chunk, const struct rn_buffer *whole)
{
    const size_t head = RN_SA_ENVELOPE_BYTES + RN_SA_CHUNK_HEAD;
    return (struct rn_sa_chunk){chunk, rn_view_of(whole->data + head, whole->length - head)};
}

/* What lies there, and its leaf. */
static rn_result read_back(const struct rn_sa_aggregator *a, uint32_t member, uint32_t chunk,
                           struct rn_buffer *out, uint8_t out_leaf[static RN_HASH_BYTES],
                           struct rn_error *err)
{
    const struct rn_sa_spool *spool = a->config.spool;
    const struct rn_buffer *memory = a->uploads[member].chunks;
    out->length = 0;
    if (memory != NULL) {
        rn_buffer_append(out, memory[chunk].data, memory[chunk].length);
    } else {
        RN_ENSURE(spool != NULL, err, RN_E_BUSY, "no upload is kept");
        RN_TRY(spool->get(spool->context, member, chunk, message_bytes(a, chunk), out, err));
    }
    struct rn_sa_message message;
    struct rn_sa_chunk part;
    RN_TRY(rn_sa_message_parse(rn_buffer_view(out), &message, err));
    RN_TRY(rn_sa_chunk_read(&a->t, message.body, &part, err));
    RN_ENSURE(part.chunk == chunk && message.sender == member, err, RN_E_BUSY,
              "another chunk lies in its place");
    rn_sa_chunk_leaf(&a->t, member, &part, out_leaf);
    return rn_ok();
}

rn_result rn_sa_upload_fetch(const struct rn_sa_aggregator *a, uint32_t member, uint32_t chunk,
                             struct rn_buffer *out, struct rn_error *err)
{
    const uint8_t *leaf = a->uploads[member].leaves + (size_t)chunk * RN_HASH_BYTES;
    uint8_t hash[RN_HASH_BYTES];
    const rn_result result = read_back(a, member, chunk, out, hash, err);
    RN_ENSURE(rn_is_ok(result) && memcmp(hash, leaf, RN_HASH_BYTES) == 0, err, RN_E_BUSY,
              "chunk %u is not in the spool any more", chunk);
    return rn_ok();
}

rn_result rn_sa_upload_find(struct rn_sa_aggregator *a, uint32_t member, struct rn_error *err)
{
    struct rn_sa_upload *upload = &a->uploads[member];
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) bytes = {0};
    if (upload->open) {
        return rn_ok();
    }
    uint8_t *RN_CLEANUP(rn_free_cleanup) leaves = rn_alloc(a->t.layout.chunks, RN_HASH_BYTES);
    for (uint32_t i = 0; i < a->t.layout.chunks; i++) {
        const rn_result result =
            read_back(a, member, i, &bytes, leaves + (size_t)i * RN_HASH_BYTES, err);
        RN_ENSURE(rn_is_ok(result), err, RN_E_BUSY, "the upload of member %u is not kept", member);
    }
    uint8_t root[RN_HASH_BYTES];
    uint8_t signed_root[RN_HASH_BYTES];
    rn_sa_chunk_root(&a->t, member, leaves, root);
    rn_sa_done_root(&a->t, member, signed_root);
    RN_ENSURE(memcmp(root, signed_root, RN_HASH_BYTES) == 0, err, RN_E_BUSY,
              "the upload of member %u is not kept", member);
    upload->leaves = RN_TAKE(leaves);
    upload->open = upload->complete = true;
    return rn_ok();
}

/* ---- Adding */

/* Everything is read, and put into the spool where it lay in memory, before the first is added: a
 * place that lost a chunk must leave the sum alone. */
static rn_result check_and_move(struct rn_sa_aggregator *a, uint32_t member, struct rn_error *err)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) bytes = {0};
    const bool move = a->uploads[member].chunks != NULL && a->config.spool != NULL;
    for (uint32_t i = 0; i < a->t.layout.chunks; i++) {
        RN_TRY(rn_sa_upload_fetch(a, member, i, &bytes, err));
        RN_TRY(move ? put(a, member, i, rn_buffer_view(&bytes), err) : rn_ok());
    }
    return rn_ok();
}

static rn_result add_kept(struct rn_sa_aggregator *a, uint32_t member, struct rn_error *err)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) bytes = {0};
    for (uint32_t i = 0; i < a->t.layout.chunks; i++) {
        RN_TRY(rn_sa_upload_fetch(a, member, i, &bytes, err));
        RN_TRY(rn_sa_vector_add(&a->vector, i, part_of(i, &bytes).packed, err));
    }
    return rn_ok();
}

/* Checked, moved to the spool if it lies in memory, and added. */
static rn_result take(struct rn_sa_aggregator *a, uint32_t member, struct rn_error *err)
{
    struct rn_sa_upload *upload = &a->uploads[member];
    const rn_result checked = check_and_move(a, member, err);
    if (!rn_is_ok(checked)) {
        rn_sa_upload_clear(a, member);
        return checked;
    }
    const rn_result added = add_kept(a, member, err);
    a->spoiled = !rn_is_ok(added);
    RN_TRY(added);
    if (upload->chunks != NULL && a->config.spool != NULL) {
        release_memory(a, upload);
    } else if (upload->chunks != NULL) {
        unreserve(a);
    }
    upload->complete = true;
    rn_sa_set_add(&a->complete, member);
    return rn_ok();
}

/* If Done and all chunks are there: checks the root and adds the vector. */
static rn_result finish(struct rn_sa_aggregator *a, uint32_t member, struct rn_error *err)
{
    struct rn_sa_upload *upload = &a->uploads[member];
    const struct rn_buffer *done = &a->inbox[RN_SA_DONE][member];
    if (done->length == 0 || upload->have != a->t.layout.chunks) {
        return rn_ok();
    }
    uint8_t signed_root[RN_HASH_BYTES];
    uint8_t root[RN_HASH_BYTES];
    const struct rn_view body = rn_view_of(done->data + RN_SA_ENVELOPE_BYTES, RN_SA_DONE_BODY);
    RN_TRY(rn_sa_done_read(&a->t, body, signed_root, err));
    rn_sa_chunk_root(&a->t, member, upload->leaves, root);
    if (memcmp(root, signed_root, RN_HASH_BYTES) != 0) {
        rn_sa_upload_clear(a, member); /* its Done stays: other chunks may still fit it */
        return rn_fail(err, RN_E_PEER_PROTOCOL, "done: the chunks are not the ones it signs");
    }
    return take(a, member, err);
}

rn_result rn_sa_aggregator_on_chunk(struct rn_sa_aggregator *a, const struct rn_sa_message *message,
                                    struct rn_sa_actions *actions, struct rn_error *err)
{
    (void)actions;
    const uint32_t member = message->sender;
    RN_ENSURE(rn_sa_set_has(&a->t.linked, member), err, RN_E_PEER_PROTOCOL,
              "chunk: its sender is not among the members that may upload");
    struct rn_sa_chunk part;
    RN_TRY(rn_sa_chunk_read(&a->t, message->body, &part, err));
    if (a->uploads[member].complete) {
        return rn_ok();
    }
    RN_TRY(keep_chunk(a, member, message->whole, &part, err));
    return finish(a, member, err);
}

rn_result rn_sa_aggregator_on_done(struct rn_sa_aggregator *a, const struct rn_sa_message *message,
                                   struct rn_sa_actions *actions, struct rn_error *err)
{
    (void)actions;
    const uint32_t member = message->sender;
    RN_ENSURE(rn_sa_set_has(&a->t.linked, member), err, RN_E_PEER_PROTOCOL,
              "done: its sender is not among the members that may upload");
    uint8_t root[RN_HASH_BYTES];
    RN_TRY(rn_sa_done_read(&a->t, message->body, root, err));
    rn_sa_aggregator_keep(a, message);
    return finish(a, member, err);
}
