/* SPDX-License-Identifier: Apache-2.0
 *
 * What coordinator and member say to each other about the log (services/PROTOCOL.md, "The log").
 * Integers little-endian; a blob is a u32 length and that many bytes.
 *
 *     update, coordinator to member     u64 from; blob checkpoint, signed by the log alone; then
 *                                       entries from .. size - 1, each a big-endian u16 length and
 *                                       its bytes (as in a bundle)
 *     report, member to coordinator     u64 size of its copy; blob VKEY; 64 bytes statement;
 *                                       blob the line of its cosignature of that size, or nothing
 */
#ifndef RN_POLICY_TLOGUPDATE_H
#define RN_POLICY_TLOGUPDATE_H

#include "policy/tlog/tlogkeys.h"

#define RN_TLOG_UPDATE_NOTE_MAX 1024u
/* Entries of one update: at least one, of any length, fits. */
#define RN_TLOG_UPDATE_ENTRIES_MAX ((size_t)128 << 10)
#define RN_TLOG_UPDATE_MAX (8 + 4 + RN_TLOG_UPDATE_NOTE_MAX + RN_TLOG_UPDATE_ENTRIES_MAX)
#define RN_TLOG_LINE_MAX 511u
#define RN_TLOG_REPORT_MAX \
    (8 + 4 + RN_TLOG_KEY_TEXT_MAX + RN_SIGNATURE_BYTES + 4 + RN_TLOG_LINE_MAX)

struct rn_tlog_update {
    uint64_t from;
    struct rn_view note;                  /* borrowed */
    struct rn_view entries;               /* borrowed; a bundle, unchecked */
    struct rn_note_checkpoint checkpoint; /* of the note; its signature is unchecked */
};

void rn_tlog_update_write(const struct rn_tlog_update *update, struct rn_buffer *out);
/* RN_E_PEER_FORMAT unless `in` is an update whose entries lead from `from` to the checkpoint's
 * size, which is not below. */
RN_MUST rn_result rn_tlog_update_read(struct rn_view in, struct rn_tlog_update *out,
                                      struct rn_error *err);

struct rn_tlog_report {
    uint64_t size;
    struct rn_view key; /* borrowed; text */
    uint8_t statement[RN_SIGNATURE_BYTES];
    struct rn_view line; /* borrowed; empty: it has cosigned nothing of this size yet */
};

void rn_tlog_report_write(const struct rn_tlog_report *report, struct rn_buffer *out);
RN_MUST rn_result rn_tlog_report_read(struct rn_view in, struct rn_tlog_report *out,
                                      struct rn_error *err);

#endif
