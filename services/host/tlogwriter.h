/* SPDX-License-Identifier: Apache-2.0
 *
 * The coordinator's side of the federation's log: appends entries, signs checkpoints, gathers the
 * members' cosignatures, makes updates for their copies. One log for all jobs of a federation.
 *
 * What was added or heard becomes durable, and part of what members are shown, when it is
 * published: many entries and cosignatures at once, since each time costs a few fsyncs.
 *
 * rn_tlog_writer_open -> add / report / publish / update in any order -> free. Used by one thread.
 */
#ifndef RN_SERVICES_HOST_TLOGWRITER_H
#define RN_SERVICES_HOST_TLOGWRITER_H

#include "policy/plan.h"
#include "policy/tlog/tlogupdate.h"

struct rn_tlog_writer;

struct rn_tlog_writer_config {
    const char *state;                  /* directory */
    const struct rn_roster *roster;     /* borrowed */
    const struct rn_identity *identity; /* of the coordinator; borrowed */
    uint8_t plan_hash[RN_HASH_BYTES];   /* whose entries are counted */
    uint32_t quorum;                    /* cosignatures that publish */
};

/* Reads the log of state, or begins one with its first entry. RN_E_DATA when its files do not fit
 * together, or it is another federation's or coordinator's. */
RN_MUST rn_result rn_tlog_writer_open(const struct rn_tlog_writer_config *config,
                                      struct rn_tlog_writer **out, struct rn_error *err);
/* NULL is fine. */
void rn_tlog_writer_free(struct rn_tlog_writer *writer);

/* Entries that a durable checkpoint covers. */
uint64_t rn_tlog_writer_size(const struct rn_tlog_writer *writer);
/* Cosignatures of the newest checkpoint. */
uint32_t rn_tlog_writer_cosigned(const struct rn_tlog_writer *writer);

/* Entry `number` of the plan's job; nothing when it is in already. RN_E_DATA when one before it is
 * missing. */
RN_MUST rn_result rn_tlog_writer_add(struct rn_tlog_writer *writer, uint64_t number,
                                     struct rn_view entry, struct rn_error *err);
/* What the member at `place` says of its copy: its key goes into the log when it is new, its
 * cosignature to the newest checkpoint when it is of that. A cosignature of an older one is passed
 * over. RN_E_PEER_AUTH where key or cosignature do not hold. */
RN_MUST rn_result rn_tlog_writer_report(struct rn_tlog_writer *writer, uint32_t place,
                                        struct rn_view report, struct rn_error *err);
/* Makes what is new durable: entries with a checkpoint, cosignatures below it. *out_grown: the size
 * is another. Nothing when there is nothing new. */
RN_MUST rn_result rn_tlog_writer_publish(struct rn_tlog_writer *writer, bool *out_grown,
                                         struct rn_error *err);
/* Appends an update from entry `from` <= size on, as much as one may hold. */
RN_MUST rn_result rn_tlog_writer_update(struct rn_tlog_writer *writer, uint64_t from,
                                        struct rn_buffer *out, struct rn_error *err);

#endif
