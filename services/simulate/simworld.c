/* SPDX-License-Identifier: Apache-2.0 */
#include "services/simulate/simworld.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/sha256.h"

/* ---- Opening */

rn_result rn_sim_plan_check(const struct rn_plan *plan, struct rn_error *err)
{
    RN_ENSURE(!rn_plan_is_private(plan), err, RN_E_UNSUPPORTED,
              "the plan has a privacy section: its noise is not simulated yet; take the section "
              "out for a simulation");
    RN_ENSURE(!plan->evaluation.federated, err, RN_E_UNSUPPORTED,
              "evaluation.federated: members' own measures are not simulated; set it to false and "
              "judge with --dev");
    return rn_ok();
}

static rn_result open_trainer(struct rn_sim_world *world, const struct rn_sim_world_config *config,
                              struct rn_error *err)
{
    struct rn_round_names names;
    struct rn_trainer_spec spec;
    const uint32_t most = RN_TRAINER_CLIENTS_MAX;
    rn_round_trainer_spec(config->plan, &names, &spec);
    spec.model_dir = config->model_dir;
    spec.backend = config->backend;
    spec.kernels = config->kernels;
    spec.threads = config->threads;
    spec.for_training = true;
    spec.for_clients = config->clients < most ? config->clients : most;
    return rn_trainer_open(&spec, &world->trainer, err);
}

static rn_result open_data(struct rn_sim_world *world, const struct rn_sim_world_config *config,
                           struct rn_error *err)
{
    world->data = rn_alloc(config->clients, sizeof(struct rn_dataset *));
    world->clients = config->clients;
    for (uint32_t i = 0; i < config->clients; i++) {
        RN_TRY(rn_trainer_data_open(world->trainer, &config->data[i], &world->data[i], err));
        RN_TRY(rn_plan_examples_check(world->plan, rn_trainer_data_count(world->data[i]), err));
    }
    return config->dev == NULL
               ? rn_ok()
               : rn_trainer_data_open(world->trainer, config->dev, &world->dev, err);
}

/* Everybody begins with the model's local head. */
static void open_heads(struct rn_sim_world *world)
{
    struct rn_round_model *model = &world->model;
    world->head_count = model->local_head_count;
    world->value_count = model->adapter.count + world->head_count;
    if (model->local_head == NULL) {
        return;
    }
    world->heads = rn_alloc((size_t)world->clients * world->head_count, sizeof(float));
    for (uint32_t i = 0; i < world->clients; i++) {
        memcpy(world->heads + i * world->head_count, model->local_head,
               world->head_count * sizeof(float));
    }
}

static rn_result open_all(struct rn_sim_world *world, const struct rn_sim_world_config *config,
                          struct rn_error *err)
{
    RN_TRY(rn_sim_plan_check(world->plan, err));
    RN_ENSURE(config->clients >= 1 && config->clients <= RN_PLAN_MEMBERS_MAX, err, RN_E_USAGE,
              "clients must be 1 to %d", RN_PLAN_MEMBERS_MAX);
    RN_TRY(open_trainer(world, config, err));
    RN_TRY(open_data(world, config, err));
    RN_TRY(rn_round_model_open(world->trainer, world->plan, &world->model, err));
    open_heads(world);
    return rn_ok();
}

rn_result rn_sim_world_open(const struct rn_sim_world_config *config, struct rn_sim_world **out,
                            struct rn_error *err)
{
    struct rn_sim_world *world = rn_alloc(1, sizeof(*world));
    world->plan = config->plan;
    const rn_result result = open_all(world, config, err);
    if (!rn_is_ok(result)) {
        rn_sim_world_close(world);
        return result;
    }
    *out = world;
    return rn_ok();
}

void rn_sim_world_close(struct rn_sim_world *world)
{
    if (world == NULL) {
        return;
    }
    for (uint32_t i = 0; i < world->clients; i++) {
        rn_trainer_data_close(world->data[i]);
    }
    rn_trainer_data_close(world->dev);
    rn_round_model_clear(&world->model);
    rn_trainer_close(world->trainer);
    rn_free(world->data);
    rn_free(world->heads);
    rn_free(world);
}

/* ---- Training */

static float *head_of(const struct rn_sim_world *world, uint32_t member)
{
    return world->heads + member * world->head_count;
}

