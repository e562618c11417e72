/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of given lengths out of a vocabulary of one token a word.
 */
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/guard.h"
#include "trainer/bench/randominput.h"
#include "trainer/ground/generator.h"

#include <math.h>

#define MEDIAN 24.0
#define SIGMA 0.7
#define SPECIALS_A_TEXT 2

void rn_random_lengths(uint64_t seed, size_t count, uint32_t *out)
{
    const struct rn_generator generator = rn_generator_of(seed, "lengths");
    RN_CLEANUP(rn_free_cleanup) float *drawn = rn_alloc(count, sizeof(float));
    rn_generator_normal(&generator, SIGMA, count, drawn);
    for (size_t i = 0; i < count; i++) {
        const double length = MEDIAN * exp((double)drawn[i]);
        out[i] = (uint32_t)fmin(fmax(length, RN_RANDOM_LENGTH_LEAST), RN_RANDOM_LENGTH_MOST);
    }
}

rn_result rn_random_texts_write(uint64_t seed, const uint32_t *lengths, size_t count,
                                const char *path, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    const struct rn_generator generator = rn_generator_of(seed, "texts");
    uint64_t drawn = 0;
    rn_buffer_format(&text, "text\tlabel\n");
    for (size_t i = 0; i < count; i++) {
        const uint32_t words = lengths[i] > SPECIALS_A_TEXT ? lengths[i] - SPECIALS_A_TEXT : 1;
        for (uint32_t word = 0; word < words; word++) {
            uint32_t random[4];
            rn_generator_words(&generator, drawn++, 0, random);
            rn_buffer_format(&text, "%sw%u", word == 0 ? "" : " ", random[0] % RN_RANDOM_WORDS);
        }
        rn_buffer_format(&text, "\t%zu\n", i % 2);
    }
    RN_ENSURE(!text.failed, err, RN_E_MEMORY, "%s: too many texts", path);
    return rn_file_write(path, rn_buffer_view(&text), 0644, err);
}
