/* SPDX-License-Identifier: Apache-2.0
 *
 * One copy of a privacy ledger on disk (siteprivacy.h): whole lines, and at its end maybe one that
 * a crash left unfinished. Lines are appended in place; the file is never written anew.
 *
 * Unfinished is what has no line end, and a last line with a zero byte: what file systems show of a
 * block that was never written. Neither was durable when its writer went on.
 */
#ifndef RN_SERVICES_HOST_PRIVACYCOPY_H
#define RN_SERVICES_HOST_PRIVACYCOPY_H

#include "base/file.h"
#include "policy/ledger/privacyledger.h"

struct rn_privacycopy {
    char path[RN_PATH_MAX];
    int descriptor; /* -1: none */
    uint64_t size;  /* of the file */
    uint64_t whole; /* bytes of its whole lines */
};

/* Opens without reading; a missing file is made where write asks for it, and else RN_E_NO_INPUT.
 * out->descriptor is -1 after a failure. */
RN_MUST rn_result rn_privacycopy_open(const char *path, bool write, struct rn_privacycopy *out,
                                      struct rn_error *err);
void rn_privacycopy_close(struct rn_privacycopy *copy);

/* Replays the first `whole` bytes. */
RN_MUST rn_result rn_privacycopy_replay(const struct rn_privacycopy *copy,
                                        enum rn_privacy_signatures signatures,
                                        struct rn_privacy_ledger *ledger, struct rn_error *err);
/* The first `length` bytes of both are the same? RN_E_DATA when not. */
RN_MUST rn_result rn_privacycopy_compare(const struct rn_privacycopy *a,
                                         const struct rn_privacycopy *b, uint64_t length,
                                         struct rn_error *err);
/* Cuts off what is unfinished and appends what `from` has more; durable with its name. */
RN_MUST rn_result rn_privacycopy_bring_up(struct rn_privacycopy *copy,
                                          const struct rn_privacycopy *from, struct rn_error *err);
/* Appends bytes after the whole lines; durable. After a failure the copy is opened again before its
 * next use. */
RN_MUST rn_result rn_privacycopy_append(struct rn_privacycopy *copy, struct rn_view bytes,
                                        struct rn_error *err);
/* The name itself is durable. */
RN_MUST rn_result rn_privacycopy_sync_name(const struct rn_privacycopy *copy, struct rn_error *err);

#endif
