/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of examples in a region: a header, then records one after another; a hash table in memory
 * finds them.
 */
#include "trainer/pass/prefixcache.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "base/region.h"
#include "trainer/ground/checksum.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "RNPREFX1"
#define HEADER_BYTES 4096
/* The table has room for examples of so few tokens on average. */
#define TOKENS_TYPICAL 8

struct header {
    char magic[8];
    struct rn_prefix_key key;
    uint64_t check; /* of the above */
};

/* Followed by ids [length], types [length], padding to 64, rows, padding to 64. */
struct record {
    uint64_t check_head; /* of all below check_data and the place, with the key */
    uint64_t check_data; /* of ids, types and rows; 0 until they are written */
    uint32_t length;
    uint32_t reserved[11];
};
_Static_assert(sizeof(struct record) == 64, "records keep their alignment");

struct slot {
    uint64_t hash;  /* of ids and types */
    uint64_t place; /* of the record; 0 = free */
    bool ready;
};

struct rn_prefix_cache {
    struct rn_prefix_key key;
    uint64_t seed; /* of all checksums: the key's */
    struct rn_region region;
    pthread_mutex_t lock;
    struct slot *slots;
    size_t slot_count; /* a power of two */
    size_t end;        /* of the last record */
    bool full;         /* the disk is */
    struct rn_prefix_facts facts;
};

static size_t padded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static size_t text_bytes(uint32_t length)
{
    return padded((size_t)length * (sizeof(uint32_t) + 1));
}

static size_t record_bytes(const struct rn_prefix_cache *cache, uint32_t length)
{
    return sizeof(struct record) + text_bytes(length) +
           padded((size_t)length * cache->key.row_bytes);
}

static struct record *record_at(const struct rn_prefix_cache *cache, size_t place)
{
    return (struct record *)(void *)(cache->region.data + place);
}

static uint8_t *rows_of(struct record *record)
{
    return (uint8_t *)record + sizeof(*record) + text_bytes(record->length);
}

static uint64_t hash_of(const struct rn_example *example)
{
    const uint64_t ids = rn_checksum(1, example->ids, example->length * sizeof(uint32_t));
    return rn_checksum(ids, example->type_ids, example->length);
}

static bool same_text(const struct record *record, const struct rn_example *example)
{
    const uint8_t *text = (const uint8_t *)record + sizeof(*record);
    const size_t ids = example->length * sizeof(uint32_t);
    return record->length == example->length && memcmp(text, example->ids, ids) == 0 &&
           memcmp(text + ids, example->type_ids, example->length) == 0;
}

static uint64_t check_of_head(const struct rn_prefix_cache *cache, const struct record *record,
                              uint64_t place)
{
    return rn_checksum(cache->seed ^ place, &record->length,
                       sizeof(*record) - offsetof(struct record, length));
}

static uint64_t check_of_data(const struct rn_prefix_cache *cache, const struct record *record)
{
    const size_t bytes = record_bytes(cache, record->length) - sizeof(*record);
    return rn_checksum(cache->seed, record + 1, bytes);
}

/* The slot of an example: its own, or the free one where it belongs; NULL when the table is full.
 * A slot that is not ready is compared by hash alone: it is being filled with what it says. */
static struct slot *slot_of(const struct rn_prefix_cache *cache, uint64_t hash,
                            const struct rn_example *example)
{
    for (size_t i = 0; i < cache->slot_count; i++) {
        struct slot *slot = &cache->slots[(hash + i) & (cache->slot_count - 1)];
        if (slot->place == 0) {
            return slot;
        }
        if (slot->hash == hash &&
            (!slot->ready || same_text(record_at(cache, slot->place), example))) {
            return slot;
        }
    }
    return NULL;
}

/* ---- A kept file */

static struct header header_of(const struct rn_prefix_cache *cache)
{
    struct header header;
    memset(&header, 0, sizeof(header));
    memcpy(header.magic, MAGIC, sizeof(header.magic));
    header.key = cache->key;
    header.check = rn_checksum(0, &header, offsetof(struct header, check));
    return header;
}

