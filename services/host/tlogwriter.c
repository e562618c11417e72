/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/tlogwriter.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "policy/tlog/tlogentry.h"
#include "services/host/tlogfolder.h"

struct rn_tlog_writer {
    struct rn_tlog_writer_config config;
    struct rn_tlog_folder folder;
    struct rn_rolekey *secret;
    struct rn_note_key key;
    struct rn_tlog_end end; /* may be ahead of what is published */
    uint64_t size;          /* published */
    bool cosigned_since;    /* cosignatures that the file lacks */
    bool keys_since;        /* witnesses that the policy lacks */
    uint64_t job_entries;
    struct rn_note_key *witnesses; /* by place; name "": not known yet */
    struct rn_buffer text;         /* of the newest checkpoint */
    struct rn_buffer own;          /* the log's line below it */
    struct rn_buffer *lines;       /* by place: cosignature of it, or empty */
    uint32_t cosigned;
};

void rn_tlog_writer_free(struct rn_tlog_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    for (uint32_t i = 0; i < writer->config.roster->count; i++) {
        rn_buffer_clear(&writer->lines[i]);
    }
    rn_buffer_clear(&writer->text);
    rn_buffer_clear(&writer->own);
    rn_tlog_end_clear(&writer->end);
    rn_rolekey_free(writer->secret);
    rn_free(writer->lines);
    rn_free(writer->witnesses);
    rn_free(writer);
}

uint64_t rn_tlog_writer_size(const struct rn_tlog_writer *writer)
{
    return writer->size;
}

uint32_t rn_tlog_writer_cosigned(const struct rn_tlog_writer *writer)
{
    return writer->cosigned;
}

/* ---- Checkpoints ---- */

/* Of fewer witnesses than the quorum there is no policy: nothing is published yet. */
static rn_result write_policy(const struct rn_tlog_writer *writer, struct rn_error *err)
{
    uint32_t witnesses = 0;
    for (uint32_t i = 0; i < writer->config.roster->count; i++) {
        witnesses += writer->witnesses[i].name[0] != '\0';
    }
    if (witnesses < writer->config.quorum) {
        return rn_ok();
    }
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    rn_tlog_policy_write(&writer->key, writer->witnesses, writer->config.roster->count,
                         writer->config.quorum, &text);
    return rn_tlog_folder_write(&writer->folder, "federation.policy", rn_buffer_view(&text), err);
}

static rn_result write_checkpoint(struct rn_tlog_writer *writer, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer note = {0};
    rn_buffer_append(&note, writer->text.data, writer->text.length);
    rn_buffer_u8(&note, '\n');
    rn_buffer_append(&note, writer->own.data, writer->own.length);
    for (uint32_t i = 0; i < writer->config.roster->count; i++) {
        rn_buffer_append(&note, writer->lines[i].data, writer->lines[i].length);
    }
    return rn_tlog_folder_write(&writer->folder, "checkpoint", rn_buffer_view(&note), err);
}

/* Text of the log at `size`, and the log's line. */
static void sign(const struct rn_tlog_writer *writer, uint64_t size, const struct rn_hash *root,
                 struct rn_buffer *out_text, struct rn_buffer *out_line)
{
    struct rn_note_checkpoint checkpoint = {.size = size, .root = *root};
    (void)rn_text_format(checkpoint.origin, sizeof checkpoint.origin, "%s", writer->key.name);
    rn_buffer_clear(out_text);
    rn_buffer_clear(out_line);
    rn_note_checkpoint_write(&checkpoint, out_text);
    rn_note_sign(rn_buffer_view(out_text), &writer->key, writer->secret, 0, out_line);
}

static void sign_end(struct rn_tlog_writer *writer)
{
    struct rn_hash root;
    rn_tlog_end_root(&writer->end, &root);
    sign(writer, writer->end.size, &root, &writer->text, &writer->own);
    for (uint32_t i = 0; i < writer->config.roster->count; i++) {
        rn_buffer_clear(&writer->lines[i]);
    }
    writer->cosigned = 0;
}

