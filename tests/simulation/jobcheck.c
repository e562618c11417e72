/* SPDX-License-Identifier: Apache-2.0
 *
 * The oracle, and what must hold at every moment (jobsim.h).
 */
#include "tests/simulation/jobparts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/secagg/envelope.h"
#include "crypto/secagg/messages.h"
#include "tests/simulation/jobwatch.h"

_Noreturn void job_fail(const struct job *job, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fflush(stdout);
    (void)fprintf(stderr,
                  "job simulation, seed %llu, at %llu ms: ", (unsigned long long)job->options.seed,
                  (unsigned long long)job->now);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    if (job->directed) {
        (void)fprintf(stderr, "\nreplay: RONDO_JOB_TEST=%s RONDO_JOB_TRACE=1 %s\n", job_test_name(),
                      program_invocation_name);
    } else {
        (void)fprintf(stderr, "\nreplay: RONDO_JOB_SEED=%llu RONDO_JOB_TRACE=1 %s\n",
                      (unsigned long long)job->options.seed, program_invocation_name);
    }
    _exit(1);
}

/* One line an event, one column a node. */
void job_trace(const struct job_node *node, const char *format, ...)
{
    static int wanted = -1;
    char text[256];
    va_list arguments;
    if (wanted < 0) {
        wanted = getenv("RONDO_JOB_TRACE") != NULL;
    }
    if (!wanted) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    const uint32_t members = node->job->options.members;
    (void)printf("%8llu ", (unsigned long long)node->job->now);
    for (uint32_t i = 0; i < members + 1; i++) {
        const uint32_t column = i == 0 ? members : i - 1; /* the coordinator first */
        (void)printf(column == node->place ? "%s " : ". ", column == members ? "C" : "M");
    }
    (void)printf("%s%u: %s\n", node->place == members ? "C" : "M", (unsigned)node->place, text);
}

/* ---- Vectors, as their members encoded them */

rn_result __real_rn_round_encoder_init(struct rn_round_encoder *out,
                                       const struct rn_round_layout *layout,
                                       const struct rn_round_report *report, const float *delta,
                                       const struct rn_secret32 *key, struct rn_error *err);
rn_result __wrap_rn_round_encoder_init(struct rn_round_encoder *out,
                                       const struct rn_round_layout *layout,
                                       const struct rn_round_report *report, const float *delta,
                                       const struct rn_secret32 *key, struct rn_error *err);

static struct job *encoding; /* the job whose step runs */

rn_result __wrap_rn_round_encoder_init(struct rn_round_encoder *out,
                                       const struct rn_round_layout *layout,
                                       const struct rn_round_report *report, const float *delta,
                                       const struct rn_secret32 *key, struct rn_error *err)
{
    RN_TRY(__real_rn_round_encoder_init(out, layout, report, delta, key, err));
    for (size_t e = 0;
         encoding != NULL && encoding->current->mood == JOB_POISONS && e < layout->delta_offset;
         e++) {
        out->head[e] = rn_round_value_max(&layout->spec);
    }
    if (encoding != NULL) {
        RN_BUG_IF(layout->elements > JOB_VECTOR_MAX);
        RN_TRY(rn_round_encoder_read(out, 0, layout->elements, encoding->current->fresh, err));
        encoding->current->has_fresh = true;
    }
    return rn_ok();
}

static struct job_vector *find_vector(struct job *job, uint32_t member, const uint8_t *session)
{
    for (size_t i = job->vector_count; i-- > 0;) {
        struct job_vector *vector = &job->vectors[i];
        if (vector->member == member && memcmp(vector->session, session, RN_HASH_BYTES) == 0) {
            return vector;
        }
    }
    return NULL;
}

static bool holds_measure(const struct job_node *node, const struct job_vector *vector)
{
    struct rn_round_layout layout;
    RN_BUG_IF(!rn_is_ok(rn_round_model_layout(
        &node->model, &node->job->plan, vector->round,
        job_start_of(node->job, vector->before, vector->round), &layout, NULL)));
    const int32_t first = layout.field_offset[RN_ROUND_METRIC];
    for (uint32_t i = 0; i < layout.limbs && first >= 0; i++) {
        if (vector->values[(uint32_t)first + i] != 0) {
            return true;
        }
    }
    return false;
}

