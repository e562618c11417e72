/* SPDX-License-Identifier: Apache-2.0
 *
 * For the tests of the stores: a small event loop that stores post to, the two stores behind one
 * table, and short ways to fill batches and wait. Include after cmocka.h.
 */
#ifndef RN_TESTS_STORE_FIXTURE_H
#define RN_TESTS_STORE_FIXTURE_H

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/store/memorystore.h"
#include "services/store/sqlitestore.h"

#define KIND 7
#define OTHER 8
#define KEPT 9
#define DONES_MAX 4096

/* --- loop ------------------------------------------------------------------------------------- */

struct loop {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool closed; /* under lock */
    size_t head; /* under lock; posted and not yet run: [head, tail) */
    size_t tail; /* under lock */
    struct {
        void (*function)(void *argument);
        void *argument;
    } posted[DONES_MAX];
};

static inline bool loop_post(void *user, void (*function)(void *argument), void *argument)
{
    struct loop *loop = user;
    (void)pthread_mutex_lock(&loop->lock);
    const bool open = !loop->closed;
    if (open) {
        RN_BUG_IF(loop->tail == DONES_MAX);
        loop->posted[loop->tail].function = function;
        loop->posted[loop->tail++].argument = argument;
        (void)pthread_cond_signal(&loop->wake);
    }
    (void)pthread_mutex_unlock(&loop->lock);
    return open;
}

/* Waits until something was posted; runs nothing. */
static inline void loop_await(struct loop *loop)
{
    (void)pthread_mutex_lock(&loop->lock);
    while (loop->head == loop->tail) {
        (void)pthread_cond_wait(&loop->wake, &loop->lock);
    }
    (void)pthread_mutex_unlock(&loop->lock);
}

static inline bool loop_run_one(struct loop *loop)
{
    (void)pthread_mutex_lock(&loop->lock);
    const bool any = loop->head < loop->tail;
    const size_t index = loop->head;
    loop->head += any;
    (void)pthread_mutex_unlock(&loop->lock);
    if (any) {
        loop->posted[index].function(loop->posted[index].argument);
    }
    return any;
}

/* --- stores ----------------------------------------------------------------------------------- */

struct fixture;

struct flavour {
    const char *name;
    rn_result (*open)(struct fixture *fixture, const struct rn_store_options *options,
                      struct rn_error *err);
    void (*work)(struct fixture *fixture); /* lets the store do at least one job that waits */
};

struct done {
    uint64_t sequence;
    enum rn_code code;
};

struct fixture {
    const struct flavour *flavour;
    char directory[64];
    struct rn_memory_disk *disk;
    struct loop loop;
    struct rn_store *store;
    struct done dones[DONES_MAX];
    size_t done_count;
    char text[RN_ERROR_TEXT_MAX]; /* of the last failure */
};

static inline rn_result sqlite_open(struct fixture *fixture, const struct rn_store_options *options,
                                    struct rn_error *err)
{
    return rn_sqlite_store_open(fixture->directory, options, &fixture->store, err);
}

static inline void sqlite_work(struct fixture *fixture)
{
    loop_await(&fixture->loop);
}

static inline rn_result memory_open(struct fixture *fixture, const struct rn_store_options *options,
                                    struct rn_error *err)
{
    return rn_memory_store_open(fixture->disk, options, &fixture->store, err);
}

static inline void memory_work(struct fixture *fixture)
{
    (void)rn_memory_store_step(fixture->store);
}

static const struct flavour SQLITE = {"sqlite", sqlite_open, sqlite_work};
static const struct flavour MEMORY = {"memory", memory_open, memory_work};

static inline struct rn_store_options options_of(struct fixture *fixture)
{
    return (struct rn_store_options){.post = loop_post,
                                     .user = &fixture->loop,
                                     .binding = rn_view_text("plan-1"),
                                     .binding_what = "plan",
                                     .kept_kinds = (uint64_t)1 << KEPT};
}

static inline void open_store(struct fixture *fixture)
{
    const struct rn_store_options options = options_of(fixture);
    struct rn_error err = {0};
    if (!rn_is_ok(fixture->flavour->open(fixture, &options, &err))) {
        fail_msg("%s: %s", fixture->flavour->name, err.text);
    }
}

static inline void reopen_store(struct fixture *fixture)
{
    rn_store_close(&fixture->store);
    open_store(fixture);
}

