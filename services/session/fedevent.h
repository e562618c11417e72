/* SPDX-License-Identifier: Apache-2.0
 *
 * What a service tells whoever started it (`rondo run` draws it): a plain struct per event, on the
 * loop's thread. The log has its own lines; this is for a person at a terminal.
 */
#ifndef RN_SERVICES_SESSION_FEDEVENT_H
#define RN_SERVICES_SESSION_FEDEVENT_H

#include "crypto/secagg/actions.h"

enum rn_fed_event_kind {
    RN_FED_STARTED,   /* rounds, round: the next one */
    RN_FED_MEMBERS,   /* present, members */
    RN_FED_STAGE,     /* round, attempt, phase, stage */
    RN_FED_TRAINING,  /* step of steps, loss (member) */
    RN_FED_ROUND,     /* a round is over: outcome, included, lost, loss, ms, bytes */
    RN_FED_EVALUATED, /* round (0: before the first), metric, dev loss */
    RN_FED_ENDED,     /* outcome; path of the final adapter, or NULL */
};

struct rn_fed_event {
    enum rn_fed_event_kind kind;
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

struct rn_fed_listener {
    void (*on_event)(void *context, const struct rn_fed_event *event); /* NULL: nobody listens */
    void *context;
};

/* R0 .. R5 of PROTOCOL.md, for logs. */
const char *rn_fed_stage_code(enum rn_sa_stage stage);

#endif
