/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk is one growing list of records per kind; a commit moves the batch's bodies onto it.
 */
#include "services/store/memorystore.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/store/storebase.h"

struct kind_list {
    struct rn_store_record *items;
    size_t count;
    size_t capacity;
};

struct rn_memory_disk {
    struct kind_list kinds[RN_STORE_KIND_MAX + 1];
    uint64_t position; /* of the newest record */
    uint64_t epoch;
    struct rn_buffer binding;
    bool bound;
    uint64_t fail_in; /* commits until one fails; 0: none does */
};

struct memory_store {
    struct rn_store base;
    struct rn_memory_disk *disk;
    struct rn_store_jobs waiting;
    struct rn_store_jobs held; /* done, their callbacks held back */
    bool holding;
    bool posts; /* callbacks go through options.post */
};

static struct memory_store *memory_of(struct rn_store *store)
{
    return (struct memory_store *)store;
}

/* --- disk ------------------------------------------------------------------------------------- */

struct rn_memory_disk *rn_memory_disk_new(void)
{
    return rn_alloc(1, sizeof(struct rn_memory_disk));
}

/* Takes the record's body. */
static void list_add(struct kind_list *list, struct rn_store_record *record)
{
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity == 0 ? 8 : 2 * list->capacity;
        list->items = rn_realloc(list->items, list->capacity, capacity, sizeof(*list->items));
        list->capacity = capacity;
    }
    list->items[list->count++] = *record;
    record->body = (struct rn_buffer){0};
}

static void body_copy(struct rn_buffer *out, const struct rn_buffer *from)
{
    rn_buffer_init(out, RN_STORE_BODY_MAX);
    rn_buffer_append(out, from->data, from->length);
}

struct rn_memory_disk *rn_memory_disk_copy(const struct rn_memory_disk *disk)
{
    struct rn_memory_disk *copy = rn_memory_disk_new();
    *copy = *disk;
    body_copy(&copy->binding, &disk->binding);
    for (size_t kind = 0; kind <= RN_STORE_KIND_MAX; kind++) {
        copy->kinds[kind] = (struct kind_list){0};
        for (size_t i = 0; i < disk->kinds[kind].count; i++) {
            struct rn_store_record record = disk->kinds[kind].items[i];
            body_copy(&record.body, &disk->kinds[kind].items[i].body);
            list_add(&copy->kinds[kind], &record);
        }
    }
    return copy;
}

void rn_memory_disk_free(struct rn_memory_disk **disk)
{
    if (*disk == NULL) {
        return;
    }
    for (size_t kind = 0; kind <= RN_STORE_KIND_MAX; kind++) {
        struct kind_list *list = &(*disk)->kinds[kind];
        for (size_t i = 0; i < list->count; i++) {
            rn_buffer_clear(&list->items[i].body);
        }
        rn_free(list->items);
    }
    rn_buffer_clear(&(*disk)->binding);
    rn_free(*disk);
    *disk = NULL;
}

void rn_memory_disk_fail(struct rn_memory_disk *disk, uint64_t nth)
{
    disk->fail_in = nth;
}

static bool is_pruned(const struct rn_store_prune *prune, const struct rn_store_key *key)
{
    if (prune->rule == RN_STORE_PRUNE_SESSION) {
        return memcmp(key->session, prune->key.session, sizeof(key->session)) == 0;
    }
    return key->round < prune->key.round ||
           (key->round == prune->key.round && key->attempt < prune->key.attempt);
}

static void list_prune(struct kind_list *list, const struct rn_store_prune *prune)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (is_pruned(prune, &list->items[i].key)) {
            rn_buffer_clear(&list->items[i].body);
        } else {
            list->items[kept++] = list->items[i];
        }
    }
    list->count = kept;
}

/* --- worker ----------------------------------------------------------------------------------- */

static rn_result renew(struct rn_store *store, struct rn_error *err)
{
    return store->epoch == memory_of(store)->disk->epoch ? rn_ok()
                                                         : rn_store_lease_lost("memory", err);
}

static rn_result commit(struct rn_store *store, struct rn_store_batch *batch, struct rn_error *err)
{
    struct rn_memory_disk *disk = memory_of(store)->disk;
    RN_TRY(renew(store, err));
    const bool fails = disk->fail_in == 1;
    disk->fail_in -= disk->fail_in > 0;
    RN_ENSURE(!fails, err, RN_E_IO, "memory: the disk is full; free space and start again");
    for (size_t i = 0; i < batch->prune_count; i++) {
        list_prune(&disk->kinds[batch->prunes[i].key.kind], &batch->prunes[i]);
    }
    for (size_t i = 0; i < batch->record_count; i++) {
        struct rn_store_record *record = &batch->records[i];
        record->position = ++disk->position;
        list_add(&disk->kinds[record->key.kind], record);
    }
    return rn_ok();
}

