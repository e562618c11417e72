/* SPDX-License-Identifier: Apache-2.0
 *
 * Philox4x32-10 and the distributions that the trainer needs.
 */
#include "trainer/ground/generator.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <math.h>

struct rn_generator rn_generator_of(uint64_t seed, const char *stream)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char *c = stream; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3u;
    }
    return (struct rn_generator){seed, hash};
}

/* Counter: index (64 bit), low and high half of (stream xor attempt in the top half); key: seed. */
void rn_generator_words(const struct rn_generator *generator, uint64_t index, uint32_t attempt,
                        uint32_t out[4])
{
    uint32_t key[2] = {(uint32_t)generator->seed, (uint32_t)(generator->seed >> 32)};
    out[0] = (uint32_t)index;
    out[1] = (uint32_t)(index >> 32);
    out[2] = (uint32_t)generator->stream;
    out[3] = (uint32_t)(generator->stream >> 32) ^ attempt;
    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)0xD2511F53u * out[0];
        const uint64_t b = (uint64_t)0xCD9E8D57u * out[2];
        out[0] = (uint32_t)(b >> 32) ^ out[1] ^ key[0];
        out[2] = (uint32_t)(a >> 32) ^ out[3] ^ key[1];
        out[1] = (uint32_t)b;
        out[3] = (uint32_t)a;
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
}

void rn_generator_uniform(const struct rn_generator *generator, double bound, size_t count,
                          float *out)
{
    uint32_t words[4] = {0};
    for (size_t i = 0; i < count; i++) {
        if (i % 4 == 0) {
            rn_generator_words(generator, i / 4, 0, words);
        }
        const double unit = (double)(words[i % 4] >> 8) * 0x1p-23 - 1.0;
        out[i] = (float)(bound * unit);
    }
}

/* Natural logarithm of 0 < x <= 1 by arithmetic alone: x = m 2^e, m in [1/2, 1), and the series of
 * 2 artanh((m-1)/(m+1)); |argument| <= 1/3, so 18 terms reach double precision. */
static double plain_log(double x)
{
    int exponent = 0;
    const double m = frexp(x, &exponent); /* exact */
    const double z = (m - 1.0) / (m + 1.0);
    double sum = 0.0;
    for (int k = 18; k >= 0; k--) {
        sum = sum * (z * z) + 1.0 / (double)(2 * k + 1);
    }
    return 2.0 * z * sum + (double)exponent * 0.69314718055994530942;
}

static double normal_at(const struct rn_generator *generator, uint64_t index)
{
    for (uint32_t attempt = 0;; attempt++) {
        uint32_t words[4];
        rn_generator_words(generator, index, attempt, words);
        const uint64_t first = (uint64_t)words[1] << 32 | words[0];
        const uint64_t second = (uint64_t)words[3] << 32 | words[2];
        const double x = (double)(first >> 12) * 0x1p-51 - 1.0;
        const double y = (double)(second >> 12) * 0x1p-51 - 1.0;
        const double s = x * x + y * y;
        if (s > 0.0 && s < 1.0) {
            return x * sqrt(-2.0 * plain_log(s) / s);
        }
    }
}

void rn_generator_normal(const struct rn_generator *generator, double deviation, size_t count,
                         float *out)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)(deviation * normal_at(generator, i));
    }
}

/* Takes from row its part along each of the earlier rows, one after the other. */
static void remove_earlier(double *all, size_t rows_before, size_t cols, double *row)
{
    for (size_t j = 0; j < rows_before; j++) {
        const double *other = all + j * cols;
        double s = 0.0;
        for (size_t c = 0; c < cols; c++) {
            s += row[c] * other[c];
        }
        for (size_t c = 0; c < cols; c++) {
            row[c] -= s * other[c];
        }
    }
}

void rn_generator_orthonormal(const struct rn_generator *generator, size_t rows, size_t cols,
                              float *out)
{
    RN_BUG_IF(rows > cols);
    RN_CLEANUP(rn_free_cleanup) double *all = rn_alloc(rows * cols, sizeof(double));
    for (size_t i = 0; i < rows * cols; i++) {
        all[i] = normal_at(generator, i);
    }
    for (size_t i = 0; i < rows; i++) {
        double *row = all + i * cols;
        remove_earlier(all, i, cols, row);
        remove_earlier(all, i, cols, row);
        double square = 0.0;
        for (size_t c = 0; c < cols; c++) {
            square += row[c] * row[c];
        }
        const double length = sqrt(square);
        for (size_t c = 0; c < cols; c++) {
            row[c] /= length;
        }
    }
    for (size_t i = 0; i < rows * cols; i++) {
        out[i] = (float)all[i];
    }
}

/* Uniform below bound (at least 1) from the words of index, without bias. */
static uint64_t below(const struct rn_generator *generator, uint64_t index, uint64_t bound)
{
    const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    for (uint32_t attempt = 0;; attempt++) {
        uint32_t words[4];
        rn_generator_words(generator, index, attempt, words);
        const uint64_t value = (uint64_t)words[1] << 32 | words[0];
        if (value < limit) {
            return value % bound;
        }
    }
}

void rn_generator_permutation(const struct rn_generator *generator, size_t count, uint32_t *out)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (uint32_t)i;
    }
    for (size_t i = count; i > 1; i--) {
        const size_t j = (size_t)below(generator, i - 1, i);
        const uint32_t other = out[j];
        out[j] = out[i - 1];
        out[i - 1] = other;
    }
}
