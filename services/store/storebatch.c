/* SPDX-License-Identifier: Apache-2.0 */
#include "services/store/storebatch.h"

#include <string.h>

#include "base/alloc.h"

/* Room for one more element; capacities are powers of two, so they follow from the count. */
static void *grown(void *items, size_t count, size_t size)
{
    const bool full = (count & (count - 1)) == 0;
    return full ? rn_realloc(items, count, count == 0 ? 1 : 2 * count, size) : items;
}

static struct rn_store_record *add_record(struct rn_store_batch *batch,
                                          const struct rn_store_key *key, size_t length)
{
    batch->failed = batch->failed || batch->record_count >= RN_STORE_BATCH_RECORDS_MAX ||
                    length > RN_STORE_BODY_MAX || length > RN_STORE_BATCH_BYTES_MAX - batch->bytes;
    if (batch->failed) {
        return NULL;
    }
    batch->records = grown(batch->records, batch->record_count, sizeof(*batch->records));
    struct rn_store_record *record = &batch->records[batch->record_count++];
    *record = (struct rn_store_record){.key = *key};
    batch->bytes += length;
    return record;
}

void rn_store_batch_append(struct rn_store_batch *batch, const struct rn_store_key *key,
                           struct rn_view body)
{
    struct rn_store_record *record = add_record(batch, key, body.length);
    if (record != NULL) {
        rn_buffer_init(&record->body, RN_STORE_BODY_MAX);
        rn_buffer_append(&record->body, body.data, body.length);
    }
}

void rn_store_batch_move(struct rn_store_batch *batch, const struct rn_store_key *key,
                         struct rn_buffer *body)
{
    batch->failed = batch->failed || body->failed;
    struct rn_store_record *record = add_record(batch, key, body->length);
    if (record == NULL) {
        rn_buffer_clear(body);
        return;
    }
    record->body = *body;
    *body = (struct rn_buffer){0};
}

static void add_prune(struct rn_store_batch *batch, const struct rn_store_prune *prune)
{
    batch->failed = batch->failed || batch->prune_count >= RN_STORE_BATCH_PRUNES_MAX;
    if (!batch->failed) {
        batch->prunes = grown(batch->prunes, batch->prune_count, sizeof(*batch->prunes));
        batch->prunes[batch->prune_count++] = *prune;
    }
}

void rn_store_batch_prune_before(struct rn_store_batch *batch, uint32_t kind,
                                 uint32_t first_kept_round, uint32_t first_kept_attempt)
{
    add_prune(batch,
              &(struct rn_store_prune){
                  .rule = RN_STORE_PRUNE_BEFORE,
                  .key = {.kind = kind, .round = first_kept_round, .attempt = first_kept_attempt}});
}

void rn_store_batch_prune_session(struct rn_store_batch *batch, uint32_t kind,
                                  const uint8_t session[static RN_STORE_SESSION_BYTES])
{
    struct rn_store_prune prune = {.rule = RN_STORE_PRUNE_SESSION, .key = {.kind = kind}};
    memcpy(prune.key.session, session, sizeof(prune.key.session));
    add_prune(batch, &prune);
}

static void free_records(struct rn_store_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        rn_buffer_clear(&records[i].body);
    }
    rn_free(records);
}

void rn_store_batch_clear(struct rn_store_batch *batch)
{
    free_records(batch->records, batch->record_count);
    rn_free(batch->prunes);
    *batch = (struct rn_store_batch){0};
}

void rn_store_records_add(struct rn_store_records *records, uint64_t position,
                          const struct rn_store_key *key, struct rn_view body)
{
    records->items = grown(records->items, records->count, sizeof(*records->items));
    struct rn_store_record *record = &records->items[records->count++];
    *record = (struct rn_store_record){.position = position, .key = *key};
    rn_buffer_init(&record->body, RN_STORE_BODY_MAX);
    rn_buffer_append(&record->body, body.data, body.length);
    records->bytes += body.length;
}

void rn_store_records_clear(struct rn_store_records *records)
{
    free_records(records->items, records->count);
    *records = (struct rn_store_records){0};
}
