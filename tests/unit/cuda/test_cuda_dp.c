/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradients of examples on the CUDA backend: whole numbers, norms and sums equal those of a plain
 * computation bit for bit, in every thread order and whoever else is in the batch, for ordinary
 * gradients and for those made to break it.
 */
#include "tests/unit/cuda/cudacheck.h"

#include "base/guard.h"

#include <float.h>

struct clip {
    uint32_t count;
    size_t n, stride;
    double clip_norm, grid, gamma;
    float *grads;
    int64_t *sum;
    double *norms;
};

static void clip(const struct rn_kernels *kernels, struct rn_lane *lane, void *context)
{
    const struct clip *c = context;
    const struct rn_clip rule = {.norm = c->clip_norm, .grid = c->grid, .gamma = c->gamma};
    kernels->clip_add(lane, c->count, c->n, c->grads, c->stride, &rule, c->sum, c->norms);
}

static struct clip make(uint32_t count, size_t n, size_t stride, double clip_norm, double grid)
{
    struct clip c = {.count = count,
                     .n = n,
                     .stride = stride,
                     .clip_norm = clip_norm,
                     .grid = grid,
                     .grads = check_floats(count * stride, 1.0f, 0.0f),
                     .sum = check_memory(n, sizeof(int64_t)),
                     .norms = check_memory(count, sizeof(double))};
    return c;
}

static void clear(struct clip *c)
{
    check_release(c->grads);
    check_release(c->sum);
    check_release(c->norms);
}

/* ---- the same in plain C ---- */

static double plain_norm(const float *g, size_t n)
{
    double sum = 0.0, lost = 0.0;
    for (size_t first = 0; first < n; first += 4096) {
        double chain[16] = {0};
        for (size_t j = first; j < n && j < first + 4096; j++) {
            chain[j % 16] += (double)g[j] * (double)g[j];
        }
        for (size_t half = 8; half > 0; half /= 2) {
            for (size_t k = 0; k < half; k++) {
                chain[k] += chain[k + half];
            }
        }
        const double next = sum + chain[0];
        lost += sum >= chain[0] ? (sum - next) + chain[0] : (chain[0] - next) + sum;
        sum = next;
    }
    const double norm = sqrt(sum + lost);
    return isfinite(norm) ? norm : INFINITY;
}

/* v of one gradient; returns how often its factor had to be made smaller. */
static int plain_vector(const struct clip *c, const float *g, int64_t *v, double *norm)
{
    *norm = plain_norm(g, c->n);
    memset(v, 0, c->n * sizeof(*v));
    if (!isfinite(*norm)) {
        return 0;
    }
    double f = c->gamma > 0.0         ? c->clip_norm / (*norm + c->gamma)
               : *norm > c->clip_norm ? c->clip_norm / *norm
                                      : 1.0;
    for (int again = 0;; again++) {
        __int128 length = 0;
        for (size_t j = 0; j < c->n; j++) {
            v[j] = (int64_t)((double)g[j] * (f * (c->grid / c->clip_norm)));
            length += (__int128)v[j] * v[j];
        }
        if (length <= (__int128)c->grid * (__int128)c->grid) {
            return again;
        }
        f *= 1.0 - 0x1p-20;
    }
}

/* Runs it on the backend from a sum that is not zero; compares. Returns the greatest number of
 * repetitions of the check. */
