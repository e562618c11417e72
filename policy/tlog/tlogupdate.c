/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/tlog/tlogupdate.h"

#include "base/guard.h"
#include "policy/tlog/tlog.h"

_Static_assert(RN_TLOG_UPDATE_ENTRIES_MAX >= 2 + RN_TLOG_ENTRY_MAX, "one entry fits");

void rn_tlog_update_write(const struct rn_tlog_update *update, struct rn_buffer *out)
{
    rn_buffer_u64(out, update->from);
    rn_buffer_blob(out, update->note);
    rn_buffer_append(out, update->entries.data, update->entries.length);
}

static bool entries_count(struct rn_view entries, uint64_t *out)
{
    struct rn_reader reader = rn_reader_of(entries);
    struct rn_view entry;
    for (*out = 0; rn_tlog_bundle_next(&reader, &entry); ++*out) {
    }
    return rn_reader_done(&reader);
}

rn_result rn_tlog_update_read(struct rn_view in, struct rn_tlog_update *out, struct rn_error *err)
{
    struct rn_reader reader = rn_reader_of(in);
    struct rn_note note;
    uint64_t count = 0;
    out->from = rn_read_u64(&reader);
    out->note = rn_read_blob(&reader, RN_TLOG_UPDATE_NOTE_MAX);
    RN_ENSURE(!reader.failed, err, RN_E_PEER_FORMAT, "An update of the log ends too early.");
    out->entries = rn_read_view(&reader, rn_reader_left(&reader));
    RN_TRY(rn_note_split(out->note, &note, err));
    RN_TRY(rn_note_checkpoint_read(note.text, &out->checkpoint, err));
    RN_ENSURE(out->entries.length <= RN_TLOG_UPDATE_ENTRIES_MAX &&
                  entries_count(out->entries, &count) && out->from <= out->checkpoint.size &&
                  count == out->checkpoint.size - out->from,
              err, RN_E_PEER_FORMAT, "An update of the log does not hold the entries it names.");
    return rn_ok();
}

void rn_tlog_report_write(const struct rn_tlog_report *report, struct rn_buffer *out)
{
    rn_buffer_u64(out, report->size);
    rn_buffer_blob(out, report->key);
    rn_buffer_append(out, report->statement, RN_SIGNATURE_BYTES);
    rn_buffer_blob(out, report->line);
}

rn_result rn_tlog_report_read(struct rn_view in, struct rn_tlog_report *out, struct rn_error *err)
{
    struct rn_reader reader = rn_reader_of(in);
    out->size = rn_read_u64(&reader);
    out->key = rn_read_blob(&reader, RN_TLOG_KEY_TEXT_MAX);
    rn_read_copy(&reader, out->statement, RN_SIGNATURE_BYTES);
    out->line = rn_read_blob(&reader, RN_TLOG_LINE_MAX);
    RN_ENSURE(rn_reader_done(&reader) && out->size <= RN_TLOG_SIZE_MAX, err, RN_E_PEER_FORMAT,
              "A report on the log is malformed.");
    return rn_ok();
}
