/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the chunks of unfinished uploads lie when the memory for them is used up: a place that the
 * service gives (services/host/uploadspool.h keeps a file). They are masked, so they are no secret;
 * what comes back is held against the hash of what was put, so a damaged place costs a repetition
 * and never a sum.
 */
#ifndef RN_CRYPTO_SECAGG_SPOOL_H
#define RN_CRYPTO_SECAGG_SPOOL_H

#include "base/bytes.h"

struct rn_sa_spool {
    void *context;
    /* Keeps the bytes under (member, chunk), in place of earlier ones. A failure (a full disk)
     * makes the chunk be asked for again later. */
    rn_result (*put)(void *context, uint32_t member, uint32_t chunk, struct rn_view bytes,
                     struct rn_error *err);
    /* Appends what was put to out. */
    rn_result (*get)(void *context, uint32_t member, uint32_t chunk, struct rn_buffer *out,
                     struct rn_error *err);
    /* Forgets all chunks of the member. */
    void (*drop)(void *context, uint32_t member);
};

#endif
