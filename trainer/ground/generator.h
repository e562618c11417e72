/* SPDX-License-Identifier: Apache-2.0
 *
 * The trainer's own random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as
 * easy as 1, 2, 3"), a function from (seed, stream, index) to 128 bits with no state. Every value
 * is formed by additions, multiplications, divisions and square roots in IEEE double and rounded to
 * float32 once, never by a function of the C library, so all sites get the same bits from the same
 * seed. Not for secrets.
 *
 * A stream is named by a text, such as the full name of the tensor that it fills; its number is the
 * FNV-1a hash (64 bit) of the text.
 */
#ifndef RN_TRAINER_GENERATOR_H
#define RN_TRAINER_GENERATOR_H

#include <stddef.h>
#include <stdint.h>

struct rn_generator {
    uint64_t seed;
    uint64_t stream;
};

struct rn_generator rn_generator_of(uint64_t seed, const char *stream);
/* The four words of index; attempt separates retries at one index. */
void rn_generator_words(const struct rn_generator *generator, uint64_t index, uint32_t attempt,
                        uint32_t out[4]);

/* Uniform in [-bound, bound): out[i] = bound * (u * 2^-23 - 1), u = the high 24 bits of word
 * i mod 4 of index i / 4. */
void rn_generator_uniform(const struct rn_generator *generator, double bound, size_t count,
                          float *out);
/* Normal with mean 0: Marsaglia's polar method on words of index i, retried by attempt. */
void rn_generator_normal(const struct rn_generator *generator, double deviation, size_t count,
                         float *out);
/* rows x cols (rows <= cols) with orthonormal rows: normal values, modified Gram-Schmidt in double
 * in row order, done twice. */
void rn_generator_orthonormal(const struct rn_generator *generator, size_t rows, size_t cols,
                              float *out);
/* A permutation of 0 .. count-1 (Fisher-Yates from the end, unbiased by rejection). */
void rn_generator_permutation(const struct rn_generator *generator, size_t count, uint32_t *out);

#endif