static rn_result append(struct rn_tlog_writer *writer, struct rn_view entry, struct rn_error *err)
{
    const struct rn_tlog_sink sink = rn_tlog_folder_sink(&writer->folder);
    return rn_tlog_end_append(&writer->end, entry, &sink, err);
}

/* Files, then the checkpoint that speaks of them. */
rn_result rn_tlog_writer_publish(struct rn_tlog_writer *writer, bool *out_grown,
                                 struct rn_error *err)
{
    const struct rn_tlog_sink sink = rn_tlog_folder_sink(&writer->folder);
    *out_grown = writer->size != writer->end.size;
    if (*out_grown) {
        RN_TRY(rn_tlog_end_flush(&writer->end, &sink, err));
        sign_end(writer);
    }
    if (*out_grown || writer->cosigned_since) {
        RN_TRY(write_checkpoint(writer, err));
    }
    if (writer->keys_since) {
        RN_TRY(write_policy(writer, err));
    }
    writer->size = writer->end.size;
    writer->cosigned_since = writer->keys_since = false;
    return rn_ok();
}

/* ---- Opening ---- */

static rn_result take_key(struct rn_tlog_writer *writer, const struct rn_tlog_entry *entry,
                          struct rn_error *err)
{
    const int place = rn_roster_find_name(writer->config.roster, entry->name);
    struct rn_note_key key;
    /* Of a member that is no longer in the roster, or came anew under its name: not one of its
     * witnesses. */
    if (place >= 0 &&
        rn_is_ok(rn_tlog_statement_verify(writer->config.roster, (uint32_t)place,
                                          rn_view_text(entry->key), entry->statement, &key, err))) {
        writer->witnesses[place] = key;
    }
    return rn_ok();
}

static rn_result take_entry(struct rn_tlog_writer *writer, struct rn_view text,
                            struct rn_error *err)
{
    struct rn_tlog_entry entry;
    const rn_result result = rn_tlog_entry_read(text, &entry, err);
    if (result.code == RN_E_UNSUPPORTED) {
        return rn_ok();
    }
    RN_TRY(result);
    if (entry.kind == RN_TLOG_WITNESS) {
        return take_key(writer, &entry, err);
    }
    writer->job_entries += entry.kind != RN_TLOG_LOG &&
                           memcmp(entry.plan, writer->config.plan_hash, RN_HASH_BYTES) == 0;
    return rn_ok();
}

static rn_result take_entries(struct rn_tlog_writer *writer, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bundle = {0};
    RN_CLEANUP(rn_tlog_reader_clear) struct rn_tlog_reader reader;
    const struct rn_tlog_files files = rn_tlog_folder_files(&writer->folder);
    rn_tlog_reader_init(&reader, &files, writer->end.size);
    for (uint64_t k = 0; k < writer->end.size; k += RN_TLOG_TILE_WIDTH) {
        struct rn_view entry;
        RN_TRY(rn_tlog_reader_entry(&reader, k, &bundle, &entry, err));
        struct rn_reader entries = rn_reader_of(rn_buffer_view(&bundle));
        while (rn_tlog_bundle_next(&entries, &entry)) {
            RN_TRY(take_entry(writer, entry, err));
        }
    }
    return rn_ok();
}

static rn_result begin(struct rn_tlog_writer *writer, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer key = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    struct rn_tlog_entry entry = {.kind = RN_TLOG_LOG};
    rn_note_key_write(&writer->key, &key);
    RN_BUG_IF(
        !rn_text_format(entry.key, sizeof entry.key, "%s", rn_buffer_text(&key)) ||
        !rn_text_format(entry.name, sizeof entry.name, "%s", writer->config.roster->federation));
    rn_tlog_statement_sign(&writer->key, writer->config.identity, entry.statement);
    rn_tlog_entry_write(&entry, &text);
    RN_TRY(append(writer, rn_buffer_view(&text), err));
    bool grown = false;
    return rn_tlog_writer_publish(writer, &grown, err);
}

