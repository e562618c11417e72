/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/tlogmirror.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "policy/tlog/tlogentry.h"
#include "services/host/tlogfolder.h"

struct rn_tlog_mirror {
    const struct rn_roster *roster;
    uint32_t place;
    struct rn_tlog_folder folder;
    struct rn_rolekey *secret;
    struct rn_note_key key; /* own */
    struct rn_buffer key_text;
    uint8_t statement[RN_SIGNATURE_BYTES];
    struct rn_note_key log; /* of the copy's first entry, where there is one */
    struct rn_tlog_end end;
    struct rn_buffer note; /* the newest checkpoint: the log's signature and the own one */
};

void rn_tlog_mirror_free(struct rn_tlog_mirror *mirror)
{
    if (mirror != NULL) {
        rn_tlog_end_clear(&mirror->end);
        rn_buffer_clear(&mirror->key_text);
        rn_buffer_clear(&mirror->note);
        rn_rolekey_free(mirror->secret);
        rn_free(mirror);
    }
}

uint64_t rn_tlog_mirror_size(const struct rn_tlog_mirror *mirror)
{
    return mirror->end.size;
}

/* The first entry says which key is the log's; the coordinator's identity says so in it. */
static rn_result log_key(const struct rn_roster *roster, struct rn_view first,
                         struct rn_note_key *out, struct rn_error *err)
{
    struct rn_tlog_entry entry;
    RN_TRY(rn_tlog_entry_read(first, &entry, err));
    RN_ENSURE(entry.kind == RN_TLOG_LOG && strcmp(entry.name, roster->federation) == 0, err,
              RN_E_PEER_AUTH, "The log is not this federation's.");
    return rn_tlog_statement_verify(roster, RN_TLOG_COORDINATOR, rn_view_text(entry.key),
                                    entry.statement, out, err);
}

/* A checkpoint without the rest is no empty copy: then this site forgot what it cosigned. */
static rn_result read_copy(struct rn_tlog_mirror *mirror, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer first = {0};
    if (!rn_tlog_folder_begun(&mirror->folder)) {
        rn_tlog_end_init(&mirror->end);
        return rn_ok();
    }
    rn_result result = rn_tlog_folder_first(&mirror->folder, &first, err);
    if (rn_is_ok(result)) {
        result = log_key(mirror->roster, rn_buffer_view(&first), &mirror->log, err);
    }
    if (!rn_is_ok(result)) {
        (void)rn_fail_context(err, result, "%s: put back its newest backup", mirror->folder.path);
        return (rn_result){RN_E_DATA};
    }
    return rn_tlog_folder_read(&mirror->folder, &mirror->log, &mirror->end, &mirror->note, err);
}

static rn_result open(struct rn_tlog_mirror *mirror, const char *state,
                      const struct rn_identity *identity, struct rn_error *err)
{
    mirror->secret = rn_tlog_key_derive(mirror->roster, mirror->place, identity);
    rn_tlog_key_public(mirror->roster, mirror->place, mirror->secret, &mirror->key);
    rn_note_key_write(&mirror->key, &mirror->key_text);
    rn_tlog_statement_sign(&mirror->key, identity, mirror->statement);
    RN_TRY(rn_tlog_folder_open(state, &mirror->folder, err));
    return read_copy(mirror, err);
}

rn_result rn_tlog_mirror_open(const char *state, const struct rn_roster *roster, uint32_t place,
                              const struct rn_identity *identity, struct rn_tlog_mirror **out,
                              struct rn_error *err)
{
    struct rn_tlog_mirror *mirror = rn_alloc(1, sizeof *mirror);
    mirror->roster = roster;
    mirror->place = place;
    const rn_result result = open(mirror, state, identity, err);
    if (!rn_is_ok(result)) {
        rn_tlog_mirror_free(mirror);
        return result;
    }
    *out = mirror;
    return result;
}

/* ---- An update ---- */

/* Files that are written only when the root is right. */
struct held {
    size_t count;
    struct {
        char path[RN_TLOG_PATH_MAX];
        struct rn_buffer bytes;
    } files[16 + 2 * RN_TLOG_UPDATE_ENTRIES_MAX / RN_TLOG_TILE_WIDTH / 2];
};

