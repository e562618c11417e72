/* SPDX-License-Identifier: Apache-2.0
 *
 * What every store promises, asked of each: order, all or nothing, durable before done, nothing
 * after a failure, rules and limits, one owner.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <sys/wait.h>

#include "tests/unit/services/store_fixture.h"

/* --- what a flavour does differently ---------------------------------------------------------- */

#define BIG ((size_t)1 << 20)

/* From here on a commit of BIG bytes fails. */
static void break_disk(struct fixture *fixture)
{
    if (fixture->flavour == &MEMORY) {
        rn_memory_disk_fail(fixture->disk, 1);
        return;
    }
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = BIG / 4;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void mend_disk(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void submit_big(struct fixture *fixture, uint32_t round)
{
    struct rn_store_batch batch = {0};
    uint8_t *body = rn_alloc(BIG, 1);
    const struct rn_store_key key = key_of(KIND, round, 0);
    rn_store_batch_prune_before(&batch, KIND, round, 0);
    add(&batch, OTHER, round, "first");
    rn_store_batch_append(&batch, &key, rn_view_of(body, BIG));
    rn_free(body);
    submit_batch(fixture, &batch);
}

/* Somebody else takes the state over while it is open here. */
static void take_over(struct fixture *fixture)
{
    if (fixture->flavour == &MEMORY) {
        struct rn_store *other = NULL;
        const struct rn_store_options options = options_of(fixture);
        assert_true(rn_is_ok(rn_memory_store_open(fixture->disk, &options, &other, NULL)));
        rn_store_close(&other);
        return;
    }
    char path[RN_PATH_MAX];
    sqlite3 *database = NULL;
    assert_true(rn_is_ok(rn_path_join(path, fixture->directory, "journal.db", NULL)));
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, "UPDATE state SET value = value + 1 WHERE name='epoch'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_changes(database), 1);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

/* --- order and durability --------------------------------------------------------------------- */

static void commits_in_order(struct fixture *fixture)
{
    open_store(fixture);
    for (uint32_t round = 1; round <= 100; round++) {
        submit_one(fixture, KIND, round);
    }
    assert_int_equal(fixture->done_count, 0); /* never from inside the call */
    await(fixture, 100);
    reopen_store(fixture);
    const struct seen *seen = scan(fixture, KIND);
    assert_int_equal(seen->count, 100);
    for (uint32_t i = 0; i < 100; i++) {
        assert_done(fixture, i, i + 1, RN_OK);
        assert_int_equal(seen->rounds[i], i + 1);
    }
}

/* In done the batch can be read: it was durable before. */
static void on_done_read(void *context, uint64_t sequence, rn_result result,
                         const struct rn_error *err)
{
    struct fixture *fixture = context;
    const struct rn_store_query query = {
        .kind = KIND, .scope = RN_STORE_ROUND, .round = (uint32_t)sequence};
    struct rn_store_record record;
    bool found = false;
    assert_true(rn_is_ok(rn_store_latest(fixture->store, &query, &record, &found, NULL)));
    assert_true(found);
    assert_true(rn_view_equal(rn_buffer_view(&record.body), rn_view_text("pair")));
    rn_buffer_clear(&record.body);
    on_done(context, sequence, result, err);
}

static void reads_whole_batches_while_writing(struct fixture *fixture)
{
    open_store(fixture);
    for (uint32_t round = 1; round <= 50; round++) {
        struct rn_store_batch batch = {0};
        add(&batch, KIND, round, "pair");
        add(&batch, KIND, round, "pair");
        assert_true(
            rn_is_ok(rn_store_commit(fixture->store, &batch, on_done_read, fixture, NULL, NULL)));
        assert_int_equal(batch.record_count, 0); /* moved */
        const size_t count = scan(fixture, KIND)->count;
        assert_int_equal(count % 2, 0);
    }
    for (size_t i = 1; i <= 50; i++) {
        await(fixture, i);
        const size_t count = scan(fixture, KIND)->count;
        assert_int_equal(count % 2, 0);
        assert_true(count >= 2 * i);
    }
}

static void fails_whole_and_stops(struct fixture *fixture)
{
    open_store(fixture);
    submit_one(fixture, KIND, 1);
    await(fixture, 1);
    break_disk(fixture);
    submit_big(fixture, 2);
    submit_one(fixture, KIND, 3); /* submitted before the failure is known */
    await(fixture, 3);
    mend_disk();
    submit_one(fixture, KIND, 4); /* and after */
    await(fixture, 4);
    assert_done(fixture, 1, 2, RN_E_IO);
    assert_done(fixture, 2, 3, RN_E_IO);
    assert_done(fixture, 3, 4, RN_E_IO);
    assert_non_null(strstr(fixture->text, "nothing is written after a failure"));
    assert_non_null(strstr(fixture->text, "start again"));
    for (unsigned again = 0; again < 2; again++) {
        assert_int_equal(scan(fixture, KIND)->count, 1);
        assert_int_equal(scan(fixture, KIND)->rounds[0], 1); /* not pruned */
        assert_int_equal(scan(fixture, OTHER)->count, 0);
        reopen_store(fixture);
    }
    submit_one(fixture, KIND, 5);
    await(fixture, 5);
    assert_done(fixture, 4, 1, RN_OK);
}

/* --- crash ------------------------------------------------------------------------------------ */

/* Commits `told` batches of two records and hears of them, then one more that is durable but not
 * yet told, then dies. */
static void live_and_die(struct fixture *fixture, uint32_t told)
{
    open_store(fixture);
    for (uint32_t round = 1; round <= told + 1; round++) {
        struct rn_store_batch batch = {0};
        add(&batch, KIND, round, "a");
        add(&batch, KIND, round, "b");
        submit_batch(fixture, &batch);
        if (round <= told) {
            await(fixture, round);
        }
    }
    fixture->flavour->work(fixture); /* the last is durable */
    if (fixture->flavour == &MEMORY) {
        submit_one(fixture, KIND, told + 2); /* lost: no step reaches it */
        rn_memory_store_crash(&fixture->store);
    } else {
        (void)kill(getpid(), SIGKILL);
    }
}

static void keeps_what_was_acknowledged(struct fixture *fixture)
{
    if (fixture->flavour == &MEMORY) {
        live_and_die(fixture, 20);
    } else {
        const pid_t child = fork();
        if (child == 0) {
            live_and_die(fixture, 20);
            _exit(1);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    open_store(fixture);
    const struct seen *seen = scan(fixture, KIND);
    assert_int_equal(seen->count, 42);
    assert_int_equal(seen->rounds[41], 21);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void finds_by_round_and_session(struct fixture *fixture)
{
    open_store(fixture);
    struct rn_store_batch batch = {0};
    for (uint32_t round = 1; round <= 3; round++) {
        for (uint32_t attempt = 0; attempt < 2; attempt++) {
            const struct rn_store_key key = key_of(KIND, round, attempt);
            rn_store_batch_append(&batch, &key, rn_view_text(""));
        }
        add(&batch, OTHER, round, "other");
    }
    submit_batch(fixture, &batch);
    await(fixture, 1);

    struct rn_store_query query = {.kind = KIND, .scope = RN_STORE_ROUND, .round = 2};
    struct seen seen = {0};
    assert_true(rn_is_ok(rn_store_scan(fixture->store, &query, note, &seen, NULL)));
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.rounds[1], 2);
    query = (struct rn_store_query){.kind = KIND, .scope = RN_STORE_SESSION, .session = {3}};
    seen = (struct seen){0};
    assert_true(rn_is_ok(rn_store_scan(fixture->store, &query, note, &seen, NULL)));
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.attempts[1], 1);

    struct rn_store_record record;
    bool found = false;
    assert_true(rn_is_ok(rn_store_latest(fixture->store, &query, &record, &found, NULL)));
    assert_true(found);
    assert_int_equal(record.key.attempt, 1);
    assert_int_equal(record.body.length, 0);
    query = (struct rn_store_query){.kind = KIND, .after = record.position};
    assert_true(rn_is_ok(rn_store_latest(fixture->store, &query, &record, &found, NULL)));
    assert_false(found);
    query.after--;
    assert_true(rn_is_ok(rn_store_latest(fixture->store, &query, &record, &found, NULL)));
    assert_true(found);
    query.kind = RN_STORE_KIND_MAX;
    assert_true(rn_is_ok(rn_store_latest(fixture->store, &query, &record, &found, NULL)));
    query.kind = RN_STORE_KIND_MAX + 1;
    assert_int_equal(rn_store_latest(fixture->store, &query, &record, &found, NULL).code,
                     RN_E_DATA);
}

struct answer {
    struct fixture *fixture;
    struct rn_store_records records;
};

static void on_read(void *context, rn_result result, struct rn_store_records *records,
                    const struct rn_error *err)
{
    struct answer *answer = context;
    answer->records = *records;
    *records = (struct rn_store_records){0};
    on_done(answer->fixture, 0, result, err);
}

static struct rn_store_records read_wait(struct fixture *fixture, struct rn_store_query query)
{
    struct answer answer = {.fixture = fixture};
    assert_true(rn_is_ok(rn_store_read_async(fixture->store, &query, on_read, &answer, NULL)));
    await(fixture, fixture->done_count + 1);
    assert_done(fixture, fixture->done_count - 1, 0, RN_OK);
    return answer.records;
}

static void reads_in_turn_with_commits(struct fixture *fixture)
{
    open_store(fixture);
    struct answer answer = {.fixture = fixture};
    const struct rn_store_query query = {.kind = KIND};
    submit_one(fixture, KIND, 1);
    assert_true(rn_is_ok(rn_store_read_async(fixture->store, &query, on_read, &answer, NULL)));
    submit_one(fixture, KIND, 2);
    await(fixture, 3);
    assert_done(fixture, 1, 0, RN_OK);
    assert_int_equal(answer.records.count, 1);
    assert_int_equal(answer.records.items[0].key.round, 1);
    assert_true(rn_view_equal(rn_buffer_view(&answer.records.items[0].body), rn_view_text("one")));
    rn_store_records_clear(&answer.records);
}

static void reads_in_pages(struct fixture *fixture)
{
    open_store(fixture);
    for (uint32_t round = 1; round <= 3; round++) {
        struct rn_store_batch batch = {0};
        add(&batch, KIND, round, "ten bytes.");
        submit_batch(fixture, &batch);
    }
    await(fixture, 3);
    static const struct {
        size_t bytes_max;
        size_t count;
    } pages[] = {{1, 1}, {19, 1}, {20, 2}, {29, 2}, {30, 3}, {0, 3}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(pages); i++) {
        struct rn_store_records records = read_wait(
            fixture, (struct rn_store_query){.kind = KIND, .bytes_max = pages[i].bytes_max});
        assert_int_equal(records.count, pages[i].count);
        assert_int_equal(records.more, pages[i].count < 3);
        const uint64_t last = records.items[records.count - 1].position;
        rn_store_records_clear(&records);
        records = read_wait(fixture, (struct rn_store_query){.kind = KIND, .after = last});
        assert_int_equal(records.count, 3 - pages[i].count);
        assert_false(records.more);
        rn_store_records_clear(&records);
    }
}

static rn_result refuse_second(void *argument, uint64_t position, const struct rn_store_key *key,
                               struct rn_view body, struct rn_error *err)
{
    unsigned *count = argument;
    (void)position;
    (void)key;
    (void)body;
    RN_ENSURE(++*count < 2, err, RN_E_ROUND_STALE, "enough");
    return rn_ok();
}

static void a_visitor_ends_the_scan(struct fixture *fixture)
{
    open_store(fixture);
    for (uint32_t round = 1; round <= 3; round++) {
        submit_one(fixture, KIND, round);
    }
    await(fixture, 3);
    unsigned count = 0;
    const struct rn_store_query query = {.kind = KIND};
    assert_int_equal(rn_store_scan(fixture->store, &query, refuse_second, &count, NULL).code,
                     RN_E_ROUND_STALE);
    assert_int_equal(count, 2);
    assert_int_equal(scan(fixture, KIND)->count, 3); /* and the next one is whole */
}

/* --- rules and limits ------------------------------------------------------------------------- */

static void prunes_by_rule(struct fixture *fixture)
{
    open_store(fixture);
    struct rn_store_batch batch = {0};
    for (uint32_t round = 1; round <= 3; round++) {
        for (uint32_t attempt = 0; attempt < 3; attempt++) {
            const struct rn_store_key key = key_of(KIND, round, attempt);
            rn_store_batch_append(&batch, &key, rn_view_text("x"));
        }
        add(&batch, OTHER, round, "other");
    }
    submit_batch(fixture, &batch);
    rn_store_batch_prune_before(&batch, KIND, 2, 1);
    submit_batch(fixture, &batch);
    await(fixture, 2);
    const struct seen *seen = scan(fixture, KIND);
    assert_int_equal(seen->count, 5); /* (2, 1) is kept, (2, 0) and round 1 are gone */
    assert_int_equal(seen->rounds[0], 2);
    assert_int_equal(seen->attempts[0], 1);

    /* The rule comes first, so a batch can replace what it deletes. */
    const uint8_t session[RN_STORE_SESSION_BYTES] = {3};
    add(&batch, KIND, 3, "instead");
    rn_store_batch_prune_session(&batch, KIND, session);
    submit_batch(fixture, &batch);
    await(fixture, 3);
    seen = scan(fixture, KIND);
    assert_int_equal(seen->count, 3);
    assert_int_equal(seen->rounds[1], 2);
    assert_int_equal(seen->rounds[2], 3);
    assert_int_equal(scan(fixture, OTHER)->count, 3);
}

static void never_prunes_what_is_kept(struct fixture *fixture)
{
    open_store(fixture);
    submit_one(fixture, KEPT, 1);
    struct rn_store_batch batch = {0};
    rn_store_batch_prune_before(&batch, KEPT, 2, 0);
    assert_int_equal(rn_store_commit(fixture->store, &batch, on_done, fixture, NULL, NULL).code,
                     RN_E_USAGE);
    assert_int_equal(batch.prune_count, 1); /* untouched */
    rn_store_batch_clear(&batch);
    await(fixture, 1);
    assert_int_equal(scan(fixture, KEPT)->count, 1);
}

/* The outcome of submitting; what was not taken is freed. */
static enum rn_code try_batch(struct fixture *fixture, struct rn_store_batch *batch)
{
    const rn_result result = rn_store_commit(fixture->store, batch, on_done, fixture, NULL, NULL);
    rn_store_batch_clear(batch);
    return result.code;
}

static void holds_the_limits_of_a_batch(struct fixture *fixture)
{
    open_store(fixture);
    for (size_t over = 0; over < 2; over++) {
        const enum rn_code expected = over == 0 ? RN_OK : RN_E_DATA;
        struct rn_store_batch batch = {0};
        for (size_t i = 0; i < RN_STORE_BATCH_RECORDS_MAX + over; i++) {
            add(&batch, KIND, (uint32_t)i, "");
        }
        assert_int_equal(try_batch(fixture, &batch), expected);
        for (size_t i = 0; i < RN_STORE_BATCH_PRUNES_MAX + over; i++) {
            rn_store_batch_prune_before(&batch, KIND, 0, 0);
        }
        assert_int_equal(try_batch(fixture, &batch), expected);
        add(&batch, RN_STORE_KIND_MAX + (uint32_t)over, 0, "");
        assert_int_equal(try_batch(fixture, &batch), expected);
        rn_store_batch_prune_before(&batch, RN_STORE_KIND_MAX + (uint32_t)over, 0, 0);
        assert_int_equal(try_batch(fixture, &batch), expected);
        add(&batch, 1 - (uint32_t)over, 0, "");
        assert_int_equal(try_batch(fixture, &batch), expected);
    }
}

static void holds_the_limits_of_the_queue(struct fixture *fixture)
{
    struct rn_store_options options = options_of(fixture);
    options.queue_bytes_max = 10;
    assert_true(rn_is_ok(fixture->flavour->open(fixture, &options, NULL)));
    struct rn_store_batch batch = {0};
    add(&batch, KIND, 1, "0123456789 and more");
    submit_batch(fixture, &batch); /* alone it may be of any size */
    add(&batch, KIND, 2, "x");
    assert_int_equal(rn_store_commit(fixture->store, &batch, on_done, fixture, NULL, NULL).code,
                     RN_E_BUSY);
    assert_int_equal(batch.record_count, 1); /* untouched, for later */
    assert_int_equal(rn_store_load(fixture->store).bytes, 19);
    await(fixture, 1);
    assert_int_equal(rn_store_load(fixture->store).bytes, 0);
    submit_batch(fixture, &batch);
    add(&batch, KIND, 3, "23456789A");
    submit_batch(fixture, &batch); /* 1 + 9: at the limit */
    add(&batch, KIND, 4, "B");
    assert_int_equal(try_batch(fixture, &batch), RN_E_BUSY);
    await(fixture, 3);
    assert_int_equal(scan(fixture, KIND)->count, 3);

    for (size_t i = 0; i < RN_STORE_QUEUE_JOBS_MAX; i++) {
        assert_int_equal(try_batch(fixture, &batch), RN_OK);
    }
    assert_int_equal(rn_store_load(fixture->store).jobs, RN_STORE_QUEUE_JOBS_MAX);
    assert_int_equal(try_batch(fixture, &batch), RN_E_BUSY);
    const struct rn_store_query query = {.kind = KIND};
    assert_int_equal(rn_store_read_async(fixture->store, &query, on_read, NULL, NULL).code,
                     RN_E_BUSY);
    assert_int_equal(rn_store_renew(fixture->store, on_done, fixture, NULL).code, RN_E_BUSY);
    await(fixture, 3 + RN_STORE_QUEUE_JOBS_MAX);
    assert_int_equal(rn_store_load(fixture->store).jobs, 0);
    assert_done(fixture, 2 + RN_STORE_QUEUE_JOBS_MAX, 3 + RN_STORE_QUEUE_JOBS_MAX, RN_OK);
}

/* --- one owner -------------------------------------------------------------------------------- */

static void belongs_to_one_job(struct fixture *fixture)
{
    open_store(fixture);
    reopen_store(fixture); /* the same again is fine */
    rn_store_close(&fixture->store);
    struct rn_store_options options = options_of(fixture);
    struct rn_error err = {0};
    options.binding = rn_view_text("plan-2");
    assert_int_equal(fixture->flavour->open(fixture, &options, &err).code, RN_E_CONFIG);
    assert_null(fixture->store);
    assert_non_null(strstr(err.text, "another plan"));
    options.binding = rn_view_text(""); /* inspection */
    assert_true(rn_is_ok(fixture->flavour->open(fixture, &options, &err)));
}

static void holds_the_limit_of_a_binding(struct fixture *fixture)
{
    static const uint8_t bytes[RN_STORE_BINDING_MAX + 1];
    struct rn_store_options options = options_of(fixture);
    options.binding = rn_view_of(bytes, RN_STORE_BINDING_MAX + 1);
    assert_int_equal(fixture->flavour->open(fixture, &options, NULL).code, RN_E_USAGE);
    options.binding.length--;
    assert_true(rn_is_ok(fixture->flavour->open(fixture, &options, NULL)));
}

static void a_lost_lease_ends_the_writing(struct fixture *fixture)
{
    open_store(fixture);
    const uint64_t first = rn_store_epoch(fixture->store);
    reopen_store(fixture);
    assert_true(rn_store_epoch(fixture->store) > first);
    submit_one(fixture, KIND, 1);
    assert_true(rn_is_ok(rn_store_renew(fixture->store, on_done, fixture, NULL)));
    await(fixture, 2);
    assert_done(fixture, 1, 1, RN_OK);
    take_over(fixture);
    submit_one(fixture, KIND, 2);
    submit_one(fixture, KIND, 3);
    await(fixture, 4);
    assert_done(fixture, 2, 2, RN_E_LEASE);
    assert_done(fixture, 3, 3, RN_E_LEASE);
    assert_non_null(strstr(fixture->text, "lost lease"));
    assert_int_equal(scan(fixture, KIND)->count, 1);
}

static void a_renewal_finds_the_lease_lost(struct fixture *fixture)
{
    open_store(fixture);
    take_over(fixture);
    assert_true(rn_is_ok(rn_store_renew(fixture->store, on_done, fixture, NULL)));
    submit_one(fixture, KIND, 1);
    await(fixture, 2);
    assert_done(fixture, 0, 0, RN_E_LEASE);
    assert_done(fixture, 1, 1, RN_E_LEASE);
}

/* --- end -------------------------------------------------------------------------------------- */

/* Whoever is told inside rn_store_close cannot ask for more. */
static void on_done_more(void *context, uint64_t sequence, rn_result result,
                         const struct rn_error *err)
{
    struct fixture *fixture = context;
    struct rn_store_batch batch = {0};
    struct rn_store *store = fixture->store;
    if (store != NULL) {
        add(&batch, KIND, 9, "more");
        assert_int_equal(rn_store_commit(store, &batch, on_done, fixture, NULL, NULL).code,
                         RN_E_UNAVAILABLE);
        rn_store_batch_clear(&batch);
    }
    on_done(context, sequence, result, err);
}

static void close_finishes_and_tells(struct fixture *fixture)
{
    open_store(fixture);
    for (uint32_t round = 1; round <= 10; round++) {
        struct rn_store_batch batch = {0};
        add(&batch, KIND, round, "x");
        assert_true(
            rn_is_ok(rn_store_commit(fixture->store, &batch, on_done_more, fixture, NULL, NULL)));
    }
    (void)pthread_mutex_lock(&fixture->loop.lock);
    fixture->loop.closed = true; /* from somewhere on nothing is posted any more */
    (void)pthread_mutex_unlock(&fixture->loop.lock);
    struct rn_store *closing = fixture->store; /* fixture->store stays for on_done_more */
    rn_store_close(&closing);
    fixture->store = NULL;
    assert_int_equal(fixture->done_count, 10);
    for (size_t i = 0; i < 10; i++) {
        assert_done(fixture, i, i + 1, RN_OK);
    }
    while (loop_run_one(&fixture->loop)) { /* what was posted before finds nothing to do */
    }
    assert_int_equal(fixture->done_count, 10);
    fixture->loop.closed = false;
    open_store(fixture);
    assert_int_equal(scan(fixture, KIND)->count, 10);
}

/* --- both stores ------------------------------------------------------------------------------ */

static const struct promise {
    const char *name;
    void (*check)(struct fixture *fixture);
} PROMISES[] = {
#define PROMISE(function)   \
    {                       \
#function, function \
    }
    PROMISE(commits_in_order),
    PROMISE(reads_whole_batches_while_writing),
    PROMISE(fails_whole_and_stops),
    PROMISE(keeps_what_was_acknowledged),
    PROMISE(finds_by_round_and_session),
    PROMISE(reads_in_turn_with_commits),
    PROMISE(reads_in_pages),
    PROMISE(a_visitor_ends_the_scan),
    PROMISE(prunes_by_rule),
    PROMISE(never_prunes_what_is_kept),
    PROMISE(holds_the_limits_of_a_batch),
    PROMISE(holds_the_limits_of_the_queue),
    PROMISE(belongs_to_one_job),
    PROMISE(holds_the_limit_of_a_binding),
    PROMISE(a_lost_lease_ends_the_writing),
    PROMISE(a_renewal_finds_the_lease_lost),
    PROMISE(close_finishes_and_tells),
};
static const struct flavour *const FLAVOURS[] = {&SQLITE, &MEMORY};
#define CASES (RN_ARRAY_LENGTH(PROMISES) * RN_ARRAY_LENGTH(FLAVOURS))

struct both {
    const struct promise *promise;
    const struct flavour *flavour;
    char name[96];
};

static void check(void **state)
{
    const struct both *both = *state;
    struct fixture *fixture = fixture_new(both->flavour);
    both->promise->check(fixture);
    fixture_free(fixture);
}

int main(void)
{
    static struct both both[CASES];
    struct CMUnitTest tests[CASES];
    for (size_t i = 0; i < CASES; i++) {
        both[i].promise = &PROMISES[i % RN_ARRAY_LENGTH(PROMISES)];
        both[i].flavour = FLAVOURS[i / RN_ARRAY_LENGTH(PROMISES)];
        (void)rn_text_format(both[i].name, sizeof(both[i].name), "%s: %s", both[i].flavour->name,
                             both[i].promise->name);
        tests[i] = (struct CMUnitTest){
            .name = both[i].name, .test_func = check, .initial_state = &both[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