static struct job_vector *add_vector(struct job_node *node, const struct rn_sa_message *m)
{
    struct job *job = node->job;
    if (job->vector_count == job->vector_capacity) {
        const size_t capacity = job->vector_capacity == 0 ? 32 : 2 * job->vector_capacity;
        job->vectors =
            rn_realloc(job->vectors, job->vector_capacity, capacity, sizeof(*job->vectors));
        job->vector_capacity = capacity;
    }
    struct job_vector *vector = &job->vectors[job->vector_count++];
    *vector = (struct job_vector){.member = node->place, .round = (uint32_t)m->round};
    memcpy(vector->session, m->session, RN_HASH_BYTES);
    memcpy(vector->before, node->model.adapter_hash, RN_HASH_BYTES);
    struct rn_round_spec spec;
    RN_BUG_IF(!rn_is_ok(rn_round_spec_derive(
        &job->plan, vector->round, job_start_of(job, vector->before, vector->round), &spec, NULL)));
    vector->parts = rn_round_parts(&spec);
    memcpy(vector->values, node->fresh, sizeof(vector->values));
    vector->measured = holds_measure(node, vector);
    /* Stays fresh: the Ready of a session that was called off may leave after the same update was
     * encoded for the next one, and is in no sum. */
    return vector;
}

/* ---- What leaves a node */

struct search {
    struct rn_view bytes;
    uint32_t records;
    bool found;
};

static rn_result look(void *argument, uint64_t position, const struct rn_store_key *key,
                      struct rn_view body, struct rn_error *err)
{
    struct search *search = argument;
    (void)position;
    (void)key;
    (void)err;
    search->records++;
    search->found = search->found || memmem(body.data, body.length, search->bytes.data,
                                            search->bytes.length) != NULL;
    return rn_ok();
}

/* In the durable records of its session? */
static bool is_durable(struct job_node *node, const struct rn_sa_message *m)
{
    struct rn_store_query query = {
        .kind = node->place == node->job->coordinator ? RN_RECORD_AGGREGATOR : RN_RECORD_MEMBER,
        .scope = RN_STORE_SESSION};
    struct search search = {.bytes = m->whole};
    memcpy(query.session, m->session, RN_HASH_BYTES);
    RN_BUG_IF(!rn_is_ok(rn_store_scan(node->store, &query, look, &search, NULL)));
    /* Pruned: said once more, from memory, of a round that everybody has. */
    const bool pruned = search.records == 0 && m->round <= node->job->newest;
    return search.found || pruned;
}

static bool must_be_durable(enum rn_sa_type type)
{
    switch (type) {
    case RN_SA_READY:
    case RN_SA_DONE:
    case RN_SA_VOTE:
    case RN_SA_REVEAL:
    case RN_SA_READY_SET:
    case RN_SA_ACK_SET:
    case RN_SA_SURVIVORS:
    case RN_SA_CERTIFICATE:
    case RN_SA_RESULT:
    case RN_SA_ABORT_CERTIFICATE:
        return true;
    default:
        return false;
    }
}

/* Rule A9: one update, one session, unless the earlier one was called off for this member. */
static void check_done(struct job_node *node, struct job_vector *vector)
{
    struct job *job = node->job;
    for (size_t i = 0; i < job->vector_count && node->lost_state == 0; i++) {
        const struct job_vector *other = &job->vectors[i];
        if (other != vector && other->member == node->place && other->done && !other->closed &&
            ((other->parts & vector->parts) != 0 || (other->measured && vector->measured)) &&
            memcmp(other->before, vector->before, RN_HASH_BYTES) == 0) {
            job_fail(job,
                     "member %u sends the update of round %u again, which is spent since "
                     "round %u",
                     (unsigned)node->place, (unsigned)vector->round, (unsigned)other->round);
        }
    }
    vector->done = true;
}

