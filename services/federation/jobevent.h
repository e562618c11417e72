/* SPDX-License-Identifier: Apache-2.0
 *
 * What a service tells whoever started it (`rondo run` draws it): a plain struct per event, on the
 * loop's thread. The log has its own lines; this is for a person at a terminal.
 */
#ifndef RN_SERVICES_FEDERATION_JOBEVENT_H
#define RN_SERVICES_FEDERATION_JOBEVENT_H

#include "crypto/secagg/actions.h"

enum rn_job_event_kind {
    RN_JOB_STARTED,   /* rounds, round: the next one */
    RN_JOB_MEMBERS,   /* present, members */
    RN_JOB_STAGE,     /* round, attempt, phase, stage */
    RN_JOB_TRAINING,  /* step of steps, loss (member) */
    RN_JOB_ROUND,     /* a round is over: outcome, included, lost, loss, ms, bytes */
    RN_JOB_EVALUATED, /* round (0: before the first), metric, dev loss */
    RN_JOB_ENDED,     /* outcome; path of the final adapter, or NULL */
};

struct rn_job_event {
    enum rn_job_event_kind kind;
    uint32_t round, rounds, attempt;
    const char *phase; /* "B", "A", "AB" */
    enum rn_sa_stage stage;
    uint32_t present, members, included, lost;
    uint32_t step, steps;
    double loss;   /* NaN when unknown */
    double metric; /* the plan's */
    const char *metric_name;
    uint64_t bytes; /* up, of all members together (coordinator) or of this one */
    uint64_t milliseconds;
    enum rn_code outcome;
    const char *path;
};

struct rn_job_listener {
    void (*on_event)(void *context, const struct rn_job_event *event); /* NULL: nobody listens */
    void *context;
};

/* R0 .. R5 of PROTOCOL.md, for logs. */
const char *rn_job_stage_code(enum rn_sa_stage stage);

#endif
