/* SPDX-License-Identifier: Apache-2.0 */
#include "services/simulate/simmasked.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/sha256.h"
#include "services/simulate/simsite.h"

#define TICK_MS 200u
#define START_MS 1000u
#define WALL_MS UINT64_C(1800000000000)
/* Nothing that machines wait for takes longer, by the limits of a plan's time-outs. */
#define IDLE_MS_MAX (UINT64_C(8) * 24 * 3600 * 1000)

struct packet {
    uint32_t from, to; /* places */
    bool bulk;
    struct rn_buffer bytes;
};

struct job {
    struct rn_sim_world *world;
    rn_train_progress_fn progress;
    rn_sim_summed_fn summed;
    void *context;
    struct rn_plan plan; /* the world's, of this job's own coordinator */
    struct rn_roster roster;
    struct rn_policy policy;
    struct rn_plan_signatures signatures;
    struct rn_identity **identities; /* [members + 1] */
    struct rn_sim_site *sites;       /* [members + 1]: the coordinator last */
    uint32_t members;
    uint32_t opened; /* sites */
    struct rn_sim_outlet outlet;
    struct packet *packets; /* first in, first out: [head, tail) of a ring */
    size_t head, count, capacity;
    uint64_t now_ms, idle_ms;
};

static struct rn_now now_of(const struct job *job)
{
    return (struct rn_now){.monotonic_ms = job->now_ms, .wall_ms = WALL_MS + job->now_ms};
}

/* ---- Streams */

static void add_packet(struct job *job, uint32_t from, uint32_t to, bool bulk,
                       struct rn_buffer *bytes)
{
    if (job->count == job->capacity) {
        const size_t capacity = job->capacity == 0 ? 256 : 2 * job->capacity;
        struct packet *packets = rn_alloc(capacity, sizeof(*packets));
        for (size_t i = 0; i < job->count; i++) {
            packets[i] = job->packets[(job->head + i) % job->capacity];
        }
        rn_free(job->packets);
        job->packets = packets;
        job->capacity = capacity;
        job->head = 0;
    }
    job->packets[(job->head + job->count++) % job->capacity] =
        (struct packet){from, to, bulk, *bytes};
    *bytes = (struct rn_buffer){0};
}

/* A connection's number is its member's place and one. */
static void on_send(void *context, struct rn_sim_site *from, uint64_t connection,
                    struct rn_buffer *bytes)
{
    struct job *job = context;
    const bool down = from->place == job->members;
    if (connection >= 1 && connection <= job->members) {
        add_packet(job, from->place, down ? (uint32_t)connection - 1 : job->members, false, bytes);
    }
}

static void deliver(struct job *job)
{
    struct packet packet = job->packets[job->head];
    job->head = (job->head + 1) % job->capacity;
    job->count--;
    const bool up = packet.to == job->members;
    const struct rn_input input = {.kind = packet.bulk ? RN_INPUT_BULK : RN_INPUT_MESSAGE,
                                   .connection = (uint64_t)(up ? packet.from : packet.to) + 1,
                                   .peer = up ? packet.from : RN_SA_COORDINATOR,
                                   .bytes = rn_buffer_view(&packet.bytes)};
    rn_sim_site_input(&job->sites[packet.to], &input, now_of(job));
    rn_buffer_clear(&packet.bytes);
}

static void open_streams(struct job *job, uint32_t member)
{
    static const enum rn_input_kind kinds[] = {RN_INPUT_OPENED, RN_INPUT_BULK_OPENED};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(kinds); i++) {
        struct rn_input input = {
            .kind = kinds[i], .connection = (uint64_t)member + 1, .peer = member};
        rn_sim_site_input(&job->sites[job->members], &input, now_of(job));
        input.peer = RN_SA_COORDINATOR;
        rn_sim_site_input(&job->sites[member], &input, now_of(job));
    }
}

