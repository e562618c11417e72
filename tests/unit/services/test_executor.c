/* SPDX-License-Identifier: Apache-2.0
 *
 * The executor with a machine and a disk of the test's making: the disk does one commit when it is
 * told to, so every order is forced and none depends on time.
 */
#include "services/host/executor.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/guard.h"
#include "crypto/secagg/graph.h"
#include "services/store/storebase.h"

#include <cmocka.h>

/* ---- A disk that stands still until it is told to go on */

struct disk {
    struct rn_store base;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    struct rn_store_jobs waiting;
    unsigned submitted, permits, done, fail_at; /* fail_at: the commit that fails; 0 none */
    unsigned records;                           /* of all batches so far */
    bool ending;
};

static void submit(struct rn_store *store, struct rn_store_job *job)
{
    struct disk *disk = (struct disk *)store;
    (void)pthread_mutex_lock(&disk->lock);
    rn_store_jobs_push(&disk->waiting, job);
    disk->submitted++;
    (void)pthread_cond_broadcast(&disk->changed);
    (void)pthread_mutex_unlock(&disk->lock);
}

static rn_result commit(struct rn_store *store, struct rn_store_batch *batch, struct rn_error *err)
{
    struct disk *disk = (struct disk *)store;
    (void)pthread_mutex_lock(&disk->lock);
    disk->records += (unsigned)batch->record_count;
    const bool fails = disk->done + 1 == disk->fail_at;
    (void)pthread_mutex_unlock(&disk->lock);
    return fails ? rn_fail(err, RN_E_IO, "the disk is full") : rn_ok();
}

static void *work(void *argument)
{
    struct disk *disk = argument;
    (void)pthread_mutex_lock(&disk->lock);
    for (;;) {
        while (!(disk->waiting.first != NULL && (disk->permits > 0 || disk->ending)) &&
               !(disk->ending && disk->waiting.first == NULL)) {
            (void)pthread_cond_wait(&disk->changed, &disk->lock);
        }
        struct rn_store_job *job = rn_store_jobs_pop(&disk->waiting);
        if (job == NULL) {
            break;
        }
        disk->permits -= disk->permits > 0;
        (void)pthread_mutex_unlock(&disk->lock);
        rn_store_perform(&disk->base, job);
        (void)pthread_mutex_lock(&disk->lock);
        disk->done++;
        (void)pthread_mutex_unlock(&disk->lock);
        rn_store_outbox_put(disk->base.outbox, job);
        (void)pthread_mutex_lock(&disk->lock);
    }
    (void)pthread_mutex_unlock(&disk->lock);
    return NULL;
}

static void finish(struct rn_store *store)
{
    struct disk *disk = (struct disk *)store;
    (void)pthread_mutex_lock(&disk->lock);
    disk->ending = true;
    (void)pthread_cond_broadcast(&disk->changed);
    (void)pthread_mutex_unlock(&disk->lock);
    (void)pthread_join(disk->thread, NULL);
}

static void free_disk(struct rn_store *store)
{
    struct disk *disk = (struct disk *)store;
    rn_store_release(store);
    (void)pthread_mutex_destroy(&disk->lock);
    (void)pthread_cond_destroy(&disk->changed);
    rn_free(disk);
}

/* One record whose body is what the disk has taken in so far: a read sees every commit before. */
static rn_result read_records(struct rn_store *store, const struct rn_store_query *query,
                              bool newest, rn_store_visit visit, void *argument,
                              struct rn_error *err)
{
    struct disk *disk = (struct disk *)store;
    (void)newest;
    (void)pthread_mutex_lock(&disk->lock);
    const uint8_t done = (uint8_t)disk->done;
    (void)pthread_mutex_unlock(&disk->lock);
    const struct rn_store_key key = {.kind = query->kind, .round = done};
    return visit(argument, 1, &key, rn_view_of(&done, 1), err);
}

