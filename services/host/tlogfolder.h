/* SPDX-License-Identifier: Apache-2.0
 *
 * A federation's log as a folder, state/log at every site: the files of policy/tlog/tlog.h, and
 *
 *     checkpoint           the newest one; at the coordinator with the members' cosignatures, at a
 *                          member with its own
 *     federation.policy    which keys vouch for it (C2SP tlog-policy)
 *
 * A checkpoint is written when all files that it speaks of are on the disk.
 */
#ifndef RN_SERVICES_HOST_TLOGFOLDER_H
#define RN_SERVICES_HOST_TLOGFOLDER_H

#include "base/file.h"
#include "policy/tlog/note.h"
#include "policy/tlog/tlog.h"

#define RN_TLOG_FOLDER "log" /* below a site's state */

struct rn_tlog_folder {
    char path[RN_PATH_MAX];
};

/* Makes the folder where there is none. */
RN_MUST rn_result rn_tlog_folder_open(const char *state, struct rn_tlog_folder *out,
                                      struct rn_error *err);
/* Both borrow the folder. */
struct rn_tlog_files rn_tlog_folder_files(const struct rn_tlog_folder *folder);
struct rn_tlog_sink rn_tlog_folder_sink(const struct rn_tlog_folder *folder);
/* Durably, in the place of what is there. */
RN_MUST rn_result rn_tlog_folder_write(const struct rn_tlog_folder *folder, const char *name,
                                       struct rn_view bytes, struct rn_error *err);

/* Where the log stands: its newest checkpoint, with the signature of `key` on it, and its end,
 * whose root is the checkpoint's. Of no checkpoint: an empty end, out_note empty. RN_E_DATA with
 * the remedy where the folder does not fit together. The owner clears end and note. */
RN_MUST rn_result rn_tlog_folder_read(const struct rn_tlog_folder *folder,
                                      const struct rn_note_key *key, struct rn_tlog_end *out_end,
                                      struct rn_buffer *out_note, struct rn_error *err);
/* Is there a checkpoint? */
bool rn_tlog_folder_begun(const struct rn_tlog_folder *folder);
/* The folder's first entry as text, for whoever does not have the key yet; RN_E_NO_INPUT where
 * there is none. */
RN_MUST rn_result rn_tlog_folder_first(const struct rn_tlog_folder *folder, struct rn_buffer *out,
                                       struct rn_error *err);

#endif
