/* SPDX-License-Identifier: Apache-2.0 */
#include "services/federation/jobevent.h"

#include "base/guard.h"

#define MINUTE_MS 60000u

static const struct rn_job_event_row ROWS[RN_JOB_EVENTS] = {
    [RN_JOB_STARTED] = {"job.start", RN_JOB_QUIET, NULL, RN_JOB_F_ROUND | RN_JOB_F_MEMBERS, 0,
                        NULL},
    [RN_JOB_MEMBERS] = {"members", RN_JOB_QUIET, NULL, RN_JOB_F_PRESENT | RN_JOB_F_MEMBERS, 0,
                        NULL},
    [RN_JOB_WAITING] = {"members.waiting", RN_JOB_INFO, NULL,
                        RN_JOB_F_PRESENT | RN_JOB_F_MEMBERS | RN_JOB_F_DETAIL, 0,
                        "waiting for members"},
    [RN_JOB_STAGE] = {"stage.enter", RN_JOB_INFO, "stages_total",
                      RN_JOB_F_ROUND | RN_JOB_F_ATTEMPT | RN_JOB_F_STAGE | RN_JOB_F_MEMBERS, 0,
                      NULL},
    [RN_JOB_NOT_WAITING] = {"stage.not-waiting", RN_JOB_INFO, "stages_shortened_total",
                            RN_JOB_F_STAGE | RN_JOB_F_COUNT, 0, NULL},
    [RN_JOB_OFFER] = {"round.begin", RN_JOB_INFO, "attempts_total",
                      RN_JOB_F_ROUND | RN_JOB_F_ATTEMPT | RN_JOB_F_PHASE | RN_JOB_F_PRESENT, 0,
                      NULL},
    [RN_JOB_RESUMED] = {"round.resumed", RN_JOB_INFO, "resumed_total",
                        RN_JOB_F_ROUND | RN_JOB_F_ATTEMPT | RN_JOB_F_STAGE, 0, NULL},
    [RN_JOB_NOT_RESUMED] = {"round.not-resumed", RN_JOB_WARN, NULL,
                            RN_JOB_F_ROUND | RN_JOB_F_ATTEMPT | RN_JOB_F_DETAIL, 0, NULL},
    [RN_JOB_ABORTED] = {"round.aborted", RN_JOB_WARN, "aborts_total",
                        RN_JOB_F_ROUND | RN_JOB_F_ATTEMPT | RN_JOB_F_STAGE | RN_JOB_F_REASON |
                            RN_JOB_F_DETAIL,
                        0, "the attempt was called off"},
    [RN_JOB_ROUND] = {"round.done", RN_JOB_INFO, "rounds_total",
                      RN_JOB_F_ROUND | RN_JOB_F_ATTEMPT | RN_JOB_F_PHASE | RN_JOB_F_INCLUDED |
                          RN_JOB_F_LOST | RN_JOB_F_MILLISECONDS | RN_JOB_F_BYTES | RN_JOB_F_HASH,
                      0, NULL},
    [RN_JOB_SKIPPED] = {"round.skipped", RN_JOB_WARN, "rounds_skipped_total",
                        RN_JOB_F_ROUND | RN_JOB_F_ATTEMPT | RN_JOB_F_PHASE | RN_JOB_F_REASON |
                            RN_JOB_F_MILLISECONDS,
                        0, "the round was skipped"},
    [RN_JOB_SUM_REFUSED] = {"sum.refused", RN_JOB_ERROR, "sums_refused_total",
                            RN_JOB_F_ROUND | RN_JOB_F_REASON | RN_JOB_F_DETAIL, 0,
                            "a sum that honest updates cannot give"},
    [RN_JOB_EVALUATED] = {"adapter.judged", RN_JOB_INFO, "evaluations_total", RN_JOB_F_ROUND, 0,
                          NULL},
    [RN_JOB_MEASURED] = {"adapter.measured", RN_JOB_INFO, "measures_total", RN_JOB_F_ROUND, 0,
                         NULL},
    [RN_JOB_STOPPED_EARLY] = {"job.early-stop", RN_JOB_INFO, NULL, RN_JOB_F_ROUND, 0,
                              "no better adapter for long enough: the job ends early"},
    [RN_JOB_WRITTEN] = {"adapter.written", RN_JOB_INFO, "adapters_written_total",
                        RN_JOB_F_ROUND | RN_JOB_F_PATH, 0, NULL},
    [RN_JOB_ENDED] = {"job.end", RN_JOB_INFO, NULL, RN_JOB_F_REASON | RN_JOB_F_PATH, 0, NULL},
    [RN_JOB_INCOMPLETE] = {"job.incomplete", RN_JOB_ERROR, NULL, RN_JOB_F_ROUND | RN_JOB_F_DETAIL,
                           0, "the job ended before its last round"},
    [RN_JOB_FAILED] = {"service.failed", RN_JOB_ERROR, NULL, RN_JOB_F_REASON | RN_JOB_F_DETAIL, 0,
                       "the service failed"},
    [RN_JOB_DRAINING] = {"signal", RN_JOB_INFO, NULL, RN_JOB_F_COUNT, 0, "ending in order"},
    [RN_JOB_BLAMED] = {"alarm.blamed", RN_JOB_ERROR, "blamed_total", RN_JOB_F_ROUND | RN_JOB_F_PEER,
                       6, "was proved faulty"},
    [RN_JOB_SILENT] =
        {"alarm.silent", RN_JOB_WARN, "silences_total", RN_JOB_F_ROUND | RN_JOB_F_PEER, 6,
         "ended the session by its silence, after a complaint about its shares; it is "
         "left out of the next rounds"},
    [RN_JOB_EVIDENCE] = {"alarm.evidence", RN_JOB_ERROR, "evidence_total",
                         RN_JOB_F_ROUND | RN_JOB_F_PEER, 6, "signed a contradiction"},
    [RN_JOB_MESSAGE_REFUSED] = {"message.refused", RN_JOB_WARN, "messages_refused_total",
                                RN_JOB_F_ROUND | RN_JOB_F_PEER | RN_JOB_F_REASON | RN_JOB_F_DETAIL,
                                6, NULL},
    [RN_JOB_SIGNATURES] = {"signatures.taken", RN_JOB_INFO, "signatures_total",
                           RN_JOB_F_COUNT | RN_JOB_F_PRESENT | RN_JOB_F_MEMBERS, 12, NULL},
    [RN_JOB_SIGNATURES_REFUSED] = {"signatures.refused", RN_JOB_WARN, "signatures_refused_total",
                                   RN_JOB_F_REASON | RN_JOB_F_DETAIL, 6,
                                   "signatures of the plan were refused"},
    [RN_JOB_EPOCH_DRAWN] = {"graph.drawn", RN_JOB_INFO, NULL,
                            RN_JOB_F_ATTEMPT | RN_JOB_F_PRESENT | RN_JOB_F_MEMBERS |
                                RN_JOB_F_DETAIL,
                            0, NULL},
    [RN_JOB_EPOCH_REFUSED] = {"graph.refused", RN_JOB_WARN, "graph_messages_refused_total",
                              RN_JOB_F_PEER | RN_JOB_F_REASON | RN_JOB_F_DETAIL, 6,
                              "a message of the drawing of the share graph was refused"},
    [RN_JOB_STOPPED] = {"job.stopped", RN_JOB_ERROR, "stops_total",
                        RN_JOB_F_ROUND | RN_JOB_F_PEER | RN_JOB_F_DETAIL, 6, "stopped the job"},
    [RN_JOB_STOP_REFUSED] = {"stop.refused", RN_JOB_WARN, "stops_refused_total",
                             RN_JOB_F_PEER | RN_JOB_F_REASON | RN_JOB_F_DETAIL, 6,
                             "a stop of the job was refused"},
    [RN_JOB_LOG_REPORT_REFUSED] = {"log.report_refused", RN_JOB_WARN, "log_reports_refused_total",
                                   RN_JOB_F_PEER | RN_JOB_F_REASON | RN_JOB_F_DETAIL, 6,
                                   "a report on the federation's log was refused"},
    [RN_JOB_LOG_REFUSED] = {"log.refused", RN_JOB_WARN, "log_updates_refused_total",
                            RN_JOB_F_REASON | RN_JOB_F_DETAIL, 6,
                            "an update of the federation's log was refused"},
    [RN_JOB_EPOCH_CALLED] = {"graph.called", RN_JOB_INFO, "graph_attempts_total",
                             RN_JOB_F_ATTEMPT | RN_JOB_F_MEMBERS, 0, "drawing the share graph"},
    [RN_JOB_EPOCH_VOID] = {"graph.void", RN_JOB_WARN, "graph_voids_total",
                           RN_JOB_F_ATTEMPT | RN_JOB_F_COUNT | RN_JOB_F_DETAIL, 0,
                           "an attempt at the share graph gave none"},
    [RN_JOB_MEMBER_JOINED] = {"member.joined", RN_JOB_INFO, "joins_total",
                              RN_JOB_F_ROUND | RN_JOB_F_PEER | RN_JOB_F_PRESENT, 12, "connected"},
    [RN_JOB_MEMBER_LOST] = {"member.lost", RN_JOB_WARN, "losses_total",
                            RN_JOB_F_PEER | RN_JOB_F_REASON | RN_JOB_F_PRESENT, 12,
                            "connection lost"},
    [RN_JOB_MEMBER_REFUSED] = {"member.refused", RN_JOB_WARN, "greetings_refused_total",
                               RN_JOB_F_PEER | RN_JOB_F_REASON | RN_JOB_F_DETAIL, 6, "refused"},
    [RN_JOB_MEMBER_UNREACHABLE] = {"member.unreachable", RN_JOB_WARN, "dials_failed_total",
                                   RN_JOB_F_PEER | RN_JOB_F_REASON, 6, "cannot be reached"},
    [RN_JOB_MEMBER_DECLINED] = {"member.declined", RN_JOB_WARN, "declined_total",
                                RN_JOB_F_ROUND | RN_JOB_F_ATTEMPT | RN_JOB_F_PEER | RN_JOB_F_REASON,
                                6, "takes no part in this round"},
    [RN_JOB_MEMBER_WAITS] = {"member.waits", RN_JOB_WARN, NULL, RN_JOB_F_PEER | RN_JOB_F_DETAIL, 6,
                             "waits for signatures of the plan"},
    [RN_JOB_MEMBER_READY] = {"member.ready", RN_JOB_INFO, NULL, RN_JOB_F_PEER, 6, NULL},
    [RN_JOB_MEMBER_BEHIND] = {"member.behind", RN_JOB_INFO, "behind_total",
                              RN_JOB_F_PEER | RN_JOB_F_VALUE, 6,
                              "is behind and gets what it missed"},
    [RN_JOB_MEMBER_STRANDED] = {"member.stranded", RN_JOB_ERROR, "stranded_total",
                                RN_JOB_F_PEER | RN_JOB_F_VALUE | RN_JOB_F_DETAIL, 6,
                                "misses rounds that are not kept any more"},
    [RN_JOB_MEMBER_CLOSING] = {"member.closing", RN_JOB_INFO, NULL, RN_JOB_F_PEER | RN_JOB_F_REASON,
                               12, NULL},
    [RN_JOB_RECEIPT_DIFFERS] = {"alarm.receipt-differs", RN_JOB_ERROR, "receipts_differing_total",
                                RN_JOB_F_ROUND | RN_JOB_F_PEER, 6, "arrived at another adapter"},
    [RN_JOB_SUMS_DROPPED] = {"sums.dropped", RN_JOB_WARN, NULL, RN_JOB_F_ROUND, 6,
                             "sums that a member away lacks are kept no longer (limits.kept_sums)"},
    [RN_JOB_CATCHUP_FAILED] = {"round.unavailable", RN_JOB_WARN, NULL,
                               RN_JOB_F_ROUND | RN_JOB_F_ATTEMPT | RN_JOB_F_DETAIL, 6, NULL},
    [RN_JOB_POLICY_WAITS] = {"policy.waits", RN_JOB_WARN, NULL, RN_JOB_F_DETAIL, 12,
                             "waits for signatures of the plan"},
    [RN_JOB_POLICY_SATISFIED] = {"policy.satisfied", RN_JOB_INFO, NULL, 0, 0, NULL},
    [RN_JOB_SIGNATURES_UNKEPT] = {"signatures.unkept", RN_JOB_ERROR, NULL,
                                  RN_JOB_F_REASON | RN_JOB_F_DETAIL, 6,
                                  "signatures of the plan cannot be written down"},
    [RN_JOB_TRAINING] = {"train.step", RN_JOB_QUIET, NULL, RN_JOB_F_ROUND, 0, NULL},
    [RN_JOB_TRAIN_BEGIN] = {"train.begin", RN_JOB_INFO, "trainings_total",
                            RN_JOB_F_ROUND | RN_JOB_F_PHASE, 0, NULL},
    [RN_JOB_TRAIN_DONE] = {"train.done", RN_JOB_INFO, NULL,
                           RN_JOB_F_ROUND | RN_JOB_F_COUNT | RN_JOB_F_MILLISECONDS, 0, NULL},
    [RN_JOB_TRAIN_FAILED] = {"train.failed", RN_JOB_ERROR, "trainings_failed_total",
                             RN_JOB_F_ROUND | RN_JOB_F_REASON | RN_JOB_F_DETAIL, 0,
                             "training failed"},
    [RN_JOB_TRAIN_REUSED] = {"train.reused", RN_JOB_INFO, NULL, RN_JOB_F_ROUND, 0, NULL},
    [RN_JOB_CLIPPED] = {"update.clipped", RN_JOB_INFO, NULL, RN_JOB_F_ROUND | RN_JOB_F_COUNT, 0,
                        NULL},
    [RN_JOB_UPDATE_REFUSED] = {"update.refused", RN_JOB_ERROR, "updates_refused_total",
                               RN_JOB_F_ROUND | RN_JOB_F_REASON | RN_JOB_F_DETAIL, 0, NULL},
    [RN_JOB_UPLOAD_FAILED] = {"upload.failed", RN_JOB_ERROR, NULL,
                              RN_JOB_F_ROUND | RN_JOB_F_REASON | RN_JOB_F_DETAIL, 0, NULL},
    [RN_JOB_FOLLOW] = {"round.follow", RN_JOB_INFO, "followed_total",
                       RN_JOB_F_ROUND | RN_JOB_F_REASON, 12, NULL},
    [RN_JOB_OFFER_REFUSED] = {"round.refused", RN_JOB_WARN, "offers_refused_total",
                              RN_JOB_F_ROUND | RN_JOB_F_ATTEMPT | RN_JOB_F_REASON | RN_JOB_F_DETAIL,
                              6, "an offer was refused"},
    [RN_JOB_BEHIND] = {"round.behind", RN_JOB_WARN, "behind_total", RN_JOB_F_ROUND | RN_JOB_F_VALUE,
                       6, "this site misses rounds and asks for them"},
    [RN_JOB_SUMMARY] = {"round.summary", RN_JOB_INFO, NULL,
                        RN_JOB_F_ROUND | RN_JOB_F_INCLUDED | RN_JOB_F_REASON, 60, NULL},
    [RN_JOB_ADAPTER_DIFFERS] = {"alarm.adapter-differs", RN_JOB_ERROR, "adapters_differing_total",
                                RN_JOB_F_ROUND | RN_JOB_F_HASH, 6,
                                "the others arrived at another adapter"},
    [RN_JOB_CONNECTED] = {"coordinator.connected", RN_JOB_INFO, "connections_total", 0, 12, NULL},
    [RN_JOB_DISCONNECTED] = {"coordinator.lost", RN_JOB_WARN, "losses_total", RN_JOB_F_REASON, 12,
                             "the connection was lost"},
    [RN_JOB_UNREACHABLE] = {"coordinator.unreachable", RN_JOB_WARN, "dials_failed_total",
                            RN_JOB_F_REASON, 6, "the coordinator cannot be reached"},
    [RN_JOB_WELCOME] = {"coordinator.welcome", RN_JOB_INFO, NULL,
                        RN_JOB_F_ROUND | RN_JOB_F_ATTEMPT | RN_JOB_F_PRESENT, 12, NULL},
    [RN_JOB_CLOSING] = {"coordinator.closing", RN_JOB_INFO, NULL, RN_JOB_F_REASON, 12, NULL},
    [RN_JOB_CLONE] = {"identity.connected-already", RN_JOB_WARN, NULL, RN_JOB_F_MILLISECONDS, 6,
                      "another process has this identity"},
};