static struct disk *open_disk(struct rn_executor *executor)
{
    static const struct rn_store_operations operations = {
        .submit = submit,
        .read = read_records,
        .commit = commit,
        .finish = finish,
        .free = free_disk,
    };
    const struct rn_store_options options = {.post = rn_executor_store_post, .user = executor};
    struct disk *disk = rn_alloc(1, sizeof(*disk));
    rn_store_init(&disk->base, &operations, &options);
    (void)pthread_mutex_init(&disk->lock, NULL);
    (void)pthread_cond_init(&disk->changed, NULL);
    assert_int_equal(pthread_create(&disk->thread, NULL, work, disk), 0);
    return disk;
}

static void permit(struct disk *disk, unsigned commits)
{
    (void)pthread_mutex_lock(&disk->lock);
    disk->permits += commits;
    (void)pthread_cond_broadcast(&disk->changed);
    (void)pthread_mutex_unlock(&disk->lock);
}

static void wait_submitted(struct disk *disk, unsigned commits)
{
    (void)pthread_mutex_lock(&disk->lock);
    while (disk->submitted < commits) {
        (void)pthread_cond_wait(&disk->changed, &disk->lock);
    }
    (void)pthread_mutex_unlock(&disk->lock);
}

/* ---- A machine that does what the message says, and a list of what came out */

struct world {
    struct rn_executor *executor;
    struct disk *disk;
    struct rn_store *store;
    struct rn_job_reader reader;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char out[1024];      /* what the outlet got, in order */
    char in[1024];       /* what the machine got: ticks left out */
    unsigned chunks_out; /* handed to the outlet */
    unsigned resumed;
    uint32_t resumed_peer; /* the last */
    bool gate_shut;        /* the step of "wait" waits for it to open */
    uint8_t read;          /* by "r" */
    bool refuse;           /* what has to be durable before a commit cannot be made so */
};

static void note(struct world *world, char *list, const char *what)
{
    (void)pthread_mutex_lock(&world->lock);
    const size_t used = strlen(list);
    (void)rn_text_format(list + used, sizeof(world->out) - used, "%s ", what);
    (void)pthread_cond_broadcast(&world->changed);
    (void)pthread_mutex_unlock(&world->lock);
}

static void wait_for(struct world *world, const char *list, const char *what)
{
    (void)pthread_mutex_lock(&world->lock);
    while (strstr(list, what) == NULL) {
        (void)pthread_cond_wait(&world->changed, &world->lock);
    }
    (void)pthread_mutex_unlock(&world->lock);
}

/* What is in the list now. */
static const char *snapshot(struct world *world, const char *list)
{
    static char copy[1024];
    (void)pthread_mutex_lock(&world->lock);
    (void)rn_text_format(copy, sizeof(copy), "%s", list);
    (void)pthread_mutex_unlock(&world->lock);
    return copy;
}

static void add_commit(struct rn_effects *out)
{
    const struct rn_record_key key = {.kind = RN_RECORD_RESULT, .round = 1};
    rn_buffer_append(rn_job_batch_write(rn_effects_commit(out), &key), "body", 4);
}

static void add_send(struct rn_effects *out, char name)
{
    struct rn_effect *effect = rn_effects_add(out, RN_EFFECT_SEND);
    effect->connection = 1;
    rn_buffer_append(&effect->bytes, &name, 1);
}

/* "b" and the last chunk's number: wants chunks 0 to that. */
static void add_bulk(struct rn_effects *out, char last)
{
    struct rn_effect *effect = rn_effects_add(out, RN_EFFECT_BULK);
    effect->peer = RN_SA_COORDINATOR;
    effect->chunks = 64;
    memset(effect->session, 7, sizeof(effect->session));
    uint8_t *bits = rn_buffer_grow(&effect->bytes, 8);
    for (int chunk = 0; chunk <= last - '0'; chunk++) {
        bits[chunk / 8] |= (uint8_t)(1 << chunk % 8);
    }
}

static rn_result see(void *argument, const struct rn_record_key *key, struct rn_view body,
                     struct rn_error *err)
{
    (void)key;
    (void)err;
    ((struct world *)argument)->read = body.data[0];
    return rn_ok();
}

