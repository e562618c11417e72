/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the events of a job go (services/federation/jobevent.h): a line in the log with the fields
 * of the kind's row, at most so many a minute of one peer; a counter per metric name; and a
 * listener. Used on the executor's thread alone, after rn_eventsink_new.
 */
#ifndef RN_SERVICES_HOST_EVENTSINK_H
#define RN_SERVICES_HOST_EVENTSINK_H

#include "base/bytes.h"
#include "crypto/roster.h"
#include "services/federation/jobevent.h"

struct rn_eventsink;

struct rn_eventsink_config {
    const struct rn_roster *roster; /* borrowed */
    uint32_t rounds;                /* of the plan */
    bool names_missing;             /* at a coordinator: MEMBERS and WAITING name who is away */
    struct rn_job_listener listener;
};
struct rn_eventsink *rn_eventsink_new(const struct rn_eventsink_config *config);
/* NULL is fine. */
void rn_eventsink_free(struct rn_eventsink *sink);

/* err: the sentence beside the event; "" for none. */
void rn_eventsink_take(struct rn_eventsink *sink, const struct rn_job_event *event,
                       const struct rn_error *err, uint64_t now_ms);

/* Events with this metric so far. */
uint64_t rn_eventsink_count(const struct rn_eventsink *sink, const char *metric);
/* Appends "counters":{"rounds_total":N,...}: every metric of the table that is not 0. */
void rn_eventsink_status(const struct rn_eventsink *sink, struct rn_buffer *out);

#endif