/* The cosignatures that are below the newest checkpoint. */
static void take_lines(struct rn_tlog_writer *writer, struct rn_view bytes)
{
    struct rn_note note;
    if (!rn_is_ok(rn_note_split(bytes, &note, NULL))) {
        return;
    }
    for (uint32_t i = 0; i < writer->config.roster->count; i++) {
        if (writer->witnesses[i].name[0] != '\0' &&
            rn_note_line_find(&note, &writer->witnesses[i], &writer->lines[i])) {
            writer->cosigned++;
        }
    }
}

static rn_result open(struct rn_tlog_writer *writer, struct rn_error *err)
{
    const struct rn_tlog_writer_config *config = &writer->config;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer note = {0};
    writer->secret = rn_tlog_key_derive(config->roster, RN_TLOG_COORDINATOR, config->identity);
    rn_tlog_key_public(config->roster, RN_TLOG_COORDINATOR, writer->secret, &writer->key);
    RN_TRY(rn_tlog_folder_open(config->state, &writer->folder, err));
    RN_TRY(rn_tlog_folder_read(&writer->folder, &writer->key, &writer->end, &note, err));
    if (writer->end.size == 0) {
        RN_TRY(begin(writer, err));
    } else {
        RN_TRY(take_entries(writer, err));
        writer->size = writer->end.size;
        sign_end(writer);
        take_lines(writer, rn_buffer_view(&note));
    }
    return write_policy(writer, err);
}

rn_result rn_tlog_writer_open(const struct rn_tlog_writer_config *config,
                              struct rn_tlog_writer **out, struct rn_error *err)
{
    struct rn_tlog_writer *writer = rn_alloc(1, sizeof *writer);
    writer->config = *config;
    writer->witnesses = rn_alloc(config->roster->count, sizeof *writer->witnesses);
    writer->lines = rn_alloc(config->roster->count, sizeof *writer->lines);
    const rn_result result = open(writer, err);
    if (!rn_is_ok(result)) {
        rn_tlog_writer_free(writer);
        return result;
    }
    *out = writer;
    return result;
}

/* ---- Entries ---- */

rn_result rn_tlog_writer_add(struct rn_tlog_writer *writer, uint64_t number, struct rn_view entry,
                             struct rn_error *err)
{
    RN_ENSURE(number <= writer->job_entries, err, RN_E_DATA,
              "%s lacks entries that this job's journal has: it was replaced by another copy. Put "
              "back the newest one",
              writer->folder.path);
    if (number < writer->job_entries) {
        return rn_ok();
    }
    RN_TRY(append(writer, entry, err));
    writer->job_entries++;
    return rn_ok();
}

/* ---- Members ---- */

static rn_result add_witness(struct rn_tlog_writer *writer, uint32_t place,
                             const struct rn_tlog_report *report, const struct rn_note_key *key,
                             struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    struct rn_tlog_entry entry = {.kind = RN_TLOG_WITNESS};
    if (writer->witnesses[place].name[0] != '\0') {
        return rn_ok(); /* derived from its identity: it has no other */
    }
    RN_BUG_IF(!rn_text_format(entry.key, sizeof entry.key, "%.*s", (int)report->key.length,
                              (const char *)report->key.data) ||
              !rn_text_format(entry.name, sizeof entry.name, "%s",
                              writer->config.roster->members[place].name));
    memcpy(entry.statement, report->statement, sizeof entry.statement);
    rn_tlog_entry_write(&entry, &text);
    writer->witnesses[place] = *key;
    writer->keys_since = true;
    return append(writer, rn_buffer_view(&text), err);
}

/* One line and no other: the note is our text and that line. */
static bool is_one_line(struct rn_view line)
{
    return line.length > 0 && memchr(line.data, '\n', line.length) == line.data + line.length - 1;
}

