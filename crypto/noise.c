/* SPDX-License-Identifier: Apache-2.0
 *
 * Rounded Gaussian noise: AS 241 on blocks of words, 113-bit arithmetic where that is not enough.
 */
#include "crypto/noise.h"

#include "base/guard.h"
#include "base/thread.h"
#include "crypto/kdf.h"

#include <math.h>
#include <unistd.h>

#define TAIL_BITS ((UINT64_C(1) << 63) - 1)
#define CENTRE 0.425          /* AS 241 splits at |P - 1/2| = 0.425 */
#define SMALLEST_EASY 0x1p-20 /* P below it: the definition */
#define ERROR_OF_QUANTILE 0x1p-41
#define RN_NOISE_PIECE_LEAST ((size_t)16384) /* less is not worth a thread */

static void derive(struct rn_stream *out, const struct rn_secret32 *key, const char *purpose)
{
    struct rn_secret32 derived;
    rn_kdf_sha256_long(derived.bytes, sizeof(derived.bytes),
                       rn_view_of(key->bytes, sizeof(key->bytes)), rn_view_of(NULL, 0),
                       rn_view_text(purpose));
    rn_stream_init(out, &derived);
    rn_secret_wipe(&derived, sizeof(derived));
}

void rn_noise_init(struct rn_noise *out_noise, const struct rn_secret32 *key)
{
    derive(&out_noise->high, key, "rondo noise 1 high words");
    derive(&out_noise->low, key, "rondo noise 1 low words");
    out_noise->next = 0;
    out_noise->process = getpid();
}

void rn_noise_clear(struct rn_noise *noise)
{
    rn_stream_clear(&noise->high);
    rn_stream_clear(&noise->low);
    noise->next = 0;
}

/* P <= Q((k - 1/2) / s) */
static bool reaches(_Float128 p, int64_t k, double deviation)
{
    const _Float128 t = ((_Float128)k - (_Float128)0.5) / (_Float128)deviation;
    return p <= (_Float128)0.5 * erfcf128(t * sqrtf128((_Float128)0.5));
}

int64_t rn_noise_exact(uint64_t high, uint64_t low, double deviation)
{
    const _Float128 scale = (_Float128)0x1p-64;
    const _Float128 p =
        ((_Float128)(high & TAIL_BITS) + ((_Float128)low + (_Float128)0.5) * scale) * scale;
    int64_t reached = 0;
    int64_t beyond = (int64_t)(14.0 * deviation) + 2; /* Q(14) < 2^-146 */
    while (beyond - reached > 1) {
        const int64_t middle = reached + (beyond - reached) / 2;
        if (reaches(p, middle, deviation)) {
            reached = middle;
        } else {
            beyond = middle;
        }
    }
    return high > TAIL_BITS ? -reached : reached;
}

/* Q^-1(1/2 - q), |q| <= 0.425 */
static inline double central(double q)
{
    const double r = 0.180625 - q * q;
    double n = 2.5090809287301226727e3;
    n = n * r + 3.3430575583588128105e4;
    n = n * r + 6.7265770927008700853e4;
    n = n * r + 4.5921953931549871457e4;
    n = n * r + 1.3731693765509461125e4;
    n = n * r + 1.9715909503065514427e3;
    n = n * r + 1.3314166789178437745e2;
    n = n * r + 3.3871328727963666080e0;
    double d = 5.2264952788528545610e3;
    d = d * r + 2.8729085735721942674e4;
    d = d * r + 3.9307895800092710610e4;
    d = d * r + 2.1213794301586595867e4;
    d = d * r + 5.3941960214247511077e3;
    d = d * r + 6.8718700749205790830e2;
    d = d * r + 4.2313330701600911252e1;
    d = d * r + 1.0;
    return q * n / d;
}

/* Q^-1(p), SMALLEST_EASY <= p <= 0.075 */
static inline double tail(double p)
{
    const double r = sqrt(-log(p)) - 1.6;
    double n = 7.74545014278341407640e-4;
    n = n * r + 2.27238449892691845833e-2;
    n = n * r + 2.41780725177450611770e-1;
    n = n * r + 1.27045825245236838258e0;
    n = n * r + 3.64784832476320460504e0;
    n = n * r + 5.76949722146069140550e0;
    n = n * r + 4.63033784615654529590e0;
    n = n * r + 1.42343711074968357734e0;
    double d = 1.05075007164441684324e-9;
    d = d * r + 5.47593808499534494600e-4;
    d = d * r + 1.51986665636164571966e-2;
    d = d * r + 1.48103976427480074590e-1;
    d = d * r + 6.89767334985100004550e-1;
    d = d * r + 1.67638483018380384940e0;
    d = d * r + 2.05319162663775882187e0;
    d = d * r + 1.0;
    return n / d;
}

/* The same for a whole block; a fixed count, so that it becomes vector code. Every operation is one
 * of IEEE double, so the clones give the same bits. */
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
static void
central_block(double *z)
{
    for (size_t i = 0; i < RN_NOISE_BLOCK; i++) {
        z[i] = central(z[i]);
    }
}

