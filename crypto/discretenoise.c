/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/discretenoise.h"

#include <unistd.h>

#include "base/guard.h"

void rn_discrete_noise_init(struct rn_discrete_noise *out, const struct rn_secret32 *key)
{
    rn_stream_init(&out->stream, key);
    out->process = getpid();
}

void rn_discrete_noise_clear(struct rn_discrete_noise *noise)
{
    rn_stream_clear(&noise->stream);
}

/* The stream's words, many at once: one ChaCha20 call a word would be most of the time. */
enum { WORDS = 512 };
struct words {
    struct rn_stream *stream;
    size_t left;
    uint64_t block[WORDS];
};

static uint64_t word_take(struct words *words)
{
    if (words->left == 0) {
        rn_stream_words(words->stream, words->block, WORDS);
        words->left = WORDS;
    }
    return words->block[--words->left];
}

/* Uniform in [0, bound): the words of a last, shorter run of `bound` are drawn again. */
static uint64_t below(struct words *words, uint64_t bound)
{
    const uint64_t most = UINT64_MAX - (UINT64_MAX % bound + 1) % bound;
    uint64_t word = word_take(words);
    while (word > most) {
        word = word_take(words);
    }
    return word % bound;
}

static bool chance(struct words *words, uint64_t a, uint64_t b)
{
    return a == b || below(words, b) < a;
}

/* With probability exp(-a / b), a <= b: algorithm 1; a / (b k) is a / b and, for itself, 1 / k. */
static bool chance_exp(struct words *words, uint64_t a, uint64_t b)
{
    uint64_t k = 1;
    while (chance(words, 1, k) && chance(words, a, b)) {
        k++;
    }
    return k % 2 == 1;
}

/* Algorithm 2 without the sign: |Y|, or -1 for one that is to be drawn again. */
static int64_t laplace(struct words *words, uint64_t s)
{
    const uint64_t u = below(words, s);
    uint64_t v = 0;
    if (!chance_exp(words, u, s)) {
        return -1;
    }
    while (v <= RN_DISCRETE_NOISE_REACH && chance_exp(words, 1, 1)) {
        v++;
    }
    const uint64_t length = u + s * v;
    return length <= RN_DISCRETE_NOISE_REACH * s ? (int64_t)length : -1;
}

/* With probability exp(-(length - s)^2 / (2 s^2)), the last step of algorithm 3. */
static bool is_kept(struct words *words, uint64_t length, uint64_t s)
{
    const unsigned __int128 far = length > s ? length - s : s - length;
    const uint64_t divisor = 2 * s * s;
    const unsigned __int128 square = far * far; /* at most 225 s^2 */
    for (uint64_t whole = (uint64_t)(square / divisor); whole > 0; whole--) {
        if (!chance_exp(words, 1, 1)) {
            return false;
        }
    }
    return chance_exp(words, (uint64_t)(square % divisor), divisor);
}

static int64_t draw(struct words *words, uint64_t s)
{
    for (;;) {
        const int64_t length = laplace(words, s);
        if (length < 0) {
            continue;
        }
        const bool negative = chance(words, 1, 2);
        if ((length > 0 || !negative) && is_kept(words, (uint64_t)length, s)) {
            return negative ? -length : length;
        }
    }
}

void rn_discrete_noise_draw(struct rn_discrete_noise *noise, size_t n, uint32_t deviation,
                            int64_t *out)
{
    struct words words = {.stream = &noise->stream};
    RN_BUG_IF(noise->process != getpid());
    RN_BUG_IF(deviation < 1 || deviation > RN_DISCRETE_NOISE_DEVIATION_MAX);
    for (size_t i = 0; i < n; i++) {
        out[i] = draw(&words, deviation);
    }
    rn_secret_wipe(words.block, sizeof(words.block));
}
