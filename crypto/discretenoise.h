/* SPDX-License-Identifier: Apache-2.0
 *
 * Discrete Gaussian noise: whole numbers k with probability proportional to exp(-k^2 / (2 s^2)),
 * for noise that several members add in shares. A sum of these is analysed as it is
 * (policy/accountant/noiseshares.h); a sum of rounded Gaussians (noise.h) is not.
 *
 * The sampler of Canonne, Kamath and Steinke 2020 (algorithms 1 to 3) for a whole deviation s, by
 * whole numbers alone, so its law is exact: all that stands between the draws and it is the
 * generator's own distance from random bits.
 *
 *     discrete Laplace of scale s:   U uniform in 0 .. s - 1, kept with probability exp(-U / s);
 *                                    V the number of successes of exp(-1) before a failure;
 *                                    Y = +-(U + s V), the sign by a coin, -0 drawn again
 *     kept with probability          exp(-(|Y| - s)^2 / (2 s^2))
 *     exp(-a / b), 0 <= a <= b:      the number of successes of a / (b k), k = 1, 2, ..., before a
 *                                    failure is even
 *
 * A draw beyond RN_DISCRETE_NOISE_REACH deviations is drawn again, so every draw has a bound that
 * an encoder can lean on. That is the same law but for 2 exp(-128) < 2^-183 in total variation: the
 * discrete Gaussian is sub-Gaussian with parameter s (the same paper).
 *
 * The time of a draw depends on its value: draw before the data is touched.
 */
#ifndef RN_CRYPTO_DISCRETENOISE_H
#define RN_CRYPTO_DISCRETENOISE_H

#include "crypto/random.h"

#include <stddef.h>
#include <stdint.h>

#define RN_DISCRETE_NOISE_DEVIATION_MAX (UINT32_C(1) << 30)
/* No draw is longer than this times the deviation. */
#define RN_DISCRETE_NOISE_REACH 16u

/* Holds a secret key: clean it up with RN_CLEANUP(rn_discrete_noise_clear). */
struct rn_discrete_noise {
    struct rn_stream stream;
    int64_t process; /* that initialised it */
};

/* One key, fresh from rn_random_bytes, for one use; the same key gives the same draws. In a forked
 * process drawing ends the process, as in noise.h. */
void rn_discrete_noise_init(struct rn_discrete_noise *out, const struct rn_secret32 *key);
/* Wipes. */
void rn_discrete_noise_clear(struct rn_discrete_noise *noise);
/* The next n draws. A deviation outside 1 .. RN_DISCRETE_NOISE_DEVIATION_MAX is a bug. */
void rn_discrete_noise_draw(struct rn_discrete_noise *noise, size_t n, uint32_t deviation,
                            int64_t *out);

#endif