static void obey(struct world *world, struct rn_view orders, struct rn_effects *out)
{
    struct rn_error err = {{0}};
    for (size_t i = 0; i < orders.length; i++) {
        const char order = (char)orders.data[i];
        if (order == '!') {
            add_commit(out);
        } else if (order == '%') { /* a batch that the store refuses at once */
            rn_job_batch_prune(rn_effects_commit(out), RN_RECORD_ADAPTER, 2);
        } else if (order == '#') {
            add_bulk(out, (char)orders.data[++i]);
        } else if (order == '-') {
            rn_effects_add(out, RN_EFFECT_BULK_STOP)->peer = RN_SA_COORDINATOR;
        } else if (order == '?') {
            (void)world->reader.scan(world->reader.context, RN_RECORD_RESULT, NULL, see, world,
                                     &err);
        } else if (order == '.') {
            (void)pthread_mutex_lock(&world->lock);
            while (world->gate_shut) {
                (void)pthread_cond_wait(&world->changed, &world->lock);
            }
            (void)pthread_mutex_unlock(&world->lock);
        } else if (order >= 'A' && order <= 'Z') {
            add_send(out, order);
        }
    }
}

static void step(void *context, const struct rn_input *input, struct rn_now now,
                 struct rn_effects *out)
{
    struct world *world = context;
    char what[32] = "?";
    (void)now;
    if (input->kind == RN_INPUT_TICK) {
        return;
    }
    if (input->kind == RN_INPUT_BULK_SENT) {
        (void)rn_text_format(what, sizeof(what), "sent:%s", rn_code_name(input->code));
    } else if (input->kind == RN_INPUT_MESSAGE) {
        (void)rn_text_format(what, sizeof(what), "%.*s",
                             (int)(input->bytes.length < 8 ? input->bytes.length : 8),
                             (const char *)input->bytes.data);
        obey(world, input->bytes, out);
    } else if (input->kind == RN_INPUT_ABORT) {
        (void)rn_text_format(what, sizeof(what), "abort:%s", input->text);
    }
    note(world, world->in, what);
}

static rn_result chunk(void *context, const uint8_t session[static RN_HASH_BYTES], uint32_t number,
                       struct rn_buffer *out, struct rn_error *err)
{
    (void)context;
    assert_int_equal(session[0], 7);
    RN_ENSURE(number < 8, err, RN_E_USAGE, "no such chunk");
    rn_buffer_u32(out, number);
    return rn_ok();
}

static void carry(void *context, struct rn_effect *effect)
{
    struct world *world = context;
    char what[64] = "?";
    if (effect->kind == RN_EFFECT_SEND) {
        (void)rn_text_format(what, sizeof(what), "%c", effect->bytes.data[0]);
    } else if (effect->kind == RN_EFFECT_EVENT) {
        (void)rn_text_format(what, sizeof(what), "event:%s",
                             rn_job_event_row(effect->event.kind)->name);
    } else if (effect->kind == RN_EFFECT_END) {
        (void)rn_text_format(what, sizeof(what), "end:%s:%s%s", rn_code_name(effect->result.code),
                             effect->err.text, effect->now ? ":now" : "");
    }
    note(world, world->out, what);
}

static void take_chunk(void *context, struct rn_executor_chunk *piece)
{
    struct world *world = context;
    char what[16];
    (void)rn_text_format(what, sizeof(what), "c%u", (unsigned)piece->chunk);
    rn_buffer_clear(&piece->message);
    (void)pthread_mutex_lock(&world->lock);
    world->chunks_out++;
    (void)pthread_mutex_unlock(&world->lock);
    note(world, world->out, what);
}

static void resume(void *context, uint32_t peer)
{
    struct world *world = context;
    (void)pthread_mutex_lock(&world->lock);
    world->resumed++;
    world->resumed_peer = peer;
    (void)pthread_cond_broadcast(&world->changed);
    (void)pthread_mutex_unlock(&world->lock);
}

static rn_result before(void *context, const struct rn_job_batch *batch, struct rn_error *err)
{
    struct world *world = context;
    (void)batch;
    (void)pthread_mutex_lock(&world->lock);
    const bool refuse = world->refuse;
    (void)pthread_mutex_unlock(&world->lock);
    return refuse ? rn_fail(err, RN_E_IO, "the ledger cannot be written") : rn_ok();
}

