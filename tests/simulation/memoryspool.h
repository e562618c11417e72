/* SPDX-License-Identifier: Apache-2.0
 *
 * A spool of uploads in memory (crypto/secagg/spool.h) that outlives the machine that uses it, as a
 * disk does.
 */
#ifndef RN_TESTS_MEMORYSPOOL_H
#define RN_TESTS_MEMORYSPOOL_H

#include "crypto/secagg/spool.h"

/* Most chunks of an upload. */
#define MEMORY_SPOOL_CHUNKS 128u

struct memory_spool {
    struct rn_sa_spool face;
    struct rn_buffer *places; /* [members][MEMORY_SPOOL_CHUNKS] */
    uint32_t members;
};

void memory_spool_init(struct memory_spool *spool, uint32_t members);
/* Everything that lies in it is lost. */
void memory_spool_forget(struct memory_spool *spool);
void memory_spool_clear(struct memory_spool *spool);

#endif
