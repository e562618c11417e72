/* SPDX-License-Identifier: Apache-2.0 */
#include "services/round/roundsession.h"

#include <string.h>

#include "base/guard.h"
#include "policy/groupsign.h"

/* Members send their last message again after this long without an answer. */
#define RETRY_MS 10000

/* A slow upload_rate may ask for more than the machines take. */
static struct rn_sa_timeout longer(const struct rn_sa_timeout *stage, uint64_t by_ms)
{
    const uint64_t soft_ms = stage->soft_ms + by_ms;
    const uint64_t hard_ms = stage->hard_ms + by_ms;
    return (struct rn_sa_timeout){soft_ms < RN_SA_TIMEOUT_MS_MAX ? soft_ms : RN_SA_TIMEOUT_MS_MAX,
                                  hard_ms < RN_SA_TIMEOUT_MS_MAX ? hard_ms : RN_SA_TIMEOUT_MS_MAX};
}

void rn_round_params(const struct rn_plan *plan, uint32_t members, uint64_t value_max,
                     uint64_t elements, struct rn_sa_params *out_params)
{
    const struct rn_plan_secagg *secagg = &plan->secagg;
    struct rn_sa_params params = {
        .members = members,
        .colluding = secagg->colluding,
        .losses = secagg->losses,
        .honest = secagg->honest,
        .value_max = value_max,
        .chunk_elements = rn_sa_chunk_elements(members),
        .retry_ms = RETRY_MS,
    };
    const struct rn_sa_timeout stage = {secagg->stage_soft_s * UINT64_C(1000),
                                        secagg->stage_hard_s * UINT64_C(1000)};
    params.ready = (struct rn_sa_timeout){secagg->train_soft_s * UINT64_C(1000),
                                          secagg->train_hard_s * UINT64_C(1000)};
    params.shares = params.acks = params.vote = params.unmask = stage;
    /* 1.5 x bytes / agreed rate on top of a stage's own time. */
    const uint64_t bytes = (elements * rn_sa_bits(&params) + 7) / 8;
    const uint64_t upload_ms = bytes * 1500 / (secagg->upload_rate == 0 ? 1 : secagg->upload_rate);
    params.upload = longer(&stage, upload_ms);
    /* A replay fetches every upload, and one round may have n_max of them under way. */
    params.receipts = longer(&stage, upload_ms * members);
    *out_params = params;
}

/* Without a seed there is a session all but for its graph: sizes can be asked for before that is
 * drawn. The machines check their contexts again, with it. */
static rn_result check_context(const struct rn_sa_params *params,
                               const struct rn_sa_context *context, struct rn_error *err)
{
    struct rn_sa_context copy = *context;
    struct rn_sa_graph_sizes sizes;
    rn_sa_sizes(params, &sizes);
    copy.graph_seed[0] = sizes.complete ? 0 : 1;
    return rn_sa_context_check(params, &copy, err);
}

rn_result rn_round_session(const struct rn_round_model *model, const struct rn_plan *plan,
                           const struct rn_roster *roster,
                           const uint8_t base_hash[static RN_HASH_BYTES], uint32_t round,
                           uint32_t attempt, uint32_t start_round,
                           const uint8_t adapter_hash[static RN_HASH_BYTES],
                           struct rn_sa_params *out_params, struct rn_sa_context *out_context,
                           struct rn_error *err)
{
    struct rn_round_layout layout;
    RN_TRY(rn_round_model_layout(model, plan, round, start_round, &layout, err));
    struct rn_sa_context context = {
        .roster = roster,
        .round = round,
        .attempt = attempt,
        .active = rn_round_parts(&layout.spec),
        .elements = layout.elements,
    };
    memcpy(context.plan_hash, plan->hash, RN_HASH_BYTES);
    memcpy(context.base_hash, base_hash, RN_HASH_BYTES);
    memcpy(context.adapter_hash, adapter_hash, RN_HASH_BYTES);
    rn_round_layout_hash(&layout, context.layout_hash);
    rn_round_spec_hash(&layout.spec, context.scales_hash);
    struct rn_sa_params params;
    rn_round_params(plan, roster->count, rn_round_value_max(&layout.spec), layout.elements,
                    &params);
    RN_TRY(rn_sa_params_check(&params, err));
    RN_TRY(check_context(&params, &context, err));
    *out_params = params;
    *out_context = context;
    return rn_ok();
}

bool rn_round_needs_epoch(const struct rn_plan *plan, uint32_t members)
{
    struct rn_sa_graph_sizes sizes;
    const struct rn_sa_params params = {.members = members,
                                        .colluding = plan->secagg.colluding,
                                        .losses = plan->secagg.losses,
                                        .honest = plan->secagg.honest};
    rn_sa_sizes(&params, &sizes);
    return !sizes.complete;
}

void rn_round_session_graph(const uint8_t *seed, struct rn_sa_context *context)
{
    if (seed != NULL) {
        memcpy(context->graph_seed, seed, sizeof(context->graph_seed));
    }
}

void rn_round_session_blind(const struct rn_plan *plan, const struct rn_plan_signatures *signatures,
                            struct rn_sa_context *context)
{
    context->blind = rn_plan_is_blind(plan);
    context->hybrid = rn_plan_is_hybrid(plan);
    rn_signatures_group_hash(signatures, context->group_hash);
}

rn_result rn_round_upload_bytes(const struct rn_round_model *model, const struct rn_plan *plan,
                                const struct rn_roster *roster, uint64_t *out_bytes,
                                struct rn_error *err)
{
    uint64_t most = 0;
    const uint32_t rounds = plan->rounds < 2 ? plan->rounds : 2;
    for (uint32_t round = 1; round <= rounds; round++) {
        struct rn_sa_params params;
        struct rn_sa_context context;
        struct rn_sa_layout layout;
        RN_TRY(rn_round_session(model, plan, roster, model->adapter_hash, round, 1, round - 1,
                                model->adapter_hash, &params, &context, err));
        rn_sa_layout_init(&layout, &params, &context);
        const uint64_t bytes = rn_sa_layout_vector_bytes(&layout);
        most = bytes > most ? bytes : most;
    }
    *out_bytes = most;
    return rn_ok();
}