static void check_once(struct job_node *node, uint8_t seen[static RN_HASH_BYTES],
                       const struct rn_sa_message *m)
{
    static const uint8_t none[RN_HASH_BYTES];
    uint8_t hash[RN_HASH_BYTES];
    rn_sha256(hash, "simulation", &m->whole, 1);
    if (node->lost_state == 0 && memcmp(seen, none, RN_HASH_BYTES) != 0 &&
        memcmp(seen, hash, RN_HASH_BYTES) != 0) {
        job_fail(node->job, "member %u says two different things of type %u in one session",
                 (unsigned)node->place, (unsigned)m->type);
    }
    memcpy(seen, hash, RN_HASH_BYTES);
}

/* ---- As few as a session can do with */

#define AWAY_MS 240000u /* longer than a session in which somebody is missing */

/* Is the member among the first `limit` of this session? Takes it in when there is room. */
static bool is_among(struct job_few *few, const uint8_t *session, uint32_t member, uint32_t limit)
{
    if (memcmp(few->session, session, RN_HASH_BYTES) != 0) {
        memcpy(few->session, session, RN_HASH_BYTES);
        few->members = 0;
    }
    if ((uint32_t)__builtin_popcount(few->members) < limit) {
        few->members |= 1u << member;
    }
    return (few->members >> member & 1) != 0;
}

bool job_few_vote_is_lost(struct job *job, uint32_t member, struct rn_view secagg)
{
    struct rn_sa_message m;
    if (job->vote_limit == 0 || !rn_is_ok(rn_sa_message_parse(secagg, &m, NULL)) ||
        m.type != RN_SA_VOTE || is_among(&job->voters, m.session, member, job->vote_limit)) {
        return false;
    }
    job->few_dropped++;
    return true;
}

/* Down at its next effect: Ready was its last word for a while. */
static void leave_when_enough(struct job_node *node, const struct rn_sa_message *m)
{
    struct job *job = node->job;
    if (job->few_round != 0 && m->round == job->few_round &&
        !is_among(&job->ready, m->session, node->place, job->few_limit)) {
        node->crash_in = 0;
        node->away_ms = AWAY_MS;
        job->few_dropped++;
    }
}

static bool is_abort_vote(const struct rn_sa_message *m)
{
    struct rn_reader reader = rn_reader_of(m->body);
    return m->type == RN_SA_VOTE && rn_read_u32(&reader) == RN_SA_VOTE_ABORT;
}

/* Behind a stop: nothing that helps a sum, unless it was said before. */
static void check_stopped(struct job_node *node, const struct rn_sa_message *m)
{
    static const uint8_t none[RN_HASH_BYTES];
    const struct job_vector *vector = find_vector(node->job, node->place, m->session);
    const bool said =
        vector != NULL &&
        ((m->type == RN_SA_DONE && vector->done) ||
         (m->type == RN_SA_VOTE && memcmp(vector->vote, none, sizeof(none)) != 0) ||
         (m->type == RN_SA_REVEAL && memcmp(vector->reveal, none, sizeof(none)) != 0));
    const bool follows = m->type == RN_SA_FOLLOW || m->type == RN_SA_AUDIT ||
                         m->type == RN_SA_RECEIPT || is_abort_vote(m);
    if (!said && !follows) {
        job_fail(node->job, "member %u says type %u behind a stop", (unsigned)node->place,
                 (unsigned)m->type);
    }
}

static void said_by_member(struct job_node *node, const struct rn_sa_message *m)
{
    struct job *job = node->job;
    if (node->stopped) {
        check_stopped(node, m);
    }
    if (!job_epoch_has(node)) {
        job_fail(job, "member %u speaks without the share graph", (unsigned)node->place);
    }
    struct job_vector *vector = find_vector(job, node->place, m->session);
    if (m->type == RN_SA_READY) {
        leave_when_enough(node, m);
    }
    if (m->type == RN_SA_READY && vector == NULL && node->has_fresh) {
        (void)add_vector(node, m);
    } else if (vector != NULL && m->type == RN_SA_DONE) {
        check_done(node, vector);
    } else if (vector != NULL && m->type == RN_SA_VOTE) {
        check_once(node, vector->vote, m);
        if (job->restart_at_vote && job_below(job, 3) == 0) {
            node->crash_in = 0;
        }
    } else if (vector != NULL && m->type == RN_SA_REVEAL) {
        check_once(node, vector->reveal, m);
    }
}

