/* SPDX-License-Identifier: Apache-2.0
 *
 * What coordinator and member read of each other about the federation's log, and what anybody reads
 * from its files. What is accepted is written again to the same bytes.
 */
#include "base/guard.h"
#include "policy/tlog/tlogentry.h"
#include "policy/tlog/tlogupdate.h"

static void same(struct rn_buffer *again, struct rn_view in)
{
    RN_BUG_IF(!rn_view_equal(rn_buffer_view(again), in));
    rn_buffer_clear(again);
}

static void read_texts(struct rn_view in)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer again = {0};
    struct rn_tlog_entry entry;
    struct rn_note_checkpoint checkpoint;
    struct rn_note_key key;
    struct rn_error err;
    if (rn_is_ok(rn_tlog_entry_read(in, &entry, &err))) {
        rn_tlog_entry_write(&entry, &again);
        same(&again, in);
    }
    if (rn_is_ok(rn_note_checkpoint_read(in, &checkpoint, &err))) {
        rn_note_checkpoint_write(&checkpoint, &again);
        same(&again, in);
    }
    if (rn_is_ok(rn_note_key_read(in, &key, &err))) {
        rn_note_key_write(&key, &again);
        same(&again, in);
    }
}

static void read_note(struct rn_view in)
{
    static const struct rn_note_key key = {"rondo/demo", RN_NOTE_ED25519, {{1}}};
    static const struct rn_note_key witness = {"rondo/demo/north", RN_NOTE_COSIGNATURE, {{1}}};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    struct rn_note note;
    struct rn_error err;
    if (rn_is_ok(rn_note_split(in, &note, &err))) {
        RN_BUG_IF(rn_is_ok(rn_note_verify(&note, &key, NULL, &err)));
        RN_BUG_IF(rn_note_line_find(&note, &witness, &line));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer again = {0};
    struct rn_tlog_update update;
    struct rn_tlog_report report;
    struct rn_error err;
    const struct rn_view in = rn_view_of(data, size);
    read_texts(in);
    read_note(in);
    if (rn_is_ok(rn_tlog_update_read(in, &update, &err))) {
        rn_tlog_update_write(&update, &again);
        same(&again, in);
    }
    if (rn_is_ok(rn_tlog_report_read(in, &report, &err))) {
        rn_tlog_report_write(&report, &again);
        same(&again, in);
    }
    return 0;
}
