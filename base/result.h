/* SPDX-License-Identifier: Apache-2.0
 *
 * The one result type of the whole program.
 *
 * A function that can fail returns an rn_result and, where a person needs to know more, fills a
 * struct rn_error with one sentence that names the file, line or field and says what to do.
 * Libraries never log and never exit.
 *
 * The class in the high bits says what the caller does next; it also fixes the gRPC status and the
 * exit code.
 */
#ifndef RN_BASE_RESULT_H
#define RN_BASE_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#define RN_MUST __attribute__((warn_unused_result))
#define RN_PRINTF(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))

/* What a failure means for the one who sees it. */
enum rn_class {
    RN_CLASS_OK = 0,    /* nothing failed */
    RN_CLASS_RETRY = 1, /* the environment is busy or away: try again later */
    RN_CLASS_PEER = 2,  /* this peer misbehaved: drop it, go on with the others */
    RN_CLASS_ROUND = 3, /* this round cannot be completed: abort it, keep the process */
    RN_CLASS_STOP = 4,  /* this process cannot go on until a person changes something */
};

#define RN_CODE(class_, number) (((uint32_t)(class_) << 16) | (uint32_t)(number))

enum rn_code {
    RN_OK = 0,

    RN_E_UNAVAILABLE = RN_CODE(RN_CLASS_RETRY, 1), /* peer or service not reachable */
    RN_E_TIMEOUT = RN_CODE(RN_CLASS_RETRY, 2),
    RN_E_BUSY = RN_CODE(RN_CLASS_RETRY, 3), /* lock held, queue full, address in use */

    RN_E_PEER_FORMAT = RN_CODE(RN_CLASS_PEER, 1),   /* malformed bytes */
    RN_E_PEER_AUTH = RN_CODE(RN_CLASS_PEER, 2),     /* signature, certificate or identity wrong */
    RN_E_PEER_PROTOCOL = RN_CODE(RN_CLASS_PEER, 3), /* well-formed, but not allowed now */
    RN_E_PEER_LIMIT = RN_CODE(RN_CLASS_PEER, 4),    /* a named limit exceeded */
    RN_E_PEER_REPLAY = RN_CODE(RN_CLASS_PEER, 5),   /* seen before */

    RN_E_ROUND_QUORUM = RN_CODE(RN_CLASS_ROUND, 1),  /* too few members left */
    RN_E_ROUND_ABORTED = RN_CODE(RN_CLASS_ROUND, 2), /* aborted by votes */
    RN_E_ROUND_SUM = RN_CODE(RN_CLASS_ROUND, 3),     /* the sum failed a check */
    RN_E_ROUND_SPENT =
        RN_CODE(RN_CLASS_ROUND, 4), /* this update was sent before (PROTOCOL.md, A9) */
    RN_E_ROUND_STALE = RN_CODE(RN_CLASS_ROUND, 5),   /* plan, adapter or model hash differs */
    RN_E_ROUND_NUMERIC = RN_CODE(RN_CLASS_ROUND, 6), /* NaN or infinity in an update */

    RN_E_USAGE = RN_CODE(RN_CLASS_STOP, 1),       /* wrong command line; exit 64 */
    RN_E_DATA = RN_CODE(RN_CLASS_STOP, 2),        /* a file's content is wrong; exit 65 */
    RN_E_NO_INPUT = RN_CODE(RN_CLASS_STOP, 3),    /* a file is missing or unreadable; exit 66 */
    RN_E_UNSUPPORTED = RN_CODE(RN_CLASS_STOP, 4), /* valid, but this build cannot do it; exit 69 */
    RN_E_INTERNAL = RN_CODE(RN_CLASS_STOP, 5),    /* a bug, reported instead of crashing; exit 70 */
    RN_E_SYSTEM = RN_CODE(RN_CLASS_STOP, 6),      /* the operating system refused; exit 71 */
    RN_E_IO = RN_CODE(RN_CLASS_STOP, 7),         /* reading or writing failed, disk full; exit 74 */
    RN_E_PERMISSION = RN_CODE(RN_CLASS_STOP, 8), /* not allowed; exit 77 */
    RN_E_CONFIG = RN_CODE(RN_CLASS_STOP, 9),     /* plan, policy or configuration wrong; exit 78 */
    RN_E_REFUSED = RN_CODE(RN_CLASS_STOP, 10),   /* the member's policy refuses; exit 79 */
    RN_E_IDENTITY = RN_CODE(RN_CLASS_STOP, 11),  /* own key or certificate unusable; exit 80 */
    RN_E_MEMORY = RN_CODE(RN_CLASS_STOP, 12),    /* does not fit; exit 81 */
    RN_E_INCOMPLETE = RN_CODE(RN_CLASS_STOP, 13), /* the job ended before its last round; exit 82 */
    RN_E_LEASE = RN_CODE(RN_CLASS_STOP, 14),      /* another process took the state over; exit 75 */
};

/* Must be looked at: every function that returns one carries RN_MUST. */
typedef struct rn_result {
    enum rn_code code;
} rn_result;

#define RN_ERROR_TEXT_MAX 512

/* One sentence for a person. Never holds text of a data record, a key, or bytes that a peer chose.
 */
struct rn_error {
    char text[RN_ERROR_TEXT_MAX];
};

static inline rn_result rn_ok(void)
{
    return (rn_result){RN_OK};
}
static inline bool rn_is_ok(rn_result result)
{
    return result.code == RN_OK;
}
static inline enum rn_class rn_class_of(rn_result result)
{
    return (enum rn_class)(result.code >> 16);
}

/* Writes the sentence into err (which may be NULL) and returns code as a result. */
rn_result rn_fail(struct rn_error *err, enum rn_code code, const char *format, ...) RN_PRINTF(3, 4);

/* Puts "context: " before the sentence already in err; returns result unchanged. */
rn_result rn_fail_context(struct rn_error *err, rn_result result, const char *format, ...)
    RN_PRINTF(3, 4);

/* Stable lower-case name, such as "peer-format"; used in logs, JSON and reason codes. Never NULL.
 */
const char *rn_code_name(enum rn_code code);
/* The code of such a name; false where none has it. */
RN_MUST bool rn_code_of_name(const char *name, enum rn_code *out);

/* Process exit code of a result: 0, or the sysexits-like number beside each code; 75 for every
 * RETRY, 76 for every PEER, 82 for every ROUND failure. */
int rn_exit_code(rn_result result);

#endif
