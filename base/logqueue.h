/* SPDX-License-Identifier: Apache-2.0
 *
 * The bounded queue between those who log and the thread that writes, one pair for each target. For
 * log.c alone. A thread starts with the first line (anew in a forked child); all functions may be
 * called from any thread.
 */
#ifndef RN_BASE_LOGQUEUE_H
#define RN_BASE_LOGQUEUE_H

#include "base/bytes.h"
#include "base/log.h"

enum rn_logqueue_target {
    RN_LOGQUEUE_STDERR,
    RN_LOGQUEUE_FILE,
};

/* Takes the line (left empty), or drops and counts it when there is no room. Returns how many were
 * dropped since a line was taken: to be said now. Never blocks. */
uint64_t rn_logqueue_put(struct rn_buffer *line, enum rn_logqueue_target target);
RN_MUST rn_result rn_logqueue_file(const char *path, struct rn_error *err);
bool rn_logqueue_flush(uint32_t wait_ms);

#endif