static int compare(struct clip *c, bool every_order)
{
    int64_t *start = check_memory(c->n, sizeof(int64_t)), *v = rn_alloc(c->n, sizeof(*v));
    int64_t *wanted = rn_alloc(c->n, sizeof(*wanted));
    int most = 0;
    for (size_t j = 0; j < c->n; j++) {
        wanted[j] = start[j] = (int64_t)(j * 1000003) - 7;
    }
    const struct check_out outs[] = {{c->sum, c->n * sizeof(int64_t), start},
                                     {c->norms, c->count * sizeof(double), NULL}};
    if (every_order) {
        check_orders(clip, c, outs, RN_ARRAY_LENGTH(outs));
    } else {
        memcpy(c->sum, start, c->n * sizeof(int64_t));
        check_run(rn_kernels_cuda_table(), clip, c);
    }
    for (uint32_t i = 0; i < c->count; i++) {
        double norm;
        const int again = plain_vector(c, c->grads + i * c->stride, v, &norm);
        most = again > most ? again : most;
        assert_true(memcmp(&norm, &c->norms[i], sizeof(norm)) == 0);
        for (size_t j = 0; j < c->n; j++) {
            wanted[j] += v[j];
        }
    }
    assert_memory_equal(wanted, c->sum, c->n * sizeof(int64_t));
    check_release(start);
    rn_free(v);
    rn_free(wanted);
    return most;
}

/* ---- tests ---- */

/* Lengths around a chain, a block's element and a piece; norms below and above the clip norm. */
static void sums_are_those_of_plain_c(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 15, 16, 17, 257, 4095, 4096, 4097, 70001};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(lengths); i++) {
        const size_t n = lengths[i];
        struct clip c = make(4, n, n + 3, sqrt((double)n) * 0.4, 0x1p20);
        for (size_t j = 0; j < n; j++) {
            c.grads[j] *= 0.01f;                /* not clipped */
            c.grads[c.stride + j] = 0.0f;       /* nothing */
            c.grads[2 * c.stride + j] *= 1e20f; /* far too long */
        }
        compare(&c, n < 10000);
        c.gamma = 0.01;
        compare(&c, n < 10000);
        clear(&c);
    }
}

/* A norm of more pieces than a block has threads. */
static void a_gradient_of_many_pieces(void **state)
{
    (void)state;
    const size_t n = (size_t)RN_CUDA_CLIP_THREADS * RN_CUDA_CLIP_PIECE + 4097;
    struct clip c = make(1, n, n, 300.0, 0x1p20);
    compare(&c, true);
    clear(&c);
}

/* A gradient that is not finite counts as zero and changes nobody else; the smallest and the
 * greatest numbers neither vanish into an error nor overflow. */
static void hostile_gradients(void **state)
{
    (void)state;
    enum { N = 300 };
    static const float values[] = {NAN,     INFINITY,    -INFINITY, FLT_MAX, -FLT_MAX,
                                   FLT_MIN, 0x1.0p-149f, -0.0f,     1e-30f};
    for (size_t v = 0; v < RN_ARRAY_LENGTH(values); v++) {
        for (int all = 0; all < 2; all++) {
            struct clip c = make(3, N, N, 1.0, 0x1p20);
            for (size_t j = 0; j < N; j++) {
                c.grads[N + j] = all || j == N - 1 ? values[v] : 0.0f;
            }
            compare(&c, v == 0);
            assert_int_equal(isfinite(c.norms[1]), isfinite(values[v]));
            clear(&c);
        }
    }
    struct clip both = make(1, N, N, 1.0, 0x1p20); /* infinities of both signs */
    both.grads[0] = INFINITY;
    both.grads[1] = -INFINITY;
    compare(&both, false);
    assert_true(both.norms[0] == INFINITY);
    clear(&both);
}

/* Gradients whose length is a whole number: the vector may be exactly as long as the grid. */
static void whole_lengths(void **state)
{
    (void)state;
    static const struct {
        float v[4];
        double norm;
    } seeds[] = {{{3, 4, 0, 0}, 5}, {{5, 12, 0, 0}, 13}, {{1, 2, 2, 0}, 3}, {{2, 4, 5, 6}, 9}};
    for (size_t s = 0; s < RN_ARRAY_LENGTH(seeds); s++) {
        for (int shift = -2; shift <= 2; shift++) {
            struct clip c =
                make(1, 64, 64, seeds[s].norm * 4 * (1 + shift * 0x1p-52), seeds[s].norm * 4);
            for (size_t j = 0; j < c.n; j++) {
                c.grads[j] = seeds[s].v[j % 4] * (j % 8 < 4 ? 1.0f : -1.0f);
            }
            compare(&c, false);
            c.grid *= 1024.0;
            compare(&c, false);
            c.gamma = 0.01;
            compare(&c, false);
            clear(&c);
        }
    }
}

