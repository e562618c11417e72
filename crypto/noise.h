/* SPDX-License-Identifier: Apache-2.0
 *
 * Rounded Gaussian noise: whole numbers round(Z), Z normal with mean 0 and deviation s (in units of
 * the grid), for DP-SGD. x + round(Z) = round(x + Z) for a whole x, so what is said of the Gaussian
 * mechanism holds for the result, as post-processing.
 *
 * Definition (Phi by inversion). Draw i has 128 bits: word i of the stream `high` and word i of the
 * stream `low`, two ChaCha20 streams under keys derived from one key. The top bit is the sign; the
 * other 127 bits T give P = (T + 1/2) / 2^128, in (0, 1/2). The result is +-k with the greatest
 * k >= 0 that has P <= Q((k - 1/2) / s), Q the upper tail of the standard normal, which is
 * round(s Q^-1(P)). A draw is a function of (key, i, s) alone, on every machine.
 *
 * Distance from the true distribution (total variation, one draw): the edges Q((k - 1/2) / s) are
 * computed in 113-bit arithmetic; an edge's error moves that much mass between two neighbours, on
 * both sides of zero:
 *
 *     eta <= 2 sum over k >= 1 of |error of Q((k - 1/2) / s)|  +  28 s 2^-128
 *
 * erfcf128 of the C library is within 8 units in the last place (the manual's table says 5); three
 * roundings of its argument are carried over by its condition number, at most 1 + t^2 at
 * t = (k - 1/2) / s; P is rounded once: a relative error below (10 + 1.5 t^2) 2^-112. The sum over
 * k of Q(t) (10 + 1.5 t^2) is at most its first term, 5, plus s times the integral, 4.4, so
 *
 *     eta < 10 (s + 1) 2^-112 + 28 s 2^-128 < (s + 1) 2^-108,
 *
 * 2^-88 at s = 2^20. Over n draws of a claim (eps, delta) add (1 + e^eps) n eta to delta. The tail
 * is complete down to 2^-128 (13.1 s). On top comes the generator's own distance from random bits.
 *
 * Speed without loss: from the first word alone, AS 241 (Wichura 1988, PPND16) in double gives
 * z = Q^-1(P) within 2^-41 for P >= 2^-20: its own 1e-16 z; Horner's rule with positive
 * coefficients on a positive argument, below 32 roundings each for numerator and denominator, so
 * 2^-47 z; the argument, below 2^-48; the missing 64 bits, 2^-65 / phi(z) <= 1.26 * 2^-65 / P <=
 * 2^-44; a factor above 3 remains. Where s z is nearer than s 2^-41 to an edge, and for smaller P,
 * the definition decides. So the fast way changes no result; tests compare the two.
 *
 * The time of a draw depends on its value. That is no leak where the noise is drawn before the data
 * is touched; draw it there.
 */
#ifndef RN_CRYPTO_NOISE_H
#define RN_CRYPTO_NOISE_H

#include "crypto/random.h"

#include <stddef.h>
#include <stdint.h>

#define RN_NOISE_DEVIATION_MIN 0x1p-20
#define RN_NOISE_DEVIATION_MAX 0x1p32
#define RN_NOISE_BLOCK 256 /* draws at once inside */
#define RN_NOISE_THREADS_MAX 64

/* Holds secret keys: clean it up with RN_CLEANUP(rn_noise_clear). */
struct rn_noise {
    struct rn_stream high;
    struct rn_stream low;
    uint64_t next;   /* draw */
    int64_t process; /* that initialised it */
};

/* One key, fresh from rn_random_bytes, for one use; the same key gives the same draws. A copy in a
 * forked process would draw them once more: there rn_noise_draw ends the process. */
void rn_noise_init(struct rn_noise *out_noise, const struct rn_secret32 *key);
/* Wipes. */
void rn_noise_clear(struct rn_noise *noise);
/* The next n draws. A deviation outside MIN..MAX is a bug. */
void rn_noise_draw(struct rn_noise *noise, size_t n, double deviation, int64_t *out);
/* The same draws by so many threads, this one among them; at most RN_NOISE_THREADS_MAX. */
void rn_noise_draw_wide(struct rn_noise *noise, size_t n, double deviation, int64_t *out,
                        uint32_t threads);

/* ---- For tests ---- */

/* The definition, slowly. */
int64_t rn_noise_exact(uint64_t high, uint64_t low, double deviation);
/* The fast way for n <= RN_NOISE_BLOCK first words; out_hard gets the places that need the
 * definition (out is undefined there) and their count comes back. */
size_t rn_noise_fast(const uint64_t *high, size_t n, double deviation, int64_t *out,
                     uint32_t out_hard[RN_NOISE_BLOCK]);

#endif