static struct world *begin_for(uint32_t peers, size_t inbox_bytes)
{
    struct world *world = rn_alloc(1, sizeof(*world));
    const struct rn_executor_config config = {
        .outlet = {.context = world, .carry = carry, .chunk = take_chunk, .resume = resume},
        .before = before,
        .peers = peers,
        .inbox_bytes = inbox_bytes,
    };
    struct rn_effects first = {0};
    const struct rn_executor_machine machine = {world, step, chunk};
    (void)pthread_mutex_init(&world->lock, NULL);
    (void)pthread_cond_init(&world->changed, NULL);
    world->executor = rn_executor_new(&config);
    world->disk = open_disk(world->executor);
    world->store = &world->disk->base;
    rn_executor_set_store(world->executor, world->store);
    world->reader = rn_executor_reader(world->executor);
    add_send(&first, 'F');
    assert_true(rn_is_ok(rn_executor_start(world->executor, &machine, &first, NULL)));
    return world;
}

static struct world *begin(size_t inbox_bytes)
{
    return begin_for(1, inbox_bytes);
}

static bool say_of(struct world *world, uint32_t peer, const char *orders)
{
    const struct rn_input input = {
        .kind = RN_INPUT_MESSAGE, .peer = peer, .bytes = rn_view_text(orders)};
    return rn_executor_post(world->executor, &input);
}

static void set_gate(struct world *world, bool shut)
{
    (void)pthread_mutex_lock(&world->lock);
    world->gate_shut = shut;
    (void)pthread_cond_broadcast(&world->changed);
    (void)pthread_mutex_unlock(&world->lock);
}

static bool say(struct world *world, const char *orders)
{
    const struct rn_input input = {.kind = RN_INPUT_MESSAGE, .bytes = rn_view_text(orders)};
    return rn_executor_post(world->executor, &input);
}

static void end(struct world *world)
{
    rn_executor_stop(world->executor);
    rn_store_close(&world->store);
    rn_executor_free(world->executor);
    (void)pthread_mutex_destroy(&world->lock);
    (void)pthread_cond_destroy(&world->changed);
    rn_free(world);
}

/* ---- Order */

static void effects_come_in_order(void **state)
{
    (void)state;
    struct world *world = begin(0);
    permit(world->disk, 9);
    (void)say(world, "AB!C");
    (void)say(world, "D");
    wait_for(world, world->out, "D");
    assert_string_equal(snapshot(world, world->out), "F A B C D ");
    end(world);
}

static void nothing_behind_a_commit_before_it_is_durable(void **state)
{
    (void)state;
    struct world *world = begin(0);
    (void)say(world, "A!B");
    (void)say(world, "C!D"); /* taken at once; its effects queue up behind */
    (void)say(world, "E");
    wait_for(world, world->in, "E");
    wait_submitted(world->disk, 2); /* both commits are with the store already */
    assert_string_equal(snapshot(world, world->out), "F A ");
    permit(world->disk, 1);
    wait_for(world, world->out, "C");
    assert_string_equal(snapshot(world, world->out), "F A B C ");
    permit(world->disk, 1);
    wait_for(world, world->out, "E");
    assert_string_equal(snapshot(world, world->out), "F A B C D E ");
    end(world);
}

static void neighbouring_writes_are_one_commit(void **state)
{
    (void)state;
    struct world *world = begin(0);
    permit(world->disk, 1);
    (void)say(world, "!!A");
    wait_for(world, world->out, "A");
    assert_int_equal(world->disk->submitted, 1);
    assert_int_equal(world->disk->records, 2);
    end(world);
}

static void note_release(void *owner)
{
    struct world *world = owner;
    note(world, world->in, "released");
}

static void a_failed_commit_stops_everything_behind(void **state)
{
    (void)state;
    struct world *world = begin(0);
    world->disk->fail_at = 2;
    (void)say(world, "!A");
    (void)say(world, "!B");
    (void)say(world, "!C");
    wait_submitted(world->disk, 3);
    permit(world->disk, 3);
    wait_for(world, world->out, "end:");
    assert_string_equal(snapshot(world, world->out),
                        "F A event:service.failed end:io:the disk is full:now ");
    /* The machine is not stepped again, but what is posted is still taken. */
    const struct rn_input input = {.kind = RN_INPUT_ABORT, .text = "why"};
    (void)say(world, "Z");
    rn_executor_post_owned(world->executor, &input, note_release, world);
    wait_for(world, world->in, "released");
    assert_null(strstr(snapshot(world, world->in), "Z"));
    assert_null(strstr(snapshot(world, world->in), "abort"));
    end(world);
}

