/* SPDX-License-Identifier: Apache-2.0
 *
 * Where uploads lie until their sum is receipted: whole Chunk messages, in a place that the service
 * gives (services/host/uploadspool.h keeps a file). They are masked, so they are no secret; what
 * comes back is held against the hash that its member signed, so a damaged place costs a repetition
 * and never a sum. A place that outlives the process lets a restarted coordinator go on.
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
    /* Appends the length bytes that were put, or whatever is there; a failure when there are fewer. */
    rn_result (*get)(void *context, uint32_t member, uint32_t chunk, size_t length,
                     struct rn_buffer *out, struct rn_error *err);
    /* Forgets all chunks of the member. */
    void (*drop)(void *context, uint32_t member);
};

#endif
