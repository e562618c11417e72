/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of the main programs (libraries never log). One line per event to standard error, as JSON
 * or as text. A log line is a disclosure, so fields come from a closed list; a value is a number, a
 * hash, or a text that the program (never a peer, never a data record) chose. Texts are escaped.
 */
#ifndef RN_BASE_LOG_H
#define RN_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

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

/* Once in main, before threads start. program is a static text. */
void rn_log_setup(const char *program, enum rn_log_level least, bool json);

/* Lines go to this descriptor from now on, instead of standard error; it stays the caller's. */
void rn_log_to(int descriptor);

/* event is a static lower-case text such as "round.done". */
void rn_log_write(enum rn_log_level level, const char *event, const struct rn_log_item *items,
                  unsigned count);

#define rn_log(level, event, ...)                                                              \
    rn_log_write((level), (event), (struct rn_log_item[]){{RN_F_NONE, 0, 0}, ##__VA_ARGS__},   \
                 (unsigned)(sizeof((struct rn_log_item[]){{RN_F_NONE, 0, 0}, ##__VA_ARGS__}) / \
                            sizeof(struct rn_log_item)))

#endif