/* The trainer's flat order is A and B, then the head: as the adapter and, behind it, a local head.
 */
static struct rn_client client_of(const struct rn_sim_world *world, uint32_t round,
                                  const float *start, const struct rn_sim_training *training)
{
    const size_t count = world->model.adapter.count;
    const struct rn_train_spec spec = rn_round_train_spec(world->plan, training->member, round);
    memcpy(training->values, start, count * sizeof(float));
    if (world->heads != NULL) {
        memcpy(training->values + count, head_of(world, training->member),
               world->head_count * sizeof(float));
    }
    return (struct rn_client){.data = world->data[training->member],
                              .seed = spec.seed,
                              .stream_offset = spec.stream_offset,
                              .values = training->values};
}

static void take_result(struct rn_sim_world *world, const struct rn_client *client,
                        struct rn_sim_training *training)
{
    training->report = client->report;
    if (world->heads != NULL) {
        memcpy(head_of(world, training->member), training->values + world->model.adapter.count,
               world->head_count * sizeof(float));
    }
}

rn_result rn_sim_world_train(struct rn_sim_world *world, uint32_t round, const float *start,
                             struct rn_sim_training *trainings, size_t count,
                             rn_train_progress_fn progress, void *context, struct rn_error *err)
{
    const struct rn_train_spec spec = rn_round_train_spec(world->plan, 0, round);
    RN_CLEANUP(rn_free_cleanup) struct rn_client *clients = rn_alloc(count, sizeof(*clients));
    for (size_t i = 0; i < count; i++) {
        clients[i] = client_of(world, round, start, &trainings[i]);
    }
    RN_TRY(rn_trainer_train_clients(world->trainer, clients, count, &spec, progress, context, err));
    for (size_t i = 0; i < count; i++) {
        take_result(world, &clients[i], &trainings[i]);
    }
    return rn_ok();
}

void rn_sim_rounding(const struct rn_plan *plan, uint32_t member, uint32_t round,
                     struct rn_secret32 *out_key)
{
    uint8_t bytes[16];
    struct rn_writer writer = rn_writer_to(bytes, sizeof(bytes));
    rn_write_u64(&writer, plan->seed);
    rn_write_u32(&writer, member);
    rn_write_u32(&writer, round);
    const struct rn_view view = rn_view_of(bytes, sizeof(bytes));
    rn_sha256(out_key->bytes, "rondo/v1 simulated rounding", &view, 1);
}

/* ---- What the server does */

static rn_result load(struct rn_sim_world *world, struct rn_error *err)
{
    const struct rn_round_model *model = &world->model;
    RN_TRY(rn_trainer_set(world->trainer, RN_MATRIX_AB, model->shared_head, model->adapter.values,
                          model->adapter.count, err));
    return model->local_head == NULL ? rn_ok()
                                     : rn_trainer_set(world->trainer, RN_MATRIX_NONE, true,
                                                      model->local_head, world->head_count, err);
}

static rn_result evaluate_once(struct rn_sim_world *world, double *metric, double *loss,
                               struct rn_error *err)
{
    struct rn_metrics metrics;
    RN_TRY(rn_trainer_evaluate(world->trainer, world->dev, NULL, NULL, &metrics, err));
    *metric += rn_plan_metric_value(world->plan, &metrics);
    *loss += metrics.loss;
    return rn_ok();
}

rn_result rn_sim_world_evaluate(struct rn_sim_world *world, double *out_metric, double *out_loss,
                                struct rn_error *err)
{
    const uint32_t times = world->heads == NULL ? 1 : world->clients;
    double metric = 0;
    double loss = 0;
    RN_TRY(load(world, err));
    for (uint32_t i = 0; i < times; i++) {
        if (world->heads != NULL) {
            RN_TRY(rn_trainer_set(world->trainer, RN_MATRIX_NONE, true, head_of(world, i),
                                  world->head_count, err));
        }
        RN_TRY(evaluate_once(world, &metric, &loss, err));
    }
    *out_metric = metric / times;
    *out_loss = loss / times;
    return rn_ok();
}

rn_result rn_sim_world_save(struct rn_sim_world *world, const char *directory,
                            const char *provenance, struct rn_error *err)
{
    RN_TRY(load(world, err));
    return rn_trainer_save(world->trainer, directory, provenance, err);
}