static void held_clear(struct held **held)
{
    for (size_t k = 0; k < (*held)->count; k++) {
        rn_buffer_clear(&(*held)->files[k].bytes);
    }
    rn_free(*held);
}

/* An entry has two bytes at least: an update fills at most entries_max / 2 / 256 bundles, as many
 * tiles, and what lies above them. */
static rn_result hold(void *context, const char *path, struct rn_view bytes, struct rn_error *err)
{
    (void)err;
    struct held *held = context;
    RN_BUG_IF(held->count == RN_ARRAY_LENGTH(held->files));
    RN_BUG_IF(!rn_text_format(held->files[held->count].path, RN_TLOG_PATH_MAX, "%s", path));
    rn_buffer_append(&held->files[held->count++].bytes, bytes.data, bytes.length);
    return rn_ok();
}

static rn_result extend(struct rn_tlog_end *end, struct rn_view entries, struct held *held,
                        struct rn_error *err)
{
    const struct rn_tlog_sink sink = {hold, held};
    struct rn_reader reader = rn_reader_of(entries);
    struct rn_view entry;
    while (rn_tlog_bundle_next(&reader, &entry)) {
        RN_TRY(rn_tlog_end_append(end, entry, &sink, err));
    }
    return rn_tlog_end_flush(end, &sink, err);
}

static rn_result forked(const struct rn_tlog_mirror *mirror, const struct rn_tlog_update *update,
                        struct rn_view bytes, struct rn_error *err)
{
    char name[64];
    struct rn_error unwritten = {0};
    RN_BUG_IF(!rn_text_format(name, sizeof name, "fork-%llu",
                              (unsigned long long)update->checkpoint.size));
    const bool kept = rn_is_ok(rn_tlog_folder_write(&mirror->folder, name, bytes, &unwritten));
    return rn_fail(
        err, RN_E_PEER_PROTOCOL,
        "the coordinator signed a log of %llu entries that does not follow from the %llu "
        "that it showed before and what it sent now: a fork, or its state was put back "
        "to an older copy. %s%s%s is what came, beside checkpoint. This site stops; tell "
        "the other members",
        (unsigned long long)update->checkpoint.size, (unsigned long long)mirror->end.size,
        mirror->folder.path, kept ? "/" : "", kept ? name : " (full?) does not hold");
}

/* Is it the log's word? The key is that of the copy's first entry, or of the one that would be. */
static rn_result authenticate(const struct rn_tlog_mirror *mirror,
                              const struct rn_tlog_update *update, struct rn_note_key *out_log,
                              struct rn_error *err)
{
    struct rn_note note;
    *out_log = mirror->log;
    if (mirror->end.size == 0) {
        struct rn_reader entries = rn_reader_of(update->entries);
        struct rn_view first;
        RN_ENSURE(update->from == 0 && rn_tlog_bundle_next(&entries, &first), err, RN_E_PEER_FORMAT,
                  "The log does not begin with its first entry.");
        RN_TRY(log_key(mirror->roster, first, out_log, err));
    }
    RN_TRY(rn_note_split(update->note, &note, err));
    RN_TRY(rn_note_verify(&note, out_log, NULL, err));
    RN_ENSURE(strcmp(update->checkpoint.origin, out_log->name) == 0, err, RN_E_PEER_AUTH,
              "The checkpoint is of another log.");
    return rn_ok();
}

/* A checkpoint that is not beyond this copy: of the same beginning, or a fork. */
static rn_result check_older(struct rn_tlog_mirror *mirror, const struct rn_tlog_update *update,
                             struct rn_view bytes, struct rn_error *err)
{
    RN_CLEANUP(rn_tlog_reader_clear) struct rn_tlog_reader reader;
    const struct rn_tlog_files files = rn_tlog_folder_files(&mirror->folder);
    struct rn_hash root;
    rn_tlog_reader_init(&reader, &files, mirror->end.size);
    const struct rn_merkle_source source = rn_tlog_reader_source(&reader);
    RN_TRY(rn_merkle_range(&source, 0, update->checkpoint.size, &root, err));
    return rn_hash_equal(&root, &update->checkpoint.root) ? rn_ok()
                                                          : forked(mirror, update, bytes, err);
}

