/* SPDX-License-Identifier: Apache-2.0
 *
 * The Merkle hash over neighbours in one tile.
 */
#ifndef RN_POLICY_TILEHASH_H
#define RN_POLICY_TILEHASH_H

#include "crypto/sha256.h"

#include <stdint.h>

/* count: a power of two, 1 to 256. */
void rn_tilehash(const struct rn_hash *hashes, uint32_t count, struct rn_hash *out);

#endif
