/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/tlogfolder.h"

#include <string.h>

#include "base/guard.h"

#define CHECKPOINT "checkpoint"

rn_result rn_tlog_folder_open(const char *state, struct rn_tlog_folder *out, struct rn_error *err)
{
    RN_TRY(rn_path_join(out->path, state, RN_TLOG_FOLDER, err));
    return rn_directory_make(out->path, 0755, err);
}

static rn_result read_file(void *context, const char *path, struct rn_buffer *out,
                           struct rn_error *err)
{
    const struct rn_tlog_folder *folder = context;
    char whole[RN_PATH_MAX];
    RN_TRY(rn_path_join(whole, folder->path, path, err));
    return rn_file_read(whole, out->max, out, err);
}

struct rn_tlog_files rn_tlog_folder_files(const struct rn_tlog_folder *folder)
{
    return (struct rn_tlog_files){read_file, (void *)(uintptr_t)folder};
}

rn_result rn_tlog_folder_write(const struct rn_tlog_folder *folder, const char *name,
                               struct rn_view bytes, struct rn_error *err)
{
    char whole[RN_PATH_MAX];
    char parent[RN_PATH_MAX];
    RN_TRY(rn_path_join(whole, folder->path, name, err));
    RN_BUG_IF(!rn_text_format(parent, sizeof parent, "%s", whole));
    *strrchr(parent, '/') = '\0';
    RN_TRY(rn_directory_make(parent, 0755, err));
    return rn_file_write(whole, bytes, 0644, err);
}

static rn_result write_file(void *context, const char *path, struct rn_view bytes,
                            struct rn_error *err)
{
    return rn_tlog_folder_write(context, path, bytes, err);
}

struct rn_tlog_sink rn_tlog_folder_sink(const struct rn_tlog_folder *folder)
{
    return (struct rn_tlog_sink){write_file, (void *)(uintptr_t)folder};
}

static rn_result damaged(const struct rn_tlog_folder *folder, rn_result result,
                         struct rn_error *err)
{
    if (rn_is_ok(result)) {
        return result;
    }
    (void)rn_fail_context(err, result,
                          "%s is not a log that was written whole; put back its newest backup, or "
                          "the same folder of another site",
                          folder->path);
    return (rn_result){RN_E_DATA};
}

static rn_result end_read(const struct rn_tlog_folder *folder, const struct rn_note_key *key,
                          struct rn_view bytes, struct rn_tlog_end *out_end, struct rn_error *err)
{
    struct rn_note note;
    struct rn_note_checkpoint checkpoint;
    struct rn_hash root;
    const struct rn_tlog_files files = rn_tlog_folder_files(folder);
    RN_TRY(rn_note_split(bytes, &note, err));
    RN_TRY(rn_note_verify(&note, key, NULL, err));
    RN_TRY(rn_note_checkpoint_read(note.text, &checkpoint, err));
    RN_TRY(rn_tlog_end_read(&files, checkpoint.size, out_end, err));
    rn_tlog_end_root(out_end, &root);
    if (!rn_hash_equal(&root, &checkpoint.root)) {
        rn_tlog_end_clear(out_end);
        return rn_fail(err, RN_E_DATA, "the checkpoint is not that of the files");
    }
    return rn_ok();
}

rn_result rn_tlog_folder_read(const struct rn_tlog_folder *folder, const struct rn_note_key *key,
                              struct rn_tlog_end *out_end, struct rn_buffer *out_note,
                              struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(rn_path_join(path, folder->path, CHECKPOINT, err));
    rn_buffer_clear(out_note);
    if (!rn_file_exists(path)) {
        rn_tlog_end_init(out_end);
        return rn_ok();
    }
    RN_TRY(rn_file_read(path, RN_NOTE_BYTES_MAX, out_note, err));
    return damaged(folder, end_read(folder, key, rn_buffer_view(out_note), out_end, err), err);
}

bool rn_tlog_folder_begun(const struct rn_tlog_folder *folder)
{
    char path[RN_PATH_MAX];
    return rn_is_ok(rn_path_join(path, folder->path, CHECKPOINT, NULL)) && rn_file_exists(path);
}

rn_result rn_tlog_folder_first(const struct rn_tlog_folder *folder, struct rn_buffer *out,
                               struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bundle = {0};
    char path[RN_PATH_MAX];
    struct rn_note note;
    struct rn_note_checkpoint checkpoint;
    struct rn_tlog_reader reader;
    struct rn_view entry;
    const struct rn_tlog_files files = rn_tlog_folder_files(folder);
    RN_TRY(rn_path_join(path, folder->path, CHECKPOINT, err));
    RN_TRY(rn_file_read(path, RN_NOTE_BYTES_MAX, &bytes, err));
    RN_TRY(rn_note_split(rn_buffer_view(&bytes), &note, err));
    RN_TRY(rn_note_checkpoint_read(note.text, &checkpoint, err));
    rn_tlog_reader_init(&reader, &files, checkpoint.size);
    RN_TRY(rn_tlog_reader_entry(&reader, 0, &bundle, &entry, err));
    rn_buffer_append(out, entry.data, entry.length);
    return rn_ok();
}
