/* SPDX-License-Identifier: Apache-2.0 */
#include "trainer/ground/checksum.h"

#include <string.h>

#define P1 0x9E3779B185EBCA87u
#define P2 0xC2B2AE3D27D4EB4Fu
#define P3 0x165667B19E3779F9u

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static uint64_t word_at(const uint8_t *at)
{
    uint64_t word = 0;
    memcpy(&word, at, sizeof(word));
    return word;
}

static uint64_t step(uint64_t lane, uint64_t word)
{
    return rotate(lane + word * P2, 31) * P1;
}

uint64_t rn_checksum(uint64_t seed, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    uint64_t lane[4] = {seed + P1 + P2, seed + P2, seed, seed - P1};
    size_t left = bytes;
    for (; left >= 32; left -= 32, at += 32) {
        for (int i = 0; i < 4; i++) {
            lane[i] = step(lane[i], word_at(at + 8 * i));
        }
    }
    uint64_t sum = bytes;
    for (int i = 0; i < 4; i++) {
        sum = (sum ^ step(0, lane[i])) * P1 + P3;
    }
    for (; left > 0; left--, at++) {
        sum = rotate(sum ^ (*at * P3), 11) * P1;
    }
    sum = (sum ^ sum >> 33) * P2;
    sum = (sum ^ sum >> 29) * P3;
    sum ^= sum >> 32;
    return sum == 0 ? 1 : sum;
}
