/* SPDX-License-Identifier: Apache-2.0 */
#include "services/trainer/memberstatus.h"

#include "base/clock.h"
#include "base/log.h"
#include "crypto/fingerprint.h"
#include "services/federation/participation.h"

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

bool rn_member_status(struct rn_jobhost *host, struct rn_now now, struct rn_buffer *out)
{
    struct rn_participation_view view;
    char hash[65];
    char roster[RN_FINGERPRINT_ROSTER_TEXT];
    rn_participation_view(host->machine, now, &view);
    rn_hex_encode(hash, view.adapter_hash, RN_HASH_BYTES);
    char key[RN_FINGERPRINT_KEY_TEXT];
    rn_fingerprint_roster(&host->site->roster, roster);
    rn_fingerprint_key(rn_identity_public_of(host->site->identity), key);
    rn_buffer_format(
        out,
        "\"role\":\"member\",\"roster\":\"%s\",\"key\":\"%s\",\"name\":\"%s\",\"federation\":\"%"
        "s\",\"plan\":\"%"
        "s\","
        "\"version\":\"%s\",\"connected\":%s,\"round\":%u,\"rounds\":%u,\"attempt\":%u,"
        "\"stage\":\"%s\",\"stage_name\":\"%s\",\"stage_age_ms\":%llu,\"training\":%s,"
        "\"following\":%s,\"outside\":%s,\"behind\":%s,\"draining\":%s,\"outcome\":\"%s\","
        "\"adapter\":\"%s\","
        "\"uplink_bytes\":%llu,\"signed\":%u,\"members\":%u,\"waits_for\":\"%s\",",
        roster, key, host->site->site.name, host->site->roster.federation, host->site->plan.name,
        RN_VERSION, truth(view.connected), (unsigned)view.next_round, (unsigned)view.rounds,
        (unsigned)view.attempt, view.in_session ? rn_job_stage_code(view.stage) : "idle",
        view.in_session ? rn_sa_stage_name(view.stage)
        : view.draws    ? "waits for the share graph"
                        : "idle",
        (unsigned long long)view.stage_age_ms, truth(view.training), truth(view.following),
        truth(view.outside), truth(view.behind), truth(view.draining), rn_code_name(view.outcome),
        hash, (unsigned long long)view.sent, (unsigned)view.signed_by,
        (unsigned)host->site->roster.count, view.missing);
    rn_jobhost_write_best(&view.judgement, out);
    rn_buffer_format(out, ",\"ledger\":");
    rn_siteledger_json(rn_siteledger_jobs(host->ledger), host->site->policy.upload.jobs_max, out);
    rn_buffer_format(out, ",\"privacy\":");
    rn_round_privacy_json(host->privacy, out);
    rn_buffer_format(out, ",");
    rn_jobhost_write_stop(&host->site->roster, &view.stop, out);
    rn_buffer_format(out, ",");
    rn_jobhost_write_evidence(&host->site->roster, &view.evidence, out);
    return !view.draining && !view.ending;
}

void rn_member_log_start(struct rn_jobhost *host)
{
    const struct rn_now now = {rn_clock_monotonic_ms(), rn_clock_wall_ms()};
    struct rn_participation_view view;
    struct rn_trainer_facts facts;
    char hash[65];
    rn_participation_view(host->machine, now, &view);
    rn_trainer_facts(host->model->trainer, &facts);
    rn_hex_encode(hash, view.adapter_hash, RN_HASH_BYTES);
    rn_log(RN_LOG_INFO, "service.start", RN_LOG_TEXT(RN_F_MEMBER, host->site->site.name),
           RN_LOG_TEXT(RN_F_VERSION, RN_VERSION), RN_LOG_NUMBER(RN_F_ROUND, view.next_round),
           RN_LOG_NUMBER(RN_F_COUNT, host->model->train_count), RN_LOG_TEXT(RN_F_HASH, hash),
           RN_LOG_TEXT(RN_F_SETTING, facts.kernels), RN_LOG_TEXT(RN_F_VALUE, facts.measured));
}
