/* SPDX-License-Identifier: Apache-2.0 */
#include "services/coordinator/coordinatorservice.h"

#include "base/alloc.h"
#include "base/memoryavailable.h"
#include "services/coordinator/coordinatormachine.h"
#include "services/coordinator/coordinatorstatus.h"
#include "services/coordinator/memberstreams.h"
#include "services/host/jobhost.h"

#define GRACE_MS 3000

static void free_machine(void *machine)
{
    struct rn_coordinator_machine *coordinator = machine;
    rn_coordination_free(coordinator->coordination);
    rn_upload_spool_free(coordinator->spool);
    rn_free(coordinator);
}

static uint64_t upload_memory(const struct rn_site *site)
{
    return site->limits.upload_memory != 0 ? site->limits.upload_memory
                                           : rn_upload_memory_default(rn_memory_available());
}

static rn_result build(struct rn_jobhost *host, struct rn_now now, struct rn_effects *out_first,
                       void **out_machine, struct rn_error *err)
{
    struct rn_coordinator_machine *coordinator = rn_alloc(1, sizeof(*coordinator));
    coordinator->spool = rn_upload_spool_new(host->site->state);
    const struct rn_coordination_config config = {
        .basis = &host->basis,
        .signatures = &host->site->signatures,
        .model = &host->model->round,
        .spool_bytes = upload_memory(&host->site->site),
        .kept_bytes = host->site->site.limits.kept_sums,
        .log = true,
        .spool = rn_upload_spool_of(coordinator->spool),
    };
    const rn_result result =
        rn_coordination_new(&config, now, out_first, &coordinator->coordination, err);
    if (!rn_is_ok(result)) {
        free_machine(coordinator);
        return result;
    }
    *out_machine = coordinator;
    return result;
}

static void step(void *machine, const struct rn_input *input, struct rn_now now,
                 struct rn_effects *out_effects)
{
    rn_coordination_step(((struct rn_coordinator_machine *)machine)->coordination, input, now,
                         out_effects);
}

static rn_result chunk(void *machine, const uint8_t session[static RN_HASH_BYTES], uint32_t number,
                       struct rn_buffer *out, struct rn_error *err)
{
    return rn_coordination_chunk(((struct rn_coordinator_machine *)machine)->coordination, session,
                                 number, out, err);
}

rn_result rn_coordinator_service_run(const struct rn_service_options *options, struct rn_error *err)
{
    static const struct rn_jobhost_program program = {
        .name = "rondo-coordinator",
        .role = RN_SITE_COORDINATOR,
        .grace_ms = GRACE_MS,
        .content = RN_WIRE_SUM,
        .build = build,
        .free = free_machine,
        .step = step,
        .chunk = chunk,
        .status = rn_coordinator_status,
        .log_start = rn_coordinator_log_start,
        .authorize = rn_memberstreams_authorize,
        .find = rn_memberstreams_find,
        .dial = rn_memberstreams_dial,
    };
    return rn_jobhost_run(&program, options, err);
}
