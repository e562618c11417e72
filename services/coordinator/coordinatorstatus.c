/* SPDX-License-Identifier: Apache-2.0 */
#include "services/coordinator/coordinatorstatus.h"

#include "base/clock.h"
#include "base/log.h"
#include "crypto/fingerprint.h"
#include "services/coordinator/coordinatormachine.h"

static const char *stage_code(const struct rn_coordination_view *view)
{
    switch (view->phase) {
    case RN_COORDINATION_GATHER:
        return "gather";
    case RN_COORDINATION_EPOCH:
        return "graph";
    case RN_COORDINATION_SESSION:
        return rn_job_stage_code(view->stage);
    case RN_COORDINATION_LINGER:
        return "linger";
    default:
        return "ended";
    }
}

static const char *stage_name(const struct rn_coordination_view *view)
{
    switch (view->phase) {
    case RN_COORDINATION_GATHER:
        return "waiting for members";
    case RN_COORDINATION_EPOCH:
        return view->graph_step == NULL ? "waiting for members to draw the graph"
                                        : "drawing the graph";
    case RN_COORDINATION_SESSION:
        return rn_sa_stage_name(view->stage);
    case RN_COORDINATION_LINGER:
        return "members fetch what they miss";
    default:
        return "ended";
    }
}

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

static void write_member(const struct rn_jobhost *host, uint32_t index,
                         const struct rn_coordination_member *member, bool has_signed,
                         struct rn_buffer *out)
{
    char key[RN_FINGERPRINT_KEY_TEXT];
    rn_fingerprint_key(&host->site->roster.members[index].key, key);
    rn_buffer_format(
        out,
        "%s{\"name\":\"%s\",\"key\":\"%s\",\"connected\":%s,\"missing\":%s,\"declined\":%s,"
        "\"waits\":%s,\"signed\":%s,\"stranded\":%s,\"blamed\":%s,\"outside\":%s,\"why\":\"%s\","
        "\"next_round\":%u,"
        "\"since_ms\":%llu,\"uplink_bytes\":%llu}",
        index == 0 ? "" : ",", host->site->roster.members[index].name, key,
        truth(member->connected), truth(member->missing), truth(member->declined),
        truth(member->waits), truth(has_signed), truth(member->stranded), truth(member->blamed),
        truth(member->outside), rn_code_name(member->why), (unsigned)member->next_round,
        (unsigned long long)member->since_ms, (unsigned long long)member->received);
}

static void take_view(const struct rn_jobhost *host, struct rn_now now,
                      struct rn_coordination_view *out)
{
    rn_coordination_view(((const struct rn_coordinator_machine *)host->machine)->coordination, now,
                         out);
}

bool rn_coordinator_status(struct rn_jobhost *host, struct rn_now now, struct rn_buffer *out)
{
    struct rn_coordination_view view;
    char hash[65];
    char roster[RN_FINGERPRINT_ROSTER_TEXT];
    take_view(host, now, &view);
    rn_hex_encode(hash, view.adapter_hash, RN_HASH_BYTES);
    rn_fingerprint_roster(&host->site->roster, roster);
    rn_buffer_format(
        out,
        "\"role\":\"coordinator\",\"roster\":\"%s\",\"name\":\"coordinator\",\"federation\":\"%s\","
        "\"plan\":\"%s\",\"version\":\"%s\",\"round\":%u,\"rounds\":%u,"
        "\"attempt\":%u,\"summed\":%u,\"skipped\":%u,\"stage\":\"%s\","
        "\"stage_name\":\"%s\",\"stage_age_ms\":%llu,\"stage_left_ms\":%llu,"
        "\"outcome\":\"%s\",\"draining\":%s,\"blind\":%s,\"graph\":%s,\"graph_attempt\":%u,"
        "\"graph_step\":\"%s\",\"adapter\":\"%s\",\"members\":[",
        roster, host->site->roster.federation, host->site->plan.name, RN_VERSION,
        (unsigned)view.round, (unsigned)view.rounds, (unsigned)view.attempt, (unsigned)view.summed,
        (unsigned)view.skipped, stage_code(&view), stage_name(&view),
        (unsigned long long)view.stage_age_ms, (unsigned long long)view.stage_left_ms,
        rn_code_name(view.outcome), truth(view.draining), truth(view.blind),
        truth(view.graph_drawn), (unsigned)view.graph_attempt,
        view.graph_step == NULL ? "" : view.graph_step, hash);
    for (uint32_t i = 0; i < view.member_count; i++) {
        write_member(host, i, &view.members[i], view.signers.members[i], out);
    }
    rn_buffer_format(out, "],");
    rn_jobhost_write_best(&view.judgement, out);
    rn_buffer_format(out, ",");
    rn_jobhost_write_stop(&host->site->roster, &view.stop, out);
    rn_buffer_format(out, ",");
    rn_jobhost_write_evidence(&host->site->roster, &view.evidence, out);
    return !view.draining && view.phase != RN_COORDINATION_ENDED;
}

void rn_coordinator_log_start(struct rn_jobhost *host)
{
    const struct rn_now now = {rn_clock_monotonic_ms(), rn_clock_wall_ms()};
    struct rn_coordination_view view;
    char hash[65];
    take_view(host, now, &view);
    rn_hex_encode(hash, view.adapter_hash, RN_HASH_BYTES);
    rn_log(RN_LOG_INFO, "service.start", RN_LOG_TEXT(RN_F_VERSION, RN_VERSION),
           RN_LOG_NUMBER(RN_F_ROUND, view.round), RN_LOG_NUMBER(RN_F_MEMBERS, view.member_count),
           RN_LOG_TEXT(RN_F_HASH, hash));
}
