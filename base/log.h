/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of the main programs (libraries never log). One line per event to stderr, and to a file
 * if one was named, as JSON or as text. A log line is a disclosure, so fields come from a closed
 * list; a value is a number, a hash, or a text that the program (never a peer, never a data record)
 * chose. Texts are escaped.
 *
 * Writing never blocks: lines go through a bounded queue to a thread of the log's own, because a
 * reader of stderr that stands still must not stop a federation. Lines for which the queue has no
 * room are dropped; a line "log.dropped" counts them once lines flow again. What is queued when the
 * process exits is written then, for at most a second.
 */
#ifndef RN_BASE_LOG_H
#define RN_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/result.h"

enum rn_log_level { RN_LOG_DEBUG, RN_LOG_INFO, RN_LOG_WARN, RN_LOG_ERROR };

/* The closed list; extending it is a review question ("may this leave the machine?"). */
enum rn_log_field {
    RN_F_NONE = 0, /* ends a list */
    RN_F_ROUND,
    RN_F_ATTEMPT,
    RN_F_STAGE,
    RN_F_PHASE,
    RN_F_MEMBER, /* organisation name from the signed roster */
    RN_F_MEMBERS,
    RN_F_REASON, /* a stable reason code */
    RN_F_DETAIL, /* a sentence of struct rn_error */
    RN_F_BYTES,
    RN_F_MILLISECONDS,
    RN_F_ADDRESS,
    RN_F_PATH,
    RN_F_HASH,
    RN_F_COUNT,
    RN_F_LIMIT,
    RN_F_VERSION,
    RN_F_SETTING,
    RN_F_VALUE,
    RN_F_LAST_,
};

struct rn_log_item {
    enum rn_log_field field;
    const char *text; /* NULL: number counts */
    int64_t number;
};

#define RN_LOG_TEXT(field_, text_) ((struct rn_log_item){(field_), (text_), 0})
#define RN_LOG_NUMBER(field_, number_) ((struct rn_log_item){(field_), NULL, (int64_t)(number_)})

/* Lines that wait to be written. */
#define RN_LOG_QUEUE_LINES 4096
#define RN_LOG_QUEUE_BYTES ((size_t)1 << 20)
/* The file is moved to "PATH.old" above this and begun anew. */
#define RN_LOG_FILE_BYTES ((size_t)16 << 20)

/* Once in main, before threads start. program is a static text. Without it lines from `info` on go
 * to stderr as text, in the name of "rondo". */
void rn_log_setup(const char *program, enum rn_log_level least, bool json);

/* From now on lines from `least` on are appended to this file too (mode 0600). RN_E_IO when it
 * cannot be opened. */
RN_MUST rn_result rn_log_file(const char *path, enum rn_log_level least, bool json,
                              struct rn_error *err);

/* For tests: from now on rn_log_write returns when its line is out, however long that takes, so
 * that a process stands still where its log does. */
void rn_log_wait(bool wait);

/* Waits until what was written so far is out, at most so long. False: something is left. */
bool rn_log_flush(uint32_t wait_ms);

/* event is a static lower-case text such as "round.done". */
void rn_log_write(enum rn_log_level level, const char *event, const struct rn_log_item *items,
                  unsigned count);

#define rn_log(level, event, ...)                                                              \
    rn_log_write((level), (event), (struct rn_log_item[]){{RN_F_NONE, 0, 0}, ##__VA_ARGS__},   \
                 (unsigned)(sizeof((struct rn_log_item[]){{RN_F_NONE, 0, 0}, ##__VA_ARGS__}) / \
                            sizeof(struct rn_log_item)))

#endif