static struct job_survivors *survivors_of(struct job *job, const uint8_t *session)
{
    for (size_t i = job->survivor_count; i-- > 0;) {
        if (memcmp(job->survivors[i].session, session, RN_HASH_BYTES) == 0) {
            return &job->survivors[i];
        }
    }
    return NULL;
}

static uint32_t read_survivors(struct job *job, struct rn_view body)
{
    struct rn_reader reader = rn_reader_of(body);
    uint32_t members = 0;
    for (uint32_t left = rn_read_u32(&reader); left > 0; left--) {
        struct rn_sa_message done;
        const struct rn_view whole = rn_read_view(&reader, RN_SA_ENVELOPE_BYTES + RN_SA_DONE_BODY);
        if (!rn_is_ok(rn_sa_message_parse(whole, &done, NULL)) || done.type != RN_SA_DONE) {
            job_fail(job, "a Survivors message that this test cannot read");
        }
        members |= 1u << done.sender;
    }
    return members;
}

static void said_by_coordinator(struct job *job, const struct rn_sa_message *m)
{
    if (m->type != RN_SA_SURVIVORS) {
        return;
    }
    const uint32_t members = read_survivors(job, m->body);
    struct job_survivors *known = survivors_of(job, m->session);
    if (known != NULL) {
        if (known->members != members) {
            job_fail(job, "two survivor sets in one session");
        }
        return;
    }
    if (job->survivor_count == job->survivor_capacity) {
        const size_t capacity = job->survivor_capacity == 0 ? 16 : 2 * job->survivor_capacity;
        job->survivors =
            rn_realloc(job->survivors, job->survivor_capacity, capacity, sizeof(*job->survivors));
        job->survivor_capacity = capacity;
    }
    struct job_survivors *fresh = &job->survivors[job->survivor_count++];
    fresh->members = members;
    memcpy(fresh->session, m->session, RN_HASH_BYTES);
}

void job_check_said(struct job_node *from, struct rn_view secagg)
{
    struct rn_sa_message m;
    if (!rn_is_ok(rn_sa_message_parse(secagg, &m, NULL))) {
        job_fail(from->job, "node %u sends what is no message", (unsigned)from->place);
    }
    if (from->mood == JOB_LIES && m.type == RN_SA_REVEAL) {
        return; /* what it sends is not what it keeps */
    }
    if (must_be_durable(m.type) && !is_durable(from, &m)) {
        job_fail(from->job, "node %u sends a message of type %u that is in no durable record",
                 (unsigned)from->place, (unsigned)m.type);
    }
    if (from->place == from->job->coordinator) {
        said_by_coordinator(from->job, &m);
    } else if (!from->signed_enough) {
        job_fail(from->job, "node %u takes part without the signatures of its policy",
                 (unsigned)from->place);
    } else {
        said_by_member(from, &m);
    }
}

void job_check_heard(struct job_node *to, struct rn_view secagg)
{
    struct rn_sa_message m;
    if (to->place != to->job->coordinator && rn_is_ok(rn_sa_message_parse(secagg, &m, NULL)) &&
        m.type == RN_SA_ABORT_CERTIFICATE) {
        struct job_vector *vector = find_vector(to->job, to->place, m.session);
        if (vector != NULL) {
            vector->closed = true;
        }
    }
}

/* ---- Sums and adapters */