static inline struct fixture *fixture_new(const struct flavour *flavour)
{
    struct fixture *fixture = rn_alloc(1, sizeof(*fixture));
    fixture->flavour = flavour;
    (void)pthread_mutex_init(&fixture->loop.lock, NULL);
    (void)pthread_cond_init(&fixture->loop.wake, NULL);
    (void)rn_text_format(fixture->directory, sizeof(fixture->directory), "/tmp/rondo-store-XXXXXX");
    RN_BUG_IF(mkdtemp(fixture->directory) == NULL);
    fixture->disk = rn_memory_disk_new();
    return fixture;
}

static inline void fixture_free(struct fixture *fixture)
{
    static const char *const names[] = {"journal.db", "journal.db-wal", "journal.db-shm", "lock"};
    rn_store_close(&fixture->store);
    while (loop_run_one(&fixture->loop)) {
    }
    for (size_t i = 0; i < RN_ARRAY_LENGTH(names); i++) {
        char path[RN_PATH_MAX];
        if (rn_is_ok(rn_path_join(path, fixture->directory, names[i], NULL))) {
            (void)unlink(path);
        }
    }
    (void)rmdir(fixture->directory);
    rn_memory_disk_free(&fixture->disk);
    (void)pthread_cond_destroy(&fixture->loop.wake);
    (void)pthread_mutex_destroy(&fixture->loop.lock);
    rn_free(fixture);
}

/* --- records ---------------------------------------------------------------------------------- */

static inline void on_done(void *context, uint64_t sequence, rn_result result,
                           const struct rn_error *err)
{
    struct fixture *fixture = context;
    RN_BUG_IF(fixture->done_count == DONES_MAX);
    fixture->dones[fixture->done_count++] = (struct done){sequence, result.code};
    if (!rn_is_ok(result)) {
        memcpy(fixture->text, err->text, sizeof(fixture->text));
    }
}

static inline struct rn_store_key key_of(uint32_t kind, uint32_t round, uint32_t attempt)
{
    return (struct rn_store_key){
        .kind = kind, .round = round, .attempt = attempt, .session = {(uint8_t)round}};
}

static inline void add(struct rn_store_batch *batch, uint32_t kind, uint32_t round,
                       const char *text)
{
    const struct rn_store_key key = key_of(kind, round, 0);
    rn_store_batch_append(batch, &key, rn_view_text(text));
}

static inline void submit_batch(struct fixture *fixture, struct rn_store_batch *batch)
{
    struct rn_error err = {0};
    if (!rn_is_ok(rn_store_commit(fixture->store, batch, on_done, fixture, NULL, &err))) {
        fail_msg("%s: %s", fixture->flavour->name, err.text);
    }
}

static inline void submit_one(struct fixture *fixture, uint32_t kind, uint32_t round)
{
    struct rn_store_batch batch = {0};
    add(&batch, kind, round, "one");
    submit_batch(fixture, &batch);
}

/* Until count callbacks have come since the fixture was made. */
static inline void await(struct fixture *fixture, size_t count)
{
    while (fixture->done_count < count) {
        if (!loop_run_one(&fixture->loop)) {
            fixture->flavour->work(fixture);
        }
    }
}

static inline void assert_done(const struct fixture *fixture, size_t index, uint64_t sequence,
                               enum rn_code code)
{
    assert_true(index < fixture->done_count);
    assert_int_equal(fixture->dones[index].sequence, sequence);
    assert_int_equal(fixture->dones[index].code, code);
}

struct seen {
    size_t count;
    uint64_t position;
    uint32_t rounds[DONES_MAX];
    uint32_t attempts[DONES_MAX];
};

static inline rn_result note(void *argument, uint64_t position, const struct rn_store_key *key,
                             struct rn_view body, struct rn_error *err)
{
    struct seen *seen = argument;
    (void)body;
    (void)err;
    RN_BUG_IF(position <= seen->position || seen->count == DONES_MAX);
    seen->position = position;
    seen->rounds[seen->count] = key->round;
    seen->attempts[seen->count++] = key->attempt;
    return rn_ok();
}

static inline const struct seen *scan(struct fixture *fixture, uint32_t kind)
{
    static struct seen seen;
    seen = (struct seen){0};
    const struct rn_store_query query = {.kind = kind};
    struct rn_error err = {0};
    if (!rn_is_ok(rn_store_scan(fixture->store, &query, note, &seen, &err))) {
        fail_msg("%s: %s", fixture->flavour->name, err.text);
    }
    return &seen;
}

#endif