const struct rn_job_event_row *rn_job_event_row(enum rn_job_event_kind kind)
{
    RN_BUG_IF(kind >= RN_JOB_EVENTS || ROWS[kind].name == NULL);
    return &ROWS[kind];
}

bool rn_job_event_admit(struct rn_job_event_limit *limit, const struct rn_job_event *event,
                        uint64_t now_ms, uint32_t *out_dropped)
{
    const uint32_t most = rn_job_event_row(event->kind)->lines_per_minute;
    *out_dropped = 0;
    if (most == 0) {
        return true;
    }
    RN_BUG_IF(event->peer >= RN_ARRAY_LENGTH(limit->peers[0]));
    __typeof__(&limit->peers[0][0]) seen = &limit->peers[event->kind][event->peer];
    if (seen->lines == 0 || now_ms - seen->since_ms >= MINUTE_MS) {
        seen->since_ms = now_ms;
        seen->lines = 0;
    }
    if (seen->lines >= most) {
        seen->dropped++;
        return false;
    }
    seen->lines++;
    *out_dropped = seen->dropped;
    seen->dropped = 0;
    return true;
}

const char *rn_job_stage_code(enum rn_sa_stage stage)
{
    switch (stage) {
    case RN_SA_STAGE_OFFER:
        return "offer";
    case RN_SA_STAGE_READY:
        return "R0";
    case RN_SA_STAGE_SHARES:
        return "R1";
    case RN_SA_STAGE_ACKS:
        return "R1-acks";
    case RN_SA_STAGE_UPLOAD:
        return "R2";
    case RN_SA_STAGE_VOTE:
        return "R3";
    case RN_SA_STAGE_UNMASK:
        return "R4";
    case RN_SA_STAGE_SUM:
        return "R5";
    default:
        return rn_sa_stage_name(stage);
    }
}