/* And where what comes before the commit fails: the store is not even asked. */
static void what_comes_before_a_commit_stops_it(void **state)
{
    (void)state;
    struct world *world = begin(0);
    permit(world->disk, 9);
    (void)say(world, "!A");
    wait_for(world, world->out, "A");
    (void)pthread_mutex_lock(&world->lock);
    world->refuse = true;
    (void)pthread_mutex_unlock(&world->lock);
    (void)say(world, "!B");
    wait_for(world, world->out, "end:");
    assert_string_equal(snapshot(world, world->out),
                        "F A event:service.failed end:io:the ledger cannot be written:now ");
    (void)pthread_mutex_lock(&world->disk->lock);
    assert_int_equal(world->disk->submitted, 1);
    (void)pthread_mutex_unlock(&world->disk->lock);
    end(world);
}

/* The same for one that the store does not even take. */
static void a_refused_commit_stops_everything_behind(void **state)
{
    (void)state;
    struct world *world = begin(0);
    world->disk->base.kept_kinds = UINT64_C(1) << RN_RECORD_ADAPTER;
    permit(world->disk, 1);
    (void)say(world, "!A");
    wait_for(world, world->out, "A");
    (void)say(world, "%B");
    wait_for(world, world->out, "end:");
    assert_null(strstr(snapshot(world, world->out), "B"));
    assert_non_null(strstr(snapshot(world, world->out), "event:service.failed end:usage"));
    end(world);
}

static void stopping_drops_what_waits(void **state)
{
    (void)state;
    struct world *world = begin(0);
    (void)say(world, "!A");
    wait_submitted(world->disk, 1);
    rn_executor_stop(world->executor);
    assert_string_equal(snapshot(world, world->out), "F ");
    end(world);
}

/* ---- Reading */

static void a_read_waits_for_all_commits(void **state)
{
    (void)state;
    struct world *world = begin(0);
    (void)say(world, "!A");
    (void)say(world, "!B");
    (void)say(world, "?C");
    wait_submitted(world->disk, 2);
    permit(world->disk, 2);
    wait_for(world, world->out, "C");
    assert_int_equal(world->read, 2);
    /* Not from inside the step that read. */
    assert_string_equal(snapshot(world, world->out), "F A B C ");
    end(world);
}

static void a_read_fails_after_a_failed_commit(void **state)
{
    (void)state;
    struct world *world = begin(0);
    world->disk->fail_at = 1;
    (void)say(world, "!A");
    (void)say(world, "?B");
    wait_submitted(world->disk, 1);
    permit(world->disk, 1);
    wait_for(world, world->out, "end:");
    rn_executor_stop(world->executor); /* and it does not come later either */
    assert_int_equal(world->read, 0);
    end(world);
}

/* ---- Inbox */

static void a_slow_disk_delays_nobody_who_posts(void **state)
{
    (void)state;
    struct world *world = begin(0);
    /* No permit is ever given: a post that waited for the disk would hang. */
    for (int i = 0; i < 100; i++) {
        assert_true(say(world, "!"));
    }
    (void)say(world, "last");
    wait_for(world, world->in, "last");
    assert_string_equal(snapshot(world, world->out), "F ");
    end(world);
}

static void a_full_queue_of_the_store_holds_the_executor_not_the_poster(void **state)
{
    (void)state;
    struct world *world = begin(0);
    for (unsigned i = 0; i < RN_STORE_QUEUE_JOBS_MAX + 10; i++) {
        (void)say(world, "!");
    }
    (void)say(world, "Z");
    wait_submitted(world->disk, RN_STORE_QUEUE_JOBS_MAX);
    permit(world->disk, RN_STORE_QUEUE_JOBS_MAX + 10);
    wait_for(world, world->out, "Z");
    assert_int_equal(world->disk->submitted, RN_STORE_QUEUE_JOBS_MAX + 10);
    end(world);
}

