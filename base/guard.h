/* SPDX-License-Identifier: Apache-2.0
 *
 * The six guard macros of the house; no other macro may hide control flow.
 *
 *   RN_TRY(call)                        return its result at once if it failed
 *   RN_ENSURE(cond, err, code, ...)     hostile or wrong input: return a failure with a sentence
 *   RN_BUG_IF(cond)                     cannot happen: abort, always compiled in
 *   RN_CLEANUP(function)                run function(&variable) when the variable's scope ends
 *   RN_TAKE(pointer)                    hand ownership out: yields the pointer, leaves NULL behind
 *   RN_ARRAY_LENGTH(array)              element count of a true array
 */
#ifndef RN_BASE_GUARD_H
#define RN_BASE_GUARD_H

#include "base/result.h"

#include <stddef.h>

#define RN_TRY(call)                             \
    do {                                         \
        const rn_result rn_try_result_ = (call); \
        if (!rn_is_ok(rn_try_result_)) {         \
            return rn_try_result_;               \
        }                                        \
    } while (0)

#define RN_ENSURE(condition, err, code, ...)            \
    do {                                                \
        if (!(condition)) {                             \
            return rn_fail((err), (code), __VA_ARGS__); \
        }                                               \
    } while (0)

#define RN_BUG_IF(condition)                        \
    do {                                            \
        if (__builtin_expect(!!(condition), 0)) {   \
            rn_bug(__FILE__, __LINE__, #condition); \
        }                                           \
    } while (0)

#define RN_CLEANUP(function) __attribute__((cleanup(function)))

#define RN_TAKE(pointer)                                \
    (__extension__({                                    \
        __typeof__(pointer) rn_take_value_ = (pointer); \
        (pointer) = NULL;                               \
        rn_take_value_;                                 \
    }))

#define RN_ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Prints the place and the condition to stderr and aborts. */
_Noreturn void rn_bug(const char *file, int line, const char *condition);

#endif