/* At the greatest grid a length can be one unit too great although the norm rounds to the clip
 * norm: then, and only then, the factor is made smaller. */
static void the_exact_check_decides(void **state)
{
    (void)state;
    enum { N = 1 << 14 };
    struct clip c = make(2, N + 1, N + 1, 0x1p31, 0x1p31);
    for (size_t j = 0; j < N; j++) {
        c.grads[j] = c.grads[N + 1 + j] = 0x1p24f;
    }
    c.grads[N] = 0.0f;
    c.grads[2 * N + 1] = 0.0f;
    assert_int_equal(compare(&c, false), 0); /* a length of exactly 2^62 */
    c.grads[2 * N + 1] = 1.0f;
    assert_int_equal(compare(&c, true), 1); /* 2^62 + 1 */
    assert_true(c.norms[0] == 0x1p31 && c.norms[1] == 0x1p31);
    clear(&c);
}

/* What differential privacy rests on: the sum without an example is the sum with it less its own
 * vector, wherever it stands. More examples than go through the kernels at once. */
static void an_example_keeps_its_vector_in_company(void **state)
{
    (void)state;
    enum { COUNT = RN_CUDA_CLIP_EXAMPLES + 1, N = 3 };
    struct clip all = make(COUNT, N, N, 0.5, 0x1p20);
    compare(&all, false);
    clear(&all);
    struct clip some = make(7, 5000, 5000, 20.0, 0x1p20);
    int64_t *sum = check_memory(some.n, sizeof(int64_t));
    check_run(rn_kernels_cuda_table(), clip, &some);
    for (uint32_t i = 0; i < some.count; i++) {
        struct clip alone = some;
        alone.grads = some.grads + i * some.stride;
        alone.count = 1;
        alone.sum = sum;
        alone.norms = NULL;
        check_run(rn_kernels_cuda_table(), clip, &alone);
    }
    assert_memory_equal(sum, some.sum, some.n * sizeof(int64_t));
    check_release(sum);
    clear(&some);
}

/* The CPU backend forms the norm in the same order: the same whole numbers for the same gradients.
 * The reference's norm is exacter: a unit of each number may differ. */
static void backends_agree(void **state)
{
    (void)state;
    struct clip c = make(6, 20001, 20001, 60.0, 0x1p20), other = c;
    other.sum = check_memory(c.n, sizeof(int64_t));
    other.norms = check_memory(c.count, sizeof(double));
    check_run(rn_kernels_cuda_table(), clip, &c);
    if (rn_kernels_cpu()->clip_add != NULL) {
        check_run(rn_kernels_cpu(), clip, &other);
        assert_memory_equal(c.sum, other.sum, c.n * sizeof(int64_t));
        assert_memory_equal(c.norms, other.norms, c.count * sizeof(double));
    }
    if (rn_kernels_ref()->clip_add != NULL) {
        memset(other.sum, 0, c.n * sizeof(int64_t));
        check_run(rn_kernels_ref(), clip, &other);
        for (size_t j = 0; j < c.n; j++) {
            assert_true(llabs(c.sum[j] - other.sum[j]) <= c.count);
        }
    }
    check_release(other.sum);
    check_release(other.norms);
    clear(&c);
}

#ifndef RN_CHECK_DEVICE
/* Sums of squares beyond 64 bits carry into the second word: a straight launch with a factor that
 * makes every element greater than the grid. */