static void compute(struct job *job, const struct rn_job_result *result, struct job_truth *out)
{
    const struct job_survivors *survivors = survivors_of(job, result->session);
    struct rn_round_model model;
    struct rn_round_layout layout;
    struct rn_round_total total;
    uint64_t sum[JOB_VECTOR_MAX] = {0};
    float mean[JOB_ADAPTER_MAX];
    if (survivors == NULL) {
        job_fail(job, "round %u is summed over nobody knows whom", (unsigned)result->round);
    }
    job_model_init(job, &model);
    RN_BUG_IF(!rn_is_ok(rn_round_model_layout(&model, &job->plan, result->round,
                                              job_start_of(job, result->before, result->round),
                                              &layout, NULL)));
    for (uint32_t i = 0; i < job->options.members; i++) {
        const struct job_vector *vector = find_vector(job, i, result->session);
        if ((survivors->members >> i & 1) == 0) {
            continue;
        }
        if (vector == NULL) {
            job_fail(job, "member %u is in a sum without an update", (unsigned)i);
        }
        for (size_t e = 0; e < layout.elements; e++) {
            sum[e] += vector->values[e];
        }
    }
    const uint32_t count = (uint32_t)__builtin_popcount(survivors->members);
    const struct job_truth *before = &job->truth[job->newest];
    memcpy(model.adapter.values, before->values, model.adapter.count * sizeof(float));
    RN_BUG_IF(!rn_is_ok(rn_round_total_read(&layout, sum, count, &total, NULL)) ||
              !rn_is_ok(rn_round_mean(&layout, sum, &total, mean, NULL)) ||
              !rn_is_ok(rn_round_step(&layout, mean, &model.adapter, NULL)));
    rn_round_model_hash(&model);
    *out = (struct job_truth){.known = true};
    memcpy(out->session, result->session, RN_HASH_BYTES);
    memcpy(out->values, model.adapter.values, model.adapter.count * sizeof(float));
    memcpy(out->after, model.adapter_hash, RN_HASH_BYTES);
    rn_round_model_clear(&model);
    if (count < rn_sa_floor(&(struct rn_sa_params){.members = job->options.members,
                                                   .colluding = job->options.colluding,
                                                   .honest = job->options.honest},
                            0)) {
        job_fail(job, "round %u is a sum over %u members", (unsigned)result->round,
                 (unsigned)count);
    }
}

static void check_result(struct job_node *node, const struct rn_job_result *result)
{
    struct job *job = node->job;
    if (result->round > rn_plan_last_round(&job->plan) || result->round > JOB_ROUNDS_MAX) {
        job_fail(job, "round %u of %u", (unsigned)result->round, (unsigned)job->options.rounds);
    }
    struct job_truth *truth = &job->truth[result->round];
    if (!truth->known && node->place == job->coordinator) {
        compute(job, result, truth);
        job->newest = result->round;
        job->sums++;
        job_measure_truth(job, result->round, survivors_of(job, result->session)->members);
    }
    if (!truth->known || memcmp(truth->session, result->session, RN_HASH_BYTES) != 0) {
        job_fail(job, "round %u has two sums", (unsigned)result->round);
    }
    if (memcmp(truth->after, result->after, RN_HASH_BYTES) != 0) {
        job_fail(job, "node %u arrives at another adapter after round %u", (unsigned)node->place,
                 (unsigned)result->round);
    }
    job_measure_check(node, result);
}

static rn_result visit_record(void *argument, uint64_t position, const struct rn_store_key *key,
                              struct rn_view body, struct rn_error *err)
{
    uint32_t *count = argument;
    (void)position;
    (void)key;
    (void)body;
    (void)err;
    (*count)++;
    return rn_ok();
}

static uint32_t count_records(struct rn_store *store, const struct rn_store_query *query)
{
    uint32_t count = 0;
    RN_BUG_IF(!rn_is_ok(rn_store_scan(store, query, visit_record, &count, NULL)));
    return count;
}

/* Records of one summed session may go when nobody needs them any more. */
static void check_pruned(struct job_node *node)
{
    struct job *job = node->job;
    for (uint32_t round = 1; round <= job->newest; round++) {
        struct rn_store_query query = {.kind = RN_RECORD_AGGREGATOR, .scope = RN_STORE_SESSION};
        if (!job->truth[round].known) {
            continue;
        }
        memcpy(query.session, job->truth[round].session, RN_HASH_BYTES);
        const uint32_t count = count_records(node->store, &query);
        for (uint32_t i = 0; i < job->options.members && count == 0; i++) {
            if (job->nodes[i].rounds_ever < round && (job->stranded >> i & 1) == 0) {
                job_fail(job, "the vectors of round %u are gone, and member %u has only %u",
                         (unsigned)round, (unsigned)i, (unsigned)job->nodes[i].rounds_ever);
            }
        }
    }
}

