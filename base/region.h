/* SPDX-License-Identifier: Apache-2.0
 *
 * A large writable area of which only the touched pages exist: anonymous memory, or a file mapped
 * and shared with its content on disk. Not for secrets.
 */
#ifndef RN_BASE_REGION_H
#define RN_BASE_REGION_H

#include "base/result.h"

#include <stddef.h>
#include <stdint.h>

struct rn_region {
    uint8_t *data;  /* NULL = not open */
    size_t length;  /* addresses reserved */
    size_t ready;   /* bytes from the start that may be touched */
    int descriptor; /* of the file; -1 = anonymous */
};

/* length zero bytes, all ready. RN_E_MEMORY when the system does not give the addresses. */
RN_MUST rn_result rn_region_anonymous(size_t length, struct rn_region *out, struct rn_error *err);

/* Maps a file of this user alone (made with mode 0600, set to it otherwise) and holds it locked
 * until close: RN_E_BUSY when another process has it, RN_E_IO for a link or anything that is no
 * plain file. ready = what the file holds, at most length. */
RN_MUST rn_result rn_region_file(const char *path, size_t length, struct rn_region *out,
                                 struct rn_error *err);

/* Makes bytes 0 .. wanted-1 ready, taking the disk space now; false when it is not there. */
bool rn_region_extend(struct rn_region *region, size_t wanted);

/* Drops a file's content: then nothing is ready. False when the system refuses. */
bool rn_region_truncate(struct rn_region *region);

/* Accepts one that is not open. */
void rn_region_close(struct rn_region *region);

#endif