static void lengths_carry(void **state)
{
    (void)state;
    enum { N = 4096 };
    float *g = check_floats(N, 0.0f, 3.0f);
    uint64_t lengths[2] = {0};
    double factor = 0x1p40;
    const struct rn_clip_args args = {.grads = g,
                                      .n = N,
                                      .stride = N,
                                      .clip_norm = 1.0,
                                      .unit = 1.0,
                                      .grid = 0x1p31,
                                      .lengths = lengths,
                                      .factor = &factor,
                                      .count = 1,
                                      .pieces = 1};
    const struct rn_dim one = {1, 1, 1}, block = {RN_CUDA_CLIP_THREADS, 1, 1};
    void rn_cuda_clip_lengths(const void *);
    for (unsigned order = 0; order < 5; order++) {
        memset(lengths, 0xff, sizeof(lengths));
        assert_true(
            rn_cudahost_launch(rn_cuda_clip_lengths, "lengths", one, block, 0, &args, order));
        const __int128 side = ((__int128)1 << 31) + 1, wanted = side * side * N;
        assert_true(lengths[0] == (uint64_t)wanted && lengths[1] == (uint64_t)(wanted >> 64));
    }
    check_release(g);
}
#endif

struct noisy {
    int64_t *sum, *noise;
    float *g;
};
enum { NOISY = 600 };

static void noisy_mean(const struct rn_kernels *kernels, struct rn_lane *lane, void *context)
{
    const struct noisy *c = context;
    kernels->noisy_mean(lane, NOISY, c->sum, c->noise, 1.0 / 3e6, c->g);
}

static void noisy_means(void **state)
{
    (void)state;
    struct noisy c = {check_memory(NOISY, sizeof(int64_t)), check_memory(NOISY, sizeof(int64_t)),
                      check_memory(NOISY, sizeof(float))};
    for (int64_t j = 0; j < NOISY; j++) {
        c.sum[j] = (j - 300) * (j % 2 == 0 ? 12345677 : (int64_t)1 << 53);
        c.noise[j] = (int64_t)((double)check_random() * 0x1p40) | 1;
    }
    const struct check_out out = {c.g, NOISY * sizeof(float), NULL};
    check_orders(noisy_mean, &c, &out, 1);
    for (size_t j = 0; j < NOISY; j++) {
        const float wanted = (float)((double)(c.sum[j] + c.noise[j]) * (1.0 / 3e6));
        assert_memory_equal(&wanted, &c.g[j], sizeof(wanted));
    }
    check_release(c.sum);
    check_release(c.noise);
    check_release(c.g);
}

struct store {
    struct check_pair m;
    float *out;
};

static void store(const struct rn_kernels *kernels, struct rn_lane *lane, void *context)
{
    const struct store *c = context;
    kernels->rows_store(lane, c->m.cuda, 290, c->out);
}

static void rows_are_stored_apart(void **state)
{
    (void)state;
    for (int narrow = 0; narrow < 2; narrow++) {
        struct store c = {narrow ? check_narrow_filled(5, 270, 1.0f) : check_filled(5, 270, 1.0f),
                          check_memory(5 * 290, sizeof(float))};
        const struct check_out out = {c.out, 5 * 290 * sizeof(float), NULL};
        check_orders(store, &c, &out, 1);
        for (size_t i = 0; i < 5; i++) {
            for (size_t k = 0; k < 290; k++) {
                const float got = c.out[i * 290 + k];
                assert_true(k < 270 ? got == check_got(c.m, i, k) : isnan(got));
            }
        }
        check_free(c.m);
        check_release(c.out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_of_plain_c),
        cmocka_unit_test(a_gradient_of_many_pieces),
        cmocka_unit_test(hostile_gradients),
        cmocka_unit_test(whole_lengths),
        cmocka_unit_test(the_exact_check_decides),
        cmocka_unit_test(an_example_keeps_its_vector_in_company),
        cmocka_unit_test(backends_agree),
#ifndef RN_CHECK_DEVICE
        cmocka_unit_test(lengths_carry),
#endif
        cmocka_unit_test(noisy_means),
        cmocka_unit_test(rows_are_stored_apart),
    };
    return check_main("dp", tests, RN_ARRAY_LENGTH(tests));
}