static void the_inbox_is_bounded(void **state)
{
    (void)state;
    struct world *world = begin(100000);
    char big[20000];
    memset(big, 'x', sizeof(big));
    const struct rn_input input = {.kind = RN_INPUT_MESSAGE, .bytes = rn_view_of(big, sizeof(big))};
    (void)pthread_mutex_lock(&world->lock);
    world->gate_shut = true;
    (void)pthread_mutex_unlock(&world->lock);
    (void)say(world, "."); /* the step stands still: all the rest waits */
    unsigned posted = 0;
    while (rn_executor_post(world->executor, &input)) {
        posted++;
    }
    assert_in_range(posted, 3, 5);
    assert_false(rn_executor_post(world->executor, &input));
    (void)pthread_mutex_lock(&world->lock);
    assert_int_equal(world->resumed, 0);
    world->gate_shut = false;
    (void)pthread_cond_broadcast(&world->changed);
    while (world->resumed == 0) {
        (void)pthread_cond_wait(&world->changed, &world->lock);
    }
    (void)pthread_mutex_unlock(&world->lock);
    end(world);
}

/* case 31. A peer that sends without end stands before another's input with one of its own, and
 * fills its own part of the inbox alone. */
static void a_flood_of_one_peer_delays_the_others_by_one_input(void **state)
{
    (void)state;
    struct world *world = begin_for(3, 20000);
    unsigned flood = 0;
    set_gate(world, true);
    (void)say_of(world, 0, "."); /* the step stands still: all the rest waits */
    while (say_of(world, 0, "f")) {
        flood++;
    }
    assert_false(say_of(world, 0, "f"));
    assert_true(flood > 10);
    assert_true(say_of(world, 1, "1"));
    assert_true(say_of(world, 2, "2"));
    assert_true(say_of(world, 1, "3"));
    const struct rn_input own = {.kind = RN_INPUT_ABORT, .text = "own"};
    assert_true(rn_executor_post(world->executor, &own));
    set_gate(world, false);
    wait_for(world, world->in, "abort:own");
    wait_for(world, world->in, "3");
    (void)pthread_mutex_lock(&world->lock);
    const char *first = strstr(world->in, ".");
    assert_non_null(first);
    assert_int_equal(strncmp(first, ". 1 2 abort:own f 3 ", 20), 0);
    while (world->resumed == 0) {
        (void)pthread_cond_wait(&world->changed, &world->lock);
    }
    assert_int_equal(world->resumed_peer, 0);
    (void)pthread_mutex_unlock(&world->lock);
    end(world);
}

/* Every peer has its part of the inbox. */
static void the_parts_of_the_inbox(void **state)
{
    (void)state;
    const uint32_t peers[] = {1, 64, 65, RN_SA_GRAPH_COMPLETE_MAX, 1024};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(peers); i++) {
        const size_t part = RN_EXECUTOR_INBOX_BYTES / peers[i];
        const size_t most = part < RN_EXECUTOR_PART_BYTES_MIN ? RN_EXECUTOR_PART_BYTES_MIN : part;
        struct world *world = begin_for(peers[i], 0);
        char *text = rn_alloc(most + 1, 1);
        memset(text, 'f', most - 4096);
        set_gate(world, true);
        (void)say_of(world, 0, ".");
        assert_true(say_of(world, 0, text));
        memset(text, 'f', 8192);
        text[8192] = 0;
        assert_false(say_of(world, 0, text));
        set_gate(world, false);
        rn_free(text);
        end(world);
    }
}

static void set_true(void *owner)
{
    *(bool *)owner = true;
}

static void an_owner_is_released_once_stepped_or_never(void **state)
{
    (void)state;
    struct world *world = begin(0);
    bool first = false;
    bool second = false;
    const struct rn_input input = {.kind = RN_INPUT_ABORT, .text = "why"};
    assert_true(rn_executor_post(world->executor, &input));
    rn_executor_post_owned(world->executor, &input, set_true, &first);
    const struct rn_input last = {.kind = RN_INPUT_ABORT, .text = "last"};
    assert_true(rn_executor_post(world->executor, &last));
    wait_for(world, world->in, "last");
    assert_string_equal(snapshot(world, world->in), "abort:why abort:why abort:last ");
    assert_true(first);
    rn_executor_stop(world->executor);
    rn_executor_post_owned(world->executor, &input, set_true, &second);
    end(world);
    assert_true(second);
}