/* Nothing of what the member wrote is kept but the line of its signature over our text. */
static rn_result cosign(struct rn_tlog_writer *writer, uint32_t place,
                        const struct rn_tlog_report *report, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    struct rn_note note;
    const bool had = writer->lines[place].length > 0;
    if (report->line.length == 0 || report->size != writer->size) {
        return rn_ok();
    }
    RN_ENSURE(is_one_line(report->line), err, RN_E_PEER_FORMAT, "a cosignature is one line");
    rn_buffer_append(&bytes, writer->text.data, writer->text.length);
    rn_buffer_u8(&bytes, '\n');
    rn_buffer_append(&bytes, report->line.data, report->line.length);
    RN_TRY(rn_note_split(rn_buffer_view(&bytes), &note, err));
    RN_TRY(rn_note_verify(&note, &writer->witnesses[place], NULL, err));
    rn_buffer_clear(&writer->lines[place]);
    RN_BUG_IF(!rn_note_line_find(&note, &writer->witnesses[place], &writer->lines[place]));
    writer->cosigned += !had;
    writer->cosigned_since = true;
    return rn_ok();
}

rn_result rn_tlog_writer_report(struct rn_tlog_writer *writer, uint32_t place, struct rn_view bytes,
                                struct rn_error *err)
{
    struct rn_tlog_report report;
    struct rn_note_key key;
    RN_BUG_IF(place >= writer->config.roster->count);
    RN_TRY(rn_tlog_report_read(bytes, &report, err));
    RN_TRY(rn_tlog_statement_verify(writer->config.roster, place, report.key, report.statement,
                                    &key, err));
    RN_TRY(add_witness(writer, place, &report, &key, err));
    return cosign(writer, place, &report, err);
}

/* The rest of a bundle, as far as it fits; false when it did not. */
static bool take_bundle(struct rn_reader *entries, struct rn_buffer *out, uint64_t *to)
{
    struct rn_view entry;
    while (rn_tlog_bundle_next(entries, &entry)) {
        if (out->length + 2 + entry.length > RN_TLOG_UPDATE_ENTRIES_MAX) {
            return false;
        }
        rn_tlog_bundle_write(entry, out);
        ++*to;
    }
    return true;
}

/* Entries from `from` on that one update holds, to *out_to. */
static rn_result gather(const struct rn_tlog_writer *writer, uint64_t from, struct rn_buffer *out,
                        uint64_t *out_to, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bundle = {0};
    RN_CLEANUP(rn_tlog_reader_clear) struct rn_tlog_reader reader;
    const struct rn_tlog_files files = rn_tlog_folder_files(&writer->folder);
    bool room = true;
    rn_tlog_reader_init(&reader, &files, writer->size);
    for (*out_to = from; room && *out_to < writer->size;) {
        struct rn_view entry;
        RN_TRY(rn_tlog_reader_entry(&reader, *out_to, &bundle, &entry, err));
        struct rn_reader entries = rn_reader_of(rn_buffer_view(&bundle));
        entries.position = (size_t)(entry.data - bundle.data) - 2; /* its length goes before it */
        room = take_bundle(&entries, out, out_to);
    }
    return rn_ok();
}

rn_result rn_tlog_writer_update(struct rn_tlog_writer *writer, uint64_t from, struct rn_buffer *out,
                                struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer entries = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer note = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    RN_CLEANUP(rn_tlog_reader_clear) struct rn_tlog_reader reader;
    struct rn_hash root;
    uint64_t to = from;
    const struct rn_tlog_files files = rn_tlog_folder_files(&writer->folder);
    RN_ENSURE(from <= writer->size, err, RN_E_USAGE, "the log has no entry %llu",
              (unsigned long long)from);
    RN_TRY(gather(writer, from, &entries, &to, err));
    rn_tlog_reader_init(&reader, &files, writer->size);
    const struct rn_merkle_source source = rn_tlog_reader_source(&reader);
    RN_TRY(rn_merkle_range(&source, 0, to, &root, err));
    sign(writer, to, &root, &note, &line);
    rn_buffer_u8(&note, '\n');
    rn_buffer_append(&note, line.data, line.length);
    const struct rn_tlog_update update = {
        .from = from, .note = rn_buffer_view(&note), .entries = rn_buffer_view(&entries)};
    rn_tlog_update_write(&update, out);
    return rn_ok();
}