void job_check_durable(struct job_node *node)
{
    const struct rn_store_query query = {.kind = RN_RECORD_RESULT};
    struct rn_store_record record = {0};
    struct rn_job_result result;
    bool found = false;
    RN_BUG_IF(!rn_is_ok(rn_store_latest(node->store, &query, &record, &found, NULL)));
    if (found) {
        RN_BUG_IF(!rn_is_ok(rn_job_result_read(rn_buffer_view(&record.body), &result, NULL)));
        if (result.outcome == RN_OK && result.round > node->rounds_done) {
            check_result(node, &result);
            node->rounds_done = result.round;
            node->rounds_ever = result.round > node->rounds_ever ? result.round : node->rounds_ever;
        }
    }
    rn_buffer_clear(&record.body);
    const struct rn_store_query stops = {.kind = RN_RECORD_STOP};
    node->stopped = count_records(node->store, &stops) > 0;
    if (node->place == node->job->coordinator) {
        check_pruned(node);
    }
}

void job_check_publish(struct job_node *node, const struct rn_publish_order *order)
{
    struct job *job = node->job;
    const struct job_truth *truth = &job->truth[order->final ? node->rounds_done : order->round];
    if (job->options.blind && node->place == job->coordinator) {
        job_fail(job, "a blind coordinator publishes an adapter");
    }
    if (order->best) {
        job_measure_check_best(node, order);
    }
    if (order->final && node->rounds_done == 0) {
        job_fail(job, "node %u publishes the start as final", (unsigned)node->place);
    }
    if (!truth->known || memcmp(truth->after, order->adapter_hash, RN_HASH_BYTES) != 0) {
        job_fail(job, "node %u publishes another adapter than that of round %u",
                 (unsigned)node->place, (unsigned)order->round);
    }
}

static void check_blindness(struct job *job)
{
    static const enum rn_record_kind kinds[] = {RN_RECORD_ADAPTER, RN_RECORD_BEST,
                                                RN_RECORD_METRICS};
    for (size_t k = 0; job->options.blind && k < RN_ARRAY_LENGTH(kinds); k++) {
        if (job_records(job, job->coordinator, kinds[k]) != 0) {
            job_fail(job, "a blind coordinator has records of kind %u", (unsigned)kinds[k]);
        }
    }
}

void job_check_end(struct job *job)
{
    check_blindness(job);
    job_measure_check_end(job);
    for (uint32_t i = 0; i <= job->options.members; i++) {
        const struct job_node *node = &job->nodes[i];
        if (node->final_published && rn_is_ok(node->result) && node->ended &&
            memcmp(node->final_hash, job->truth[job->newest].after, RN_HASH_BYTES) != 0) {
            job_fail(job, "node %u ends well with another final adapter than the newest",
                     (unsigned)i);
        }
    }
}

/* ---- Counting records */

static uint32_t records_on_disk(struct job_node *node, const struct rn_store_query *query)
{
    const struct rn_store_options options = {.kept_kinds = 0};
    struct rn_store *store = NULL;
    if (node->store != NULL) {
        return count_records(node->store, query);
    }
    RN_BUG_IF(!rn_is_ok(rn_memory_store_open(node->disk, &options, &store, NULL)));
    const uint32_t count = count_records(store, query);
    rn_store_close(&store);
    return count;
}

uint32_t job_records(struct job *job, uint32_t place, enum rn_record_kind kind)
{
    return records_on_disk(&job->nodes[place], &(struct rn_store_query){.kind = kind});
}

uint32_t job_records_of_round(struct job *job, uint32_t place, enum rn_record_kind kind,
                              uint32_t round)
{
    const struct rn_store_query query = {.kind = kind, .scope = RN_STORE_ROUND, .round = round};
    return records_on_disk(&job->nodes[place], &query);
}

void job_check_encoding(struct job *job)
{
    encoding = job;
}