/* Whether a sound record stands at a place; *out_next = where the next one begins, 0 = nowhere. */
static bool record_sound(const struct rn_prefix_cache *cache, size_t place, size_t *out_next)
{
    *out_next = 0;
    if (place > cache->region.ready || cache->region.ready - place < sizeof(struct record)) {
        return false;
    }
    const struct record *record = record_at(cache, place);
    if (record->check_head != check_of_head(cache, record, place) || record->length == 0 ||
        record->length > cache->key.max_length ||
        record_bytes(cache, record->length) > cache->region.ready - place) {
        return false;
    }
    *out_next = place + record_bytes(cache, record->length);
    return record->check_data != 0 && record->check_data == check_of_data(cache, record);
}

static void restore_record(struct rn_prefix_cache *cache, size_t place)
{
    const struct record *record = record_at(cache, place);
    const uint32_t *ids = (const uint32_t *)(const void *)(record + 1);
    const struct rn_example example = {
        .ids = ids, .type_ids = (const uint8_t *)(ids + record->length), .length = record->length};
    const uint64_t hash = hash_of(&example);
    struct slot *slot = slot_of(cache, hash, &example);
    if (slot != NULL && slot->place == 0 && cache->facts.examples < cache->slot_count / 4 * 3) {
        *slot = (struct slot){.hash = hash, .place = place, .ready = true};
        cache->facts.examples++;
        cache->facts.restored++;
    }
}

/* Takes over what a kept file holds, or begins it anew. */
static bool restore(struct rn_prefix_cache *cache)
{
    const struct header header = header_of(cache);
    const bool ours = cache->region.ready >= HEADER_BYTES &&
                      memcmp(cache->region.data, &header, sizeof(header)) == 0;
    if (!ours) {
        if (!rn_region_truncate(&cache->region) ||
            !rn_region_extend(&cache->region, HEADER_BYTES)) {
            return false;
        }
        memcpy(cache->region.data, &header, sizeof(header));
        return true;
    }
    for (size_t next = 0; cache->end != 0; cache->end = next) {
        const bool sound = record_sound(cache, cache->end, &next);
        if (next == 0) {
            break;
        }
        if (sound) {
            restore_record(cache, cache->end);
        }
    }
    return true;
}

/* ---- Opening */

static size_t slots_for(uint64_t budget, uint32_t row_bytes)
{
    size_t slots = 1024;
    while (slots < 2 * RN_PREFIX_EXAMPLES_MAX &&
           slots < 2 * (budget / ((uint64_t)row_bytes * TOKENS_TYPICAL))) {
        slots *= 2;
    }
    return slots;
}

uint64_t rn_prefixcache_table_bytes(uint64_t budget, uint32_t row_bytes)
{
    return slots_for(budget, row_bytes) * sizeof(struct slot) + sizeof(struct rn_prefix_cache);
}

static rn_result open_file(struct rn_prefix_cache *cache, const struct rn_prefix_spec *spec,
                           struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(rn_directory_make(spec->dir, 0700, err));
    RN_TRY(rn_path_join(path, spec->dir, RN_PREFIX_FILE, err));
    RN_TRY(rn_region_file(path, (size_t)spec->bytes, &cache->region, err));
    if (!spec->keep) {
        RN_ENSURE(unlink(path) == 0, err, RN_E_IO, "%s: cannot be removed", path);
        (void)rn_region_truncate(&cache->region);
    }
    RN_ENSURE(restore(cache), err, RN_E_IO, "%s: the disk is full", path);
    return rn_ok();
}