/* One chunk of every site and peer that wants some. */
static bool pump(struct job *job)
{
    bool any = false;
    for (uint32_t s = 0; s <= job->members; s++) {
        struct rn_sim_site *site = &job->sites[s];
        for (uint32_t peer = 0; peer < site->peers; peer++) {
            struct rn_buffer bytes = {0};
            const bool active = site->bulks[peer].active && !site->ended;
            if (rn_sim_site_chunk(site, peer, now_of(job), &bytes)) {
                add_packet(job, s, s == job->members ? peer : job->members, true, &bytes);
            }
            rn_buffer_clear(&bytes);
            any = any || active;
        }
    }
    return any;
}

/* ---- What machines order */

static bool answer_publish(struct job *job, struct rn_sim_site *site)
{
    if (site->publish_count == 0 || site->ended) {
        return false;
    }
    struct rn_effect effect = {.publish = site->publish[0]};
    const struct rn_published published = {.round = effect.publish.round,
                                           .final = effect.publish.final,
                                           .best = effect.publish.best,
                                           .directory = ""};
    const struct rn_input input = {.kind = RN_INPUT_PUBLISHED, .published = &published};
    site->publish_count--;
    memmove(site->publish, site->publish + 1, site->publish_count * sizeof(site->publish[0]));
    rn_sim_site_input(site, &input, now_of(job));
    rn_effect_clear(&effect);
    return true;
}

static bool answer_orders(struct job *job)
{
    bool any = false;
    for (uint32_t s = 0; s <= job->members; s++) {
        struct rn_sim_site *site = &job->sites[s];
        any = answer_publish(job, site) || any;
        for (; site->keeps > 0 && !site->ended; site->keeps--) {
            const struct rn_input input = {.kind = RN_INPUT_KEPT};
            rn_sim_site_input(site, &input, now_of(job));
            any = true;
        }
    }
    return any;
}

static void answer_training(struct job *job, const struct rn_sim_training *training,
                            rn_result result, const struct rn_error *err)
{
    struct rn_sim_site *site = &job->sites[training->member];
    struct rn_effect effect = {.train = site->train};
    const struct rn_train_order *order = &effect.train;
    const bool cancelled = rn_is_ok(result) && site->cancelled;
    const struct rn_trained trained = {
        .result = cancelled ? (rn_result){RN_E_ROUND_ABORTED} : result,
        .err = err,
        .round = order->round,
        .before = order->values,
        .after = training->values,
        .local_head =
            order->local_head == NULL ? NULL : training->values + job->world->model.adapter.count,
        .examples = training->report.examples,
        .steps = training->report.steps,
        .loss_sum = training->report.loss_sum,
    };
    const struct rn_input input = {.kind = RN_INPUT_TRAINED, .trained = &trained};
    site->training = false;
    site->train = (struct rn_train_order){0};
    rn_sim_site_input(site, &input, now_of(job));
    rn_effect_clear(&effect);
}

/* The members that are to train what `first` is to, at most as many as go through at once. */
static size_t same_orders(struct job *job, uint32_t first, struct rn_sim_training *trainings,
                          float *values)
{
    const struct rn_train_order *order = &job->sites[first].train;
    size_t count = 0;
    for (uint32_t m = first; m < job->members && count < RN_TRAINER_CLIENTS_MAX; m++) {
        const struct rn_sim_site *site = &job->sites[m];
        if (site->training && !site->ended && site->train.round == order->round &&
            memcmp(site->train.adapter_hash, order->adapter_hash, RN_HASH_BYTES) == 0) {
            trainings[count] = (struct rn_sim_training){.member = m};
            trainings[count].values = values + count * job->world->value_count;
            count++;
        }
    }
    return count;
}