static rn_result write_down(struct rn_tlog_mirror *mirror, const struct held *held,
                            const struct rn_tlog_update *update, uint64_t now_s,
                            struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    for (size_t k = 0; k < held->count; k++) {
        RN_TRY(rn_tlog_folder_write(&mirror->folder, held->files[k].path,
                                    rn_buffer_view(&held->files[k].bytes), err));
    }
    rn_note_checkpoint_write(&update->checkpoint, &text);
    rn_buffer_clear(&mirror->note);
    rn_buffer_append(&mirror->note, update->note.data, update->note.length);
    rn_note_sign(rn_buffer_view(&text), &mirror->key, mirror->secret, now_s, &mirror->note);
    return rn_tlog_folder_write(&mirror->folder, "checkpoint", rn_buffer_view(&mirror->note), err);
}

static rn_result continue_with(struct rn_tlog_mirror *mirror, const struct rn_tlog_update *update,
                               struct rn_view bytes, uint64_t now_s, struct rn_error *err)
{
    RN_CLEANUP(held_clear) struct held *held = rn_alloc(1, sizeof *held);
    struct rn_hash root;
    RN_TRY(extend(&mirror->end, update->entries, held, err));
    rn_tlog_end_root(&mirror->end, &root);
    return rn_hash_equal(&root, &update->checkpoint.root)
               ? write_down(mirror, held, update, now_s, err)
               : forked(mirror, update, bytes, err);
}

rn_result rn_tlog_mirror_take(struct rn_tlog_mirror *mirror, struct rn_view bytes, uint64_t now_s,
                              struct rn_error *err)
{
    struct rn_tlog_update update;
    RN_TRY(rn_tlog_update_read(bytes, &update, err));
    struct rn_note_key log;
    RN_TRY(authenticate(mirror, &update, &log, err));
    if (update.checkpoint.size <= mirror->end.size) {
        return check_older(mirror, &update, bytes, err);
    }
    if (update.from != mirror->end.size) {
        return rn_ok(); /* the report says from where */
    }
    const rn_result result = continue_with(mirror, &update, bytes, now_s, err);
    if (!rn_is_ok(result)) { /* as it is on the disk */
        struct rn_error ignored;
        rn_tlog_end_clear(&mirror->end);
        rn_buffer_clear(&mirror->note);
        RN_TRY(read_copy(mirror, &ignored));
        return result;
    }
    mirror->log = log;
    return result;
}

void rn_tlog_mirror_report(const struct rn_tlog_mirror *mirror, struct rn_buffer *out)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    struct rn_tlog_report report = {.size = mirror->end.size,
                                    .key = rn_buffer_view(&mirror->key_text)};
    struct rn_note note;
    memcpy(report.statement, mirror->statement, sizeof report.statement);
    if (mirror->end.size > 0 &&
        rn_is_ok(rn_note_split(rn_buffer_view(&mirror->note), &note, NULL)) &&
        rn_note_line_find(&note, &mirror->key, &line)) {
        report.line = rn_buffer_view(&line);
    }
    rn_tlog_report_write(&report, out);
}

rn_result rn_tlog_mirror_rounds(const struct rn_tlog_mirror *mirror,
                                const uint8_t plan_hash[static RN_HASH_BYTES],
                                struct rn_buffer *out, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bundle = {0};
    RN_CLEANUP(rn_tlog_reader_clear) struct rn_tlog_reader reader;
    const struct rn_tlog_files files = rn_tlog_folder_files(&mirror->folder);
    rn_tlog_reader_init(&reader, &files, mirror->end.size);
    for (uint64_t k = 0; k < mirror->end.size; k += RN_TLOG_TILE_WIDTH) {
        struct rn_view text;
        RN_TRY(rn_tlog_reader_entry(&reader, k, &bundle, &text, err));
        struct rn_reader entries = rn_reader_of(rn_buffer_view(&bundle));
        while (rn_tlog_bundle_next(&entries, &text)) {
            struct rn_tlog_entry entry;
            if (rn_is_ok(rn_tlog_entry_read(text, &entry, err)) && entry.kind == RN_TLOG_ROUND &&
                memcmp(entry.plan, plan_hash, RN_HASH_BYTES) == 0) {
                rn_tlog_bundle_write(text, out);
            }
        }
    }
    return rn_ok();
}
