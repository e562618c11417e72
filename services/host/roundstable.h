/* SPDX-License-Identifier: Apache-2.0
 *
 * rounds.csv and rounds.jsonl in the state directory: one row per round, for people and for plots.
 * Rewritten from the records once at the start, so that no crash leaves a torn or doubled row for
 * long; then one line is appended as a round becomes complete, in the order of rounds. The files
 * are derived and not fsynced. start_metric and start_dev_loss are the members' means of the
 * adapter that the round started from (federated evaluation), the other metrics this site's own of
 * the one after it.
 */
#ifndef RN_SERVICES_HOST_ROUNDSTABLE_H
#define RN_SERVICES_HOST_ROUNDSTABLE_H

#include "services/federation/jobbasis.h"

struct rn_roundstable;

struct rn_roundstable_config {
    const char *state; /* directory; for rn_roundstable_open alone */
    uint32_t rounds;
    bool judged;         /* a summed round is complete when its adapter was published (METRICS) */
    bool own;            /* uplink_bytes are those of this member alone */
    uint64_t lora_bytes; /* what plain LoRA would send from one member in a round */
};

/* Reads the records and writes both files. */
RN_MUST rn_result rn_roundstable_open(const struct rn_roundstable_config *config,
                                      const struct rn_job_reader *reader,
                                      struct rn_roundstable **out, struct rn_error *err);
/* Before the batch is committed: its RESULT and METRICS records fill rows. */
RN_MUST rn_result rn_roundstable_take(struct rn_roundstable *table,
                                      const struct rn_job_batch *batch, struct rn_error *err);
/* Appends rows that are not complete either. NULL is fine. */
void rn_roundstable_close(struct rn_roundstable *table);

#endif