/* All quantiles as if central, then the others once more. NaN: P is too small. */
static void quantiles(const uint64_t *high, size_t n, double z[RN_NOISE_BLOCK])
{
    uint32_t outside[RN_NOISE_BLOCK];
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        const int64_t left = (int64_t)(TAIL_BITS - (high[i] & TAIL_BITS));
        z[i] = ((double)left + 0.5) * 0x1p-64; /* q = 1/2 - P */
        outside[count] = (uint32_t)i;
        count += z[i] > CENTRE;
    }
    central_block(z);
    for (size_t c = 0; c < count; c++) {
        const size_t i = outside[c];
        const double p = ((double)(int64_t)(high[i] & TAIL_BITS) + 0.5) * 0x1p-64;
        z[i] = p < SMALLEST_EASY ? NAN : tail(p);
    }
}

size_t rn_noise_fast(const uint64_t *high, size_t n, double deviation, int64_t *out,
                     uint32_t out_hard[RN_NOISE_BLOCK])
{
    double z[RN_NOISE_BLOCK] = {0};
    const double close = deviation * ERROR_OF_QUANTILE;
    size_t count = 0;
    RN_BUG_IF(n > RN_NOISE_BLOCK);
    quantiles(high, n, z);
    for (size_t i = 0; i < n; i++) {
        const double x = z[i] < 16.0 ? deviation * z[i] : 0.5; /* NaN too: hard */
        const int64_t below = (int64_t)x;
        const double above = x - (double)below - 0.5;
        const int64_t k = below + (above > 0.0);
        const int64_t negative = -(int64_t)(high[i] >> 63);
        out[i] = (k ^ negative) - negative;
        out_hard[count] = (uint32_t)i;
        count += fabs(above) <= close;
    }
    rn_secret_wipe(z, sizeof(z));
    return count;
}

/* Draws first .. first + n - 1. */
static void draw_range(const struct rn_noise *noise, uint64_t first, size_t n, double deviation,
                       int64_t *out)
{
    RN_CLEANUP(rn_stream_clear) struct rn_stream high = noise->high;
    RN_CLEANUP(rn_stream_clear) struct rn_stream low = noise->low;
    uint64_t words[RN_NOISE_BLOCK];
    uint32_t hard[RN_NOISE_BLOCK];
    rn_stream_seek(&high, first * sizeof(uint64_t));
    for (size_t at = 0; at < n; at += RN_NOISE_BLOCK) {
        const size_t now = n - at < RN_NOISE_BLOCK ? n - at : RN_NOISE_BLOCK;
        rn_stream_words(&high, words, now);
        const size_t count = rn_noise_fast(words, now, deviation, out + at, hard);
        for (size_t c = 0; c < count; c++) {
            rn_stream_seek(&low, (first + at + hard[c]) * sizeof(uint64_t));
            out[at + hard[c]] = rn_noise_exact(words[hard[c]], rn_stream_u64(&low), deviation);
        }
    }
    rn_secret_wipe(words, sizeof(words));
}

void rn_noise_draw(struct rn_noise *noise, size_t n, double deviation, int64_t *out)
{
    rn_noise_draw_wide(noise, n, deviation, out, 1);
}

struct piece {
    const struct rn_noise *noise;
    uint64_t first;
    size_t n;
    double deviation;
    int64_t *out;
    pthread_t thread;
    bool started;
};

static void *draw_piece(void *context)
{
    const struct piece *piece = context;
    draw_range(piece->noise, piece->first, piece->n, piece->deviation, piece->out);
    return NULL;
}

void rn_noise_draw_wide(struct rn_noise *noise, size_t n, double deviation, int64_t *out,
                        uint32_t threads)
{
    struct piece pieces[RN_NOISE_THREADS_MAX] = {{0}};
    struct rn_error err;
    RN_BUG_IF(!(deviation >= RN_NOISE_DEVIATION_MIN && deviation <= RN_NOISE_DEVIATION_MAX));
    RN_BUG_IF(noise->process != getpid());
    const size_t most = threads < 1                      ? 1
                        : threads > RN_NOISE_THREADS_MAX ? RN_NOISE_THREADS_MAX
                                                         : threads;
    const size_t worth = n / RN_NOISE_PIECE_LEAST + 1;
    const size_t count = worth < most ? worth : most;
    for (size_t i = count; i-- > 0;) { /* the first one here */
        const size_t from = n / count * i;
        const size_t end = i + 1 == count ? n : n / count * (i + 1);
        struct piece *piece = &pieces[i];
        *piece =
            (struct piece){noise, noise->next + from, end - from, deviation, out + from, 0, false};
        piece->started =
            i > 0 && rn_is_ok(rn_thread_start(&piece->thread, draw_piece, piece, &err));
        if (!piece->started) {
            draw_piece(piece);
        }
    }
    for (size_t i = 1; i < count; i++) {
        if (pieces[i].started) {
            (void)pthread_join(pieces[i].thread, NULL);
        }
    }
    noise->next += n;
}