static rn_result train_from(struct job *job, uint32_t first, struct rn_error *err)
{
    const size_t most =
        job->members < RN_TRAINER_CLIENTS_MAX ? job->members : RN_TRAINER_CLIENTS_MAX;
    RN_CLEANUP(rn_free_cleanup)
    float *values = rn_alloc(most * job->world->value_count, sizeof(*values));
    RN_CLEANUP(rn_free_cleanup)
    struct rn_sim_training *trainings = rn_alloc(most, sizeof(*trainings));
    const size_t count = same_orders(job, first, trainings, values);
    const struct rn_train_order *order = &job->sites[first].train;
    RN_TRY(rn_sim_world_train(job->world, order->round, order->values, trainings, count,
                              job->progress, job->context, err));
    for (size_t i = 0; i < count; i++) {
        answer_training(job, &trainings[i], rn_ok(), NULL);
    }
    return rn_ok();
}

static rn_result train(struct job *job, bool *out_any, struct rn_error *err)
{
    *out_any = false;
    for (uint32_t m = 0; m < job->members; m++) {
        if (job->sites[m].training && !job->sites[m].ended) {
            *out_any = true;
            RN_TRY(train_from(job, m, err));
        }
    }
    return rn_ok();
}

/* Member 0's word, which is everybody's: an adapter is taken under a certificate alone. */
static rn_result on_summed(void *context, struct rn_sim_site *site,
                           const struct rn_job_result *result, struct rn_error *err)
{
    struct job *job = context;
    struct rn_round_model *model = &job->world->model;
    if (site->place != 0) {
        return rn_ok();
    }
    RN_ENSURE(result->outcome == RN_OK && result->included == job->members, err, RN_E_ROUND_QUORUM,
              "round %u has a sum of %u of %u simulated members", (unsigned)result->round,
              (unsigned)result->included, (unsigned)job->members);
    memcpy(model->adapter.values, site->model.adapter.values, model->adapter.count * sizeof(float));
    memcpy(model->adapter_hash, site->model.adapter_hash, RN_HASH_BYTES);
    return job->summed(job->context, result, err);
}

/* ---- Time */

static void tick(struct job *job)
{
    job->now_ms += TICK_MS;
    job->idle_ms += TICK_MS;
    for (uint32_t s = 0; s <= job->members; s++) {
        const struct rn_input input = {.kind = RN_INPUT_TICK};
        rn_sim_site_input(&job->sites[s], &input, now_of(job));
    }
}

static bool all_ended(const struct job *job)
{
    for (uint32_t s = 0; s <= job->members; s++) {
        if (!job->sites[s].ended) {
            return false;
        }
    }
    return true;
}

static rn_result first_failure(const struct job *job, struct rn_error *err)
{
    for (uint32_t s = 0; s <= job->members; s++) {
        const struct rn_sim_site *site = &job->sites[s];
        if (site->ended && !rn_is_ok(site->result)) {
            *err = site->err;
            return site->result;
        }
    }
    return rn_ok();
}

static rn_result drive(struct job *job, struct rn_error *err)
{
    while (!all_ended(job)) {
        bool any = false;
        RN_TRY(first_failure(job, err));
        if (job->count > 0) {
            deliver(job);
            any = true;
        } else {
            any = answer_orders(job) || pump(job);
        }
        if (!any) {
            RN_TRY(train(job, &any, err));
        }
        if (any) {
            job->idle_ms = 0;
        } else {
            tick(job);
        }
        RN_ENSURE(job->idle_ms < IDLE_MS_MAX, err, RN_E_INTERNAL,
                  "the simulated federation waits for nothing");
    }
    return first_failure(job, err);
}

/* ---- Who there is */

static struct rn_identity *make_identity(const struct rn_plan *plan, uint32_t place)
{
    uint8_t bytes[12];
    struct rn_writer writer = rn_writer_to(bytes, sizeof(bytes));
    rn_write_u64(&writer, plan->seed);
    rn_write_u32(&writer, place);
    const struct rn_view view = rn_view_of(bytes, sizeof(bytes));
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 key = {{0}};
    rn_sha256(key.bytes, "rondo/v1 simulated identity", &view, 1);
    return rn_identity_from_seed(&key);
}

