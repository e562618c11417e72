/* SPDX-License-Identifier: Apache-2.0 */
#include "services/trainer/memberservice.h"

#include "base/guard.h"
#include "services/federation/participation.h"
#include "services/host/jobhost.h"
#include "services/round/roundsession.h"
#include "services/trainer/coordinatorstreams.h"
#include "services/trainer/memberstatus.h"

#define GRACE_MS 2000

/* The policy's bound on the upload needs the adapter's size, which needs the model. */
static rn_result check_upload(struct rn_jobhost *host, struct rn_error *err)
{
    const struct rn_site_files *site = host->site;
    uint64_t bytes = 0;
    enum rn_policy_reason reason = RN_POLICY_ACCEPTED;
    RN_TRY(rn_round_upload_bytes(&host->model->round, &site->plan, &site->roster, &bytes, err));
    const rn_result result = rn_policy_check_upload(&site->policy, bytes, &reason, err);
    return rn_is_ok(result)
               ? result
               : rn_fail_context(err, result, "policy.yaml (%s)", rn_policy_reason_name(reason));
}

static rn_result build(struct rn_jobhost *host, struct rn_now now, struct rn_effects *out_first,
                       void **out_machine, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer rounds = {0};
    struct rn_participation *participation = NULL;
    RN_TRY(rn_tlog_mirror_rounds(host->tlog_mirror, host->site->plan.hash, &rounds, err));
    const struct rn_participation_config config = {
        .basis = &host->basis,
        .model = &host->model->round,
        .policy = &host->site->policy,
        .signatures = &host->site->signatures,
        .survivors_min = host->site->policy.cohort.survivors_min,
        .weight = host->model->train_count,
        .name = host->site->site.name,
        .log = true,
        .log_rounds = rn_buffer_view(&rounds),
        .log_size = rn_tlog_mirror_size(host->tlog_mirror),
    };
    const rn_result result = rn_participation_new(&config, now, out_first, &participation, err);
    *out_machine = participation;
    return result;
}

static void free_machine(void *machine)
{
    rn_participation_free(machine);
}

static void step(void *machine, const struct rn_input *input, struct rn_now now,
                 struct rn_effects *out_effects)
{
    rn_participation_step(machine, input, now, out_effects);
}

static rn_result chunk(void *machine, const uint8_t session[static RN_HASH_BYTES], uint32_t number,
                       struct rn_buffer *out, struct rn_error *err)
{
    return rn_participation_chunk(machine, session, number, out, err);
}

rn_result rn_member_service_run(const struct rn_service_options *options, struct rn_error *err)
{
    static const struct rn_jobhost_program program = {
        .name = "rondo-trainer",
        .role = RN_SITE_MEMBER,
        .grace_ms = GRACE_MS,
        .content = RN_WIRE_MASKED_INPUT,
        .newest_bulk = true,
        .check = check_upload,
        .build = build,
        .free = free_machine,
        .step = step,
        .chunk = chunk,
        .status = rn_member_status,
        .log_start = rn_member_log_start,
        .authorize = rn_coordinatorstreams_authorize,
        .find = rn_coordinatorstreams_find,
        .dial = rn_coordinatorstreams_dial,
    };
    return rn_jobhost_run(&program, options, err);
}