/* ---- Bulk */

/* case 10 */
static void chunks_keep_to_the_window(void **state)
{
    (void)state;
    struct world *world = begin(0);
    (void)say(world, "#4A");
    wait_for(world, world->out, "c1");
    (void)say(world, "B"); /* inputs go on meanwhile */
    wait_for(world, world->out, "B");
    assert_int_equal(world->chunks_out, RN_EXECUTOR_BULK_CHUNKS);
    rn_executor_room(world->executor, RN_SA_COORDINATOR, 2);
    wait_for(world, world->out, "c3");
    rn_executor_room(world->executor, RN_SA_COORDINATOR, 2);
    wait_for(world, world->out, "c4");
    (void)say(world, "C");
    wait_for(world, world->out, "C");
    assert_null(strstr(snapshot(world, world->in), "sent")); /* the last is not handed over yet */
    rn_executor_room(world->executor, RN_SA_COORDINATOR, 1);
    wait_for(world, world->in, "sent:ok");
    end(world);
}

static void a_chunk_that_cannot_be_had_is_told(void **state)
{
    (void)state;
    struct world *world = begin(0);
    (void)say(world, "#9"); /* the machine has 8 */
    for (unsigned i = 0; i < 8; i++) {
        char name[8];
        (void)rn_text_format(name, sizeof(name), "c%u", i);
        wait_for(world, world->out, name);
        rn_executor_room(world->executor, RN_SA_COORDINATOR, 1);
    }
    wait_for(world, world->in, "sent:usage");
    (void)say(world, "#1"); /* what is wanted later goes out again */
    wait_for(world, world->out, "c7 c0 c1");
    rn_executor_room(world->executor, RN_SA_COORDINATOR, 2);
    wait_for(world, world->in, "sent:ok");
    end(world);
}

static void bulk_waits_for_the_commit_and_can_be_stopped(void **state)
{
    (void)state;
    struct world *world = begin(0);
    (void)say(world, "!#4A");
    wait_submitted(world->disk, 1);
    (void)say(world, "x"); /* chunks are looked after between two inputs */
    wait_for(world, world->in, "x");
    assert_int_equal(world->chunks_out, 0);
    permit(world->disk, 1);
    wait_for(world, world->out, "c1");
    (void)say(world, "-B");
    wait_for(world, world->out, "B");
    rn_executor_room(world->executor, RN_SA_COORDINATOR, 2);
    (void)say(world, "C");
    wait_for(world, world->out, "C");
    (void)say(world, "D");
    wait_for(world, world->out, "D");
    assert_int_equal(world->chunks_out, 2);
    assert_null(strstr(snapshot(world, world->in), "sent"));
    end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(effects_come_in_order),
        cmocka_unit_test(nothing_behind_a_commit_before_it_is_durable),
        cmocka_unit_test(neighbouring_writes_are_one_commit),
        cmocka_unit_test(a_failed_commit_stops_everything_behind),
        cmocka_unit_test(what_comes_before_a_commit_stops_it),
        cmocka_unit_test(a_refused_commit_stops_everything_behind),
        cmocka_unit_test(stopping_drops_what_waits),
        cmocka_unit_test(a_read_waits_for_all_commits),
        cmocka_unit_test(a_read_fails_after_a_failed_commit),
        cmocka_unit_test(a_slow_disk_delays_nobody_who_posts),
        cmocka_unit_test(a_full_queue_of_the_store_holds_the_executor_not_the_poster),
        cmocka_unit_test(the_inbox_is_bounded),
        cmocka_unit_test(a_flood_of_one_peer_delays_the_others_by_one_input),
        cmocka_unit_test(the_parts_of_the_inbox),
        cmocka_unit_test(an_owner_is_released_once_stepped_or_never),
        cmocka_unit_test(chunks_keep_to_the_window),
        cmocka_unit_test(a_chunk_that_cannot_be_had_is_told),
        cmocka_unit_test(bulk_waits_for_the_commit_and_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
