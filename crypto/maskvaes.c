/* SPDX-License-Identifier: Apache-2.0
 *
 * Eight 256-bit registers hold the 16 blocks of a group through all rounds; every round key is
 * loaded once for a group, and the key stream never goes through memory.
 */
#include "crypto/maskvaes.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define VAES __attribute__((target("avx2,aes,vaes")))
#define INLINE VAES static inline __attribute__((always_inline))
#define PAIRS 8 /* registers of two blocks in a group */
#define ROUNDS 14

bool rn_mask_vaes_here(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("aes") &&
           __builtin_cpu_supports("vaes");
}

/* word[i] ^= word[i-1] ^ ... ^ word[0]: the chain of the key expansion (FIPS 197, 5.2). */
INLINE __m128i chain(__m128i words)
{
    words = _mm_xor_si128(words, _mm_slli_si128(words, 4));
    return _mm_xor_si128(words, _mm_slli_si128(words, 8));
}

/* An even round key: RotWord, SubWord and the round constant of the word before it. */
#define EVEN_KEY(before, other, constant) \
    _mm_xor_si128(chain(before),          \
                  _mm_shuffle_epi32(_mm_aeskeygenassist_si128(other, constant), 0xff))
/* An odd one: SubWord alone. */
#define ODD_KEY(before, other) \
    _mm_xor_si128(chain(before), _mm_shuffle_epi32(_mm_aeskeygenassist_si128(other, 0), 0xaa))

VAES void rn_mask_vaes_schedule(const struct rn_secret32 *key, struct rn_mask_schedule *out)
{
    __m128i round[ROUNDS + 1];
    round[0] = _mm_loadu_si128((const __m128i *)key->bytes);
    round[1] = _mm_loadu_si128((const __m128i *)(key->bytes + 16));
    round[2] = EVEN_KEY(round[0], round[1], 0x01);
    round[3] = ODD_KEY(round[1], round[2]);
    round[4] = EVEN_KEY(round[2], round[3], 0x02);
    round[5] = ODD_KEY(round[3], round[4]);
    round[6] = EVEN_KEY(round[4], round[5], 0x04);
    round[7] = ODD_KEY(round[5], round[6]);
    round[8] = EVEN_KEY(round[6], round[7], 0x08);
    round[9] = ODD_KEY(round[7], round[8]);
    round[10] = EVEN_KEY(round[8], round[9], 0x10);
    round[11] = ODD_KEY(round[9], round[10]);
    round[12] = EVEN_KEY(round[10], round[11], 0x20);
    round[13] = ODD_KEY(round[11], round[12]);
    round[14] = EVEN_KEY(round[12], round[13], 0x40);
    for (unsigned r = 0; r <= ROUNDS; r++) {
        _mm_storeu_si128((__m128i *)out->bytes[r], round[r]);
    }
    rn_secret_wipe(round, sizeof(round));
}

INLINE __m256i round_key(const struct rn_mask_schedule *schedule, unsigned round)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)schedule->bytes[round]));
}

/* The counter is the last four bytes of a block, most significant first. */
INLINE void group_of(const struct rn_mask_schedule *schedule, uint32_t block, __m256i state[PAIRS])
{
    const __m256i swap = _mm256_set_epi8(12, 13, 14, 15, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 12,
                                         13, 14, 15, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m256i two = _mm256_set_epi32(2, 0, 0, 0, 2, 0, 0, 0);
    const __m256i first = round_key(schedule, 0);
    __m256i counter = _mm256_set_epi32((int)(block + 1), 0, 0, 0, (int)block, 0, 0, 0);
#pragma GCC unroll 8
    for (unsigned p = 0; p < PAIRS; p++) {
        state[p] = _mm256_xor_si256(_mm256_shuffle_epi8(counter, swap), first);
        counter = _mm256_add_epi32(counter, two);
    }
#pragma GCC unroll 14
    for (unsigned r = 1; r < ROUNDS; r++) {
        const __m256i key = round_key(schedule, r);
#pragma GCC unroll 8
        for (unsigned p = 0; p < PAIRS; p++) {
            state[p] = _mm256_aesenc_epi128(state[p], key);
        }
    }
    const __m256i last = round_key(schedule, ROUNDS);
#pragma GCC unroll 8
    for (unsigned p = 0; p < PAIRS; p++) {
        state[p] = _mm256_aesenclast_epi128(state[p], last);
    }
}

VAES void rn_mask_vaes_expand(const struct rn_mask_schedule *schedule, uint32_t block,
                              uint8_t out[static RN_MASK_GROUP_BYTES])
{
    __m256i state[PAIRS];
    group_of(schedule, block, state);
    for (unsigned p = 0; p < PAIRS; p++) {
        _mm256_storeu_si256((__m256i *)(out + sizeof(__m256i) * p), state[p]);
    }
}

INLINE __m256i combined(__m256i lanes, __m256i mask, unsigned width, int sign)
{
    if (width == 4) {
        return sign > 0 ? _mm256_add_epi32(lanes, mask) : _mm256_sub_epi32(lanes, mask);
    }
    return sign > 0 ? _mm256_add_epi64(lanes, mask) : _mm256_sub_epi64(lanes, mask);
}

/* width and sign are constants where this is called, so that each call becomes a loop of its own.
 */
INLINE void add_groups(const struct rn_mask_schedule *schedule, uint32_t block, void *lanes,
                       size_t groups, unsigned width, int sign)
{
    __m256i *to = lanes;
    for (size_t g = 0; g < groups; g++) {
        __m256i state[PAIRS];
        group_of(schedule, block, state);
#pragma GCC unroll 8
        for (unsigned p = 0; p < PAIRS; p++) {
            _mm256_storeu_si256(to + p,
                                combined(_mm256_loadu_si256(to + p), state[p], width, sign));
        }
        to += PAIRS;
        block += RN_MASK_GROUP_BLOCKS;
    }
}

VAES void rn_mask_vaes_add(const struct rn_mask_schedule *schedule, uint32_t block, void *lanes,
                           size_t groups, unsigned width, int sign)
{
    RN_BUG_IF((width != 4 && width != 8) || (sign != 1 && sign != -1));
    if (width == 4 && sign > 0) {
        add_groups(schedule, block, lanes, groups, 4, 1);
    } else if (width == 4) {
        add_groups(schedule, block, lanes, groups, 4, -1);
    } else if (sign > 0) {
        add_groups(schedule, block, lanes, groups, 8, 1);
    } else {
        add_groups(schedule, block, lanes, groups, 8, -1);
    }
}

#else

bool rn_mask_vaes_here(void)
{
    return false;
}

void rn_mask_vaes_schedule(const struct rn_secret32 *key, struct rn_mask_schedule *out)
{
    (void)key;
    (void)out;
    RN_BUG_IF(true);
}

void rn_mask_vaes_expand(const struct rn_mask_schedule *schedule, uint32_t block,
                         uint8_t out[static RN_MASK_GROUP_BYTES])
{
    (void)schedule;
    (void)block;
    (void)out;
    RN_BUG_IF(true);
}

void rn_mask_vaes_add(const struct rn_mask_schedule *schedule, uint32_t block, void *lanes,
                      size_t groups, unsigned width, int sign)
{
    (void)schedule;
    (void)block;
    (void)lanes;
    (void)groups;
    (void)width;
    (void)sign;
    RN_BUG_IF(true);
}

#endif