static bool is_named(const struct rn_store_query *query, const struct rn_store_record *record)
{
    if (record->position <= query->after) {
        return false;
    }
    switch (query->scope) {
    case RN_STORE_ROUND:
        return record->key.round == query->round;
    case RN_STORE_SESSION:
        return memcmp(record->key.session, query->session, sizeof(query->session)) == 0;
    case RN_STORE_ALL:
        break;
    }
    return true;
}

static rn_result read_disk(struct rn_store *store, const struct rn_store_query *query, bool newest,
                           rn_store_visit visit, void *argument, struct rn_error *err)
{
    const struct kind_list *list = &memory_of(store)->disk->kinds[query->kind];
    for (size_t i = 0; i < list->count; i++) {
        const struct rn_store_record *record = &list->items[newest ? list->count - 1 - i : i];
        if (is_named(query, record)) {
            RN_TRY(visit(argument, record->position, &record->key, rn_buffer_view(&record->body),
                         err));
            if (newest) {
                break;
            }
        }
    }
    return rn_ok();
}

/* --- store ------------------------------------------------------------------------------------ */

static void submit(struct rn_store *store, struct rn_store_job *job)
{
    rn_store_jobs_push(&memory_of(store)->waiting, job);
}

static void put(struct memory_store *store, struct rn_store_job *job)
{
    rn_store_outbox_put(store->base.outbox, job);
    if (!store->posts) {
        rn_store_deliver(&store->base);
    }
}

bool rn_memory_store_step(struct rn_store *base)
{
    struct memory_store *store = memory_of(base);
    struct rn_store_job *job = rn_store_jobs_pop(&store->waiting);
    if (job == NULL) {
        return false;
    }
    rn_store_perform(base, job);
    if (store->holding) {
        rn_store_jobs_push(&store->held, job);
    } else {
        put(store, job);
    }
    return true;
}

void rn_memory_store_hold(struct rn_store *base, bool held)
{
    struct memory_store *store = memory_of(base);
    store->holding = held;
    struct rn_store_job *job = NULL;
    while (!store->holding && (job = rn_store_jobs_pop(&store->held)) != NULL) {
        put(store, job);
    }
}

static void finish(struct rn_store *store)
{
    rn_memory_store_hold(store, false);
    while (rn_memory_store_step(store)) {
    }
}

static void free_store(struct rn_store *base)
{
    struct memory_store *store = memory_of(base);
    rn_store_jobs_clear(&store->waiting);
    rn_store_jobs_clear(&store->held);
    rn_store_release(base);
    rn_free(store);
}

void rn_memory_store_crash(struct rn_store **store)
{
    if (*store != NULL) {
        free_store(*store);
        *store = NULL;
    }
}

static const struct rn_store_operations OPERATIONS = {
    .submit = submit,
    .read = read_disk,
    .commit = commit,
    .renew = renew,
    .read_worker = read_disk,
    .finish = finish,
    .free = free_store,
};

static rn_result bind_disk(struct rn_memory_disk *disk, const struct rn_store_options *options,
                           struct rn_error *err)
{
    if (options->binding.length == 0) {
        return rn_ok();
    }
    RN_ENSURE(options->binding.length <= RN_STORE_BINDING_MAX, err, RN_E_USAGE,
              "memory: a binding of %zu bytes is over the limit of %zu", options->binding.length,
              RN_STORE_BINDING_MAX);
    if (!disk->bound) {
        rn_buffer_append(&disk->binding, options->binding.data, options->binding.length);
        disk->bound = true;
    }
    RN_ENSURE(rn_view_equal(rn_buffer_view(&disk->binding), options->binding), err, RN_E_CONFIG,
              "memory: this state belongs to another %s", options->binding_what);
    return rn_ok();
}

rn_result rn_memory_store_open(struct rn_memory_disk *disk, const struct rn_store_options *options,
                               struct rn_store **out_store, struct rn_error *err)
{
    RN_TRY(bind_disk(disk, options, err));
    struct memory_store *store = rn_alloc(1, sizeof(*store));
    rn_store_init(&store->base, &OPERATIONS, options);
    store->base.epoch = ++disk->epoch;
    store->disk = disk;
    store->posts = options->post != NULL;
    *out_store = &store->base;
    return rn_ok();
}
