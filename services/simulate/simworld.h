/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated members of a federation: one open trainer, a data set and (where the plan's head is
 * local) a head for each, and what the server judges adapters on. A member's training is bit for
 * bit the one that its service would do (round/roundtrain.h), though many of them go through the
 * frozen base together.
 *
 * Life cycle: open -> train, evaluate, save ... -> close. One thread.
 */
#ifndef RN_SERVICES_SIMULATE_SIMWORLD_H
#define RN_SERVICES_SIMULATE_SIMWORLD_H

#include "crypto/secret.h"
#include "services/round/roundtrain.h"

struct rn_sim_world_config {
    const struct rn_plan *plan; /* outlives the world */
    const char *model_dir;
    const char *backend, *kernels; /* as in struct rn_trainer_spec */
    uint32_t threads;
    const struct rn_data_spec *data; /* [clients]: what each trains on */
    uint32_t clients;                /* 1..RN_PLAN_MEMBERS_MAX */
    const struct rn_data_spec *dev;  /* NULL: nothing is judged */
};

struct rn_sim_world {
    const struct rn_plan *plan;
    struct rn_trainer *trainer;
    struct rn_dataset **data; /* [clients] */
    uint32_t clients;
    struct rn_dataset *dev; /* or NULL */
    struct rn_round_model
        model;    /* the shared adapter as it stands; a local head in it: untrained */
    float *heads; /* [clients * head_count], member by member; or NULL */
    size_t head_count;
    size_t value_count; /* adapter and head: what one member trains */
};

/* Opens model and data. RN_E_CONFIG for a plan that is not simulated (rn_sim_plan_check). */
RN_MUST rn_result rn_sim_world_open(const struct rn_sim_world_config *config,
                                    struct rn_sim_world **out, struct rn_error *err);
/* NULL is fine. */
void rn_sim_world_close(struct rn_sim_world *world);

/* RN_E_UNSUPPORTED, with what to change, for a plan with what no simulation does yet: noise of
 * differential privacy, the members' own measures of every round. */
RN_MUST rn_result rn_sim_plan_check(const struct rn_plan *plan, struct rn_error *err);

/* One member's training of a round. */
struct rn_sim_training {
    uint32_t member;
    float *values; /* world->value_count, owned by the caller: out, adapter first, then the head */
    struct rn_train_report report; /* out */
};

/* All of them start from `start` (laid out as model.adapter.values) and their own heads, and go
 * through the base at once: at most RN_TRAINER_CLIENTS_MAX. On success the members' local heads are
 * those of the trainings. */
RN_MUST rn_result rn_sim_world_train(struct rn_sim_world *world, uint32_t round, const float *start,
                                     struct rn_sim_training *trainings, size_t count,
                                     rn_train_progress_fn progress, void *context,
                                     struct rn_error *err);

/* Judges world->model on the development data; with local heads the mean over the members, each
 * with its own. */
RN_MUST rn_result rn_sim_world_evaluate(struct rn_sim_world *world, double *out_metric,
                                        double *out_loss, struct rn_error *err);

/* Writes world->model as a PEFT directory; a local head in it is the untrained one. */
RN_MUST rn_result rn_sim_world_save(struct rn_sim_world *world, const char *directory,
                                    const char *provenance, struct rn_error *err);

/* The key of a member's rounding in a round. A service draws it, and no peer knows it
 * (crypto/quantise.h); a simulation has no peers, and is to be repeatable:
 *
 *     SHA-256("rondo/v1 simulated rounding" padded || u64 seed || u32 member || u32 round) */
void rn_sim_rounding(const struct rn_plan *plan, uint32_t member, uint32_t round,
                     struct rn_secret32 *out_key);

#endif
