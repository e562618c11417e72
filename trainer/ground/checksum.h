/* SPDX-License-Identifier: Apache-2.0
 *
 * A fast 64-bit checksum: finds damage and mistakes, resists no attacker.
 */
#ifndef RN_TRAINER_CHECKSUM_H
#define RN_TRAINER_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Four lanes of multiply and rotate over 8-byte words, mixed at the end (the construction of
 * xxHash64, with its constants); seed chains calls. Never 0. */
uint64_t rn_checksum(uint64_t seed, const void *data, size_t bytes);

#endif