static void fill_roster(struct job *job)
{
    struct rn_roster *roster = &job->roster;
    (void)rn_text_format(roster->federation, sizeof(roster->federation), "%s",
                         job->plan.federation);
    roster->count = job->members;
    for (uint32_t i = 0; i <= job->members; i++) {
        job->identities[i] = make_identity(&job->plan, i);
        if (i == job->members) {
            roster->coordinator = *rn_identity_public_of(job->identities[i]);
            memcpy(job->plan.coordinator_key, roster->coordinator.bytes,
                   sizeof(job->plan.coordinator_key));
            break;
        }
        (void)rn_text_format(roster->members[i].name, sizeof(roster->members[i].name), "client-%u",
                             (unsigned)i + 1);
        roster->members[i].key = *rn_identity_public_of(job->identities[i]);
    }
    rn_roster_hash_of(roster, job->plan.roster_hash);
}

static rn_result sign(struct job *job, struct rn_error *err)
{
    rn_signatures_init(&job->signatures, &job->plan);
    for (uint32_t i = 0; i <= job->members; i++) {
        RN_TRY(rn_signatures_add(&job->signatures, &job->plan, job->identities[i], err));
    }
    job->policy.plan.signers = job->members;
    return rn_ok();
}

static rn_result open_sites(struct job *job, struct rn_error *err)
{
    job->outlet = (struct rn_sim_outlet){job, on_send, on_summed};
    for (uint32_t i = 0; i <= job->members; i++) {
        const struct rn_sim_site_config config = {
            .outlet = &job->outlet,
            .plan = &job->plan,
            .roster = &job->roster,
            .identity = job->identities[i],
            .policy = &job->policy,
            .signatures = &job->signatures,
            .start = &job->world->model,
            .place = i,
            .weight = i < job->members ? rn_trainer_data_count(job->world->data[i]) : 0,
            .now = now_of(job),
        };
        job->opened = i + 1;
        RN_TRY(rn_sim_site_open(&config, &job->sites[i], err));
    }
    return rn_ok();
}

static rn_result run(struct job *job, struct rn_error *err)
{
    struct rn_plan_numbers numbers;
    RN_ENSURE(!rn_plan_is_blind(&job->plan), err, RN_E_UNSUPPORTED,
              "a blind coordinator is not simulated with secure aggregation; the sums are those of "
              "an open one");
    RN_TRY(rn_plan_feasible(&job->plan, job->members, &numbers, err));
    fill_roster(job);
    RN_TRY(sign(job, err));
    RN_TRY(open_sites(job, err));
    for (uint32_t i = 0; i < job->members; i++) {
        open_streams(job, i);
    }
    return drive(job, err);
}

static void job_free(struct job *job)
{
    for (uint32_t i = 0; i < job->opened; i++) {
        rn_sim_site_close(&job->sites[i]);
    }
    for (uint32_t i = 0; i <= job->members; i++) {
        rn_identity_free(job->identities[i]);
    }
    for (size_t i = 0; i < job->count; i++) {
        rn_buffer_clear(&job->packets[(job->head + i) % job->capacity].bytes);
    }
    rn_free(job->identities);
    rn_free(job->sites);
    rn_free(job->packets);
    rn_free(job);
}

rn_result rn_sim_masked(struct rn_sim_world *world, rn_train_progress_fn progress,
                        rn_sim_summed_fn summed, void *context, struct rn_error *err)
{
    struct job *job = rn_alloc(1, sizeof(*job));
    job->world = world;
    job->progress = progress;
    job->summed = summed;
    job->context = context;
    job->plan = *world->plan;
    job->members = world->clients;
    job->now_ms = START_MS;
    job->identities = rn_alloc(job->members + 1, sizeof(*job->identities));
    job->sites = rn_alloc(job->members + 1, sizeof(*job->sites));
    const rn_result result = run(job, err);
    job_free(job);
    return result;
}
