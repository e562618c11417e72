/* SPDX-License-Identifier: Apache-2.0
 *
 * Files: whole reads with a limit, atomic durable writes, directories, exclusive locks, read-only
 * maps. Every error sentence names the path and the reason. Paths are at most RN_PATH_MAX - 1
 * bytes.
 */
#ifndef RN_BASE_FILE_H
#define RN_BASE_FILE_H

#include "base/bytes.h"

/* Reads the whole file into out (replacing its content). RN_E_NO_INPUT when it cannot be opened,
 * RN_E_DATA when it is larger than max bytes. */
RN_MUST rn_result rn_file_read(const char *path, size_t max, struct rn_buffer *out,
                               struct rn_error *err);

/* A private key must be its owner's alone: RN_E_PERMISSION with the remedy when group or others
 * have any access to the file, RN_E_NO_INPUT when it is not there. Before the file is read. */
RN_MUST rn_result rn_file_private_check(const char *path, struct rn_error *err);

/* Writes to a temporary file beside path, fsyncs, renames, fsyncs the directory: after a crash path
 * holds either the old bytes or all of the new ones. mode as in chmod (0600 for keys, 0644
 * otherwise). */
RN_MUST rn_result rn_file_write(const char *path, struct rn_view content, unsigned mode,
                                struct rn_error *err);

/* fsyncs the directory that holds path, so that a rename to path outlives a crash. */
RN_MUST rn_result rn_directory_sync_of(const char *path, struct rn_error *err);

/* Joins with one slash; RN_E_USAGE when the result is too long. */
RN_MUST rn_result rn_path_join(char out[static RN_PATH_MAX], const char *directory,
                               const char *name, struct rn_error *err);

/* mkdir -p with the mode for every directory it makes. */
RN_MUST rn_result rn_directory_make(const char *path, unsigned mode, struct rn_error *err);
bool rn_file_exists(const char *path);

/* An exclusive lock on a file, held until closed or the process ends. RN_E_BUSY when another
 * process holds it. */
RN_MUST rn_result rn_file_lock(const char *path, int *out_descriptor, struct rn_error *err);
void rn_file_unlock(int *descriptor);

/* A read-only private map of a whole file. */
struct rn_map {
    const uint8_t *data;
    size_t length;
};
RN_MUST rn_result rn_map_open(const char *path, struct rn_map *out, struct rn_error *err);
void rn_map_close(struct rn_map *map);

#endif