rn_result rn_prefixcache_open(const struct rn_prefix_spec *spec, struct rn_prefix_cache **out,
                              struct rn_error *err)
{
    RN_ENSURE(spec->bytes >= 2 * (uint64_t)HEADER_BYTES && spec->bytes <= (uint64_t)INT64_MAX, err,
              RN_E_CONFIG, "prefix cache: %llu bytes are too few or too many",
              (unsigned long long)spec->bytes);
    struct rn_prefix_cache *cache = rn_alloc(1, sizeof(*cache));
    cache->key = spec->key;
    cache->seed = rn_checksum(0, &cache->key, sizeof(cache->key));
    cache->end = HEADER_BYTES;
    cache->facts.bytes = spec->bytes;
    cache->slot_count = slots_for(spec->bytes, spec->key.row_bytes);
    cache->slots = rn_alloc(cache->slot_count, sizeof(*cache->slots));
    cache->region.descriptor = -1;
    pthread_mutex_init(&cache->lock, NULL);
    const rn_result result = spec->dir != NULL
                                 ? open_file(cache, spec, err)
                                 : rn_region_anonymous((size_t)spec->bytes, &cache->region, err);
    if (!rn_is_ok(result)) {
        rn_prefixcache_close(cache);
        return result;
    }
    *out = cache;
    return rn_ok();
}

void rn_prefixcache_close(struct rn_prefix_cache *cache)
{
    if (cache != NULL) {
        rn_region_close(&cache->region);
        pthread_mutex_destroy(&cache->lock);
        rn_free(cache->slots);
        rn_free(cache);
    }
}

/* ---- Use */

bool rn_prefixcache_get(struct rn_prefix_cache *cache, const struct rn_example *example,
                        void *out_rows)
{
    const uint64_t hash = hash_of(example);
    pthread_mutex_lock(&cache->lock);
    const struct slot *slot = slot_of(cache, hash, example);
    const uint64_t place = slot != NULL && slot->ready ? slot->place : 0;
    cache->facts.hits += place != 0 ? 1 : 0;
    cache->facts.misses += place == 0 ? 1 : 0;
    pthread_mutex_unlock(&cache->lock);
    if (place == 0) {
        return false;
    }
    memcpy(out_rows, rows_of(record_at(cache, place)),
           (size_t)example->length * cache->key.row_bytes);
    return true;
}

/* Takes the place of a new record, its head written; 0 when there is none to have. */
static uint64_t reserve(struct rn_prefix_cache *cache, uint64_t hash,
                        const struct rn_example *example, struct slot **out_slot)
{
    struct slot *slot = slot_of(cache, hash, example);
    const size_t bytes = record_bytes(cache, example->length);
    if (cache->full || slot == NULL || slot->place != 0 ||
        cache->facts.examples >= cache->slot_count / 4 * 3) {
        return 0;
    }
    if (bytes > cache->region.length - cache->end) {
        return 0;
    }
    if (!rn_region_extend(&cache->region, cache->end + bytes)) {
        cache->full = true;
        return 0;
    }
    *slot = (struct slot){.hash = hash, .place = cache->end};
    struct record *record = record_at(cache, slot->place);
    *record = (struct record){.length = example->length};
    record->check_head = check_of_head(cache, record, slot->place);
    cache->end += bytes;
    cache->facts.examples++;
    *out_slot = slot;
    return slot->place;
}

void rn_prefixcache_put(struct rn_prefix_cache *cache, const struct rn_example *example,
                        const void *rows)
{
    const uint64_t hash = hash_of(example);
    struct slot *slot = NULL;
    pthread_mutex_lock(&cache->lock);
    const uint64_t place = reserve(cache, hash, example, &slot);
    pthread_mutex_unlock(&cache->lock);
    if (place == 0) {
        return;
    }
    struct record *record = record_at(cache, place);
    memset(record + 1, 0, record_bytes(cache, example->length) - sizeof(*record));
    uint8_t *text = (uint8_t *)(record + 1);
    memcpy(text, example->ids, example->length * sizeof(uint32_t));
    memcpy(text + example->length * sizeof(uint32_t), example->type_ids, example->length);
    memcpy(rows_of(record), rows, (size_t)example->length * cache->key.row_bytes);
    if (cache->region.descriptor >= 0) {
        record->check_data = check_of_data(cache, record);
    }
    pthread_mutex_lock(&cache->lock);
    slot->ready = true;
    pthread_mutex_unlock(&cache->lock);
}

void rn_prefixcache_facts(struct rn_prefix_cache *cache, struct rn_prefix_facts *out)
{
    pthread_mutex_lock(&cache->lock);
    *out = cache->facts;
    out->used = cache->end;
    pthread_mutex_unlock(&cache->lock);
}
