/* SPDX-License-Identifier: Apache-2.0
 *
 * A member's copy of the federation's log, and its word for it: it appends what is new, compares
 * the root with the checkpoint that the log signed, writes all of it down, and only then cosigns.
 * So it never cosigns two logs, and any two checkpoints with its cosignature are of one. What does
 * not continue its copy is kept (fork-SIZE: the update, beside its own checkpoint).
 *
 * rn_tlog_mirror_open -> take / report in any order -> free. Used by one thread.
 */
#ifndef RN_SERVICES_HOST_TLOGMIRROR_H
#define RN_SERVICES_HOST_TLOGMIRROR_H

#include "policy/tlog/tlogupdate.h"

struct rn_tlog_mirror;

/* identity: of the member at `place`. Both are borrowed. RN_E_DATA when the files of the copy do
 * not fit together, or it is another federation's. */
RN_MUST rn_result rn_tlog_mirror_open(const char *state, const struct rn_roster *roster,
                                      uint32_t place, const struct rn_identity *identity,
                                      struct rn_tlog_mirror **out, struct rn_error *err);
/* NULL is fine. */
void rn_tlog_mirror_free(struct rn_tlog_mirror *mirror);
uint64_t rn_tlog_mirror_size(const struct rn_tlog_mirror *mirror);

/* Takes an update and cosigns. now_s: seconds since 1970. An update that begins elsewhere than
 * where the copy ends, or ends before it with the same root, changes nothing. RN_E_PEER_PROTOCOL:
 * it is signed by the log and does not continue this copy: the update is kept, if it can be
 * written. RN_E_PEER_AUTH: the log did not sign it. */
RN_MUST rn_result rn_tlog_mirror_take(struct rn_tlog_mirror *mirror, struct rn_view update,
                                      uint64_t now_s, struct rn_error *err);
/* Appends the entries of kind round of a plan, as in a bundle. */
RN_MUST rn_result rn_tlog_mirror_rounds(const struct rn_tlog_mirror *mirror,
                                        const uint8_t plan_hash[static RN_HASH_BYTES],
                                        struct rn_buffer *out, struct rn_error *err);
/* Appends the report: how far the copy goes, and its cosignature. */
void rn_tlog_mirror_report(const struct rn_tlog_mirror *mirror, struct rn_buffer *out);

#endif
