/* SPDX-License-Identifier: Apache-2.0 */
#include "trainer/kernels/cuda/cudatrial.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <string.h>

enum { ALIGNED = 256 };
/* Fewer rows than these are tried, and all. On both sides of one tile of rows, one wave of tiles.
 */
static const int64_t few[] = {1, 8, 100, 384, 1152};
_Static_assert(sizeof(few) / sizeof(few[0]) < RN_CUDA_TRIAL_COUNTS, "and all rows");

struct rn_cuda_trial {
    struct rn_port *port;
    const struct rn_cuda_engine *engine;
    struct rn_port_product product;
    void *memory;                  /* device: a, b, c, bias, d */
    size_t row_bytes;              /* of the result */
    struct rn_bf16 *rows, *others; /* [rows][k] as they are, and changed */
    uint8_t *first, *found;        /* [rows] results of the rows as they are, and the last */
    uint8_t *poison;               /* [rows] 0xff: NaN in either type */
};

static size_t room(size_t bytes)
{
    return (bytes + ALIGNED - 1) / ALIGNED * ALIGNED;
}

/* bfloat16 of either sign in [2^-8, 2^8): products so far apart that sums of few are rounded, too.
 */
static struct rn_bf16 random_number(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    const uint64_t r = *state >> 33;
    return (struct rn_bf16){
        (uint16_t)((r & 0x8000u) | (uint64_t)((119 + (r >> 16) % 16) << 7) | (r & 0x7fu))};
}

/* Rows [rows][k]; in even rows the second half cancels the first. */
static void random_rows(uint64_t seed, int64_t rows, int64_t k, struct rn_bf16 *out)
{
    uint64_t state = seed;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t c = 0; c < k; c++) {
            struct rn_bf16 x = random_number(&state);
            if (i % 2 == 0 && c >= k / 2) {
                x.bits = out[i * k + c - k / 2].bits ^ 0x8000u;
            }
            out[i * k + c] = x;
        }
    }
}

/* b with equal halves, in the operand's order. */
static void random_factor(const struct rn_port_product *p, struct rn_bf16 *out)
{
    uint64_t state = 3;
    for (int64_t k = 0; k < p->k; k++) {
        for (int64_t n = 0; n < p->n; n++) {
            const int64_t before = k - p->k / 2;
            const int64_t at = p->by_rows ? n * p->k + k : k * p->n + n;
            const int64_t from = p->by_rows ? n * p->k + before : before * p->n + n;
            out[at] = before >= 0 ? out[from] : random_number(&state);
        }
    }
}

/* A row of c, or the bias: as small as what is left of a cancelled sum. */
static void random_addend(const struct rn_port_product *p, uint64_t seed, uint8_t *out)
{
    uint64_t state = seed;
    for (int64_t n = 0; n < p->n; n++) {
        const struct rn_bf16 x = {(uint16_t)(random_number(&state).bits - (10u << 7))};
        if (p->wide) {
            const uint32_t bits = (uint32_t)x.bits << 16;
            memcpy(out + n * 4, &bits, sizeof(bits));
        } else {
            memcpy(out + n * 2, &x, sizeof(x));
        }
    }
}

/* The product in memory of the trial's own; its device memory holds b, c and the bias. */
static rn_result fill(struct rn_cuda_trial *t, struct rn_error *err)
{
    struct rn_port_product *p = &t->product;
    const size_t rows = (size_t)p->m, n = (size_t)p->n, k = (size_t)p->k;
    const size_t a_bytes = room(rows * k * 2), b_bytes = room(n * k * 2);
    const size_t c_bytes = room(rows * t->row_bytes), bias_bytes = room(t->row_bytes);
    RN_TRY(rn_port_alloc(t->port, a_bytes + b_bytes + 2 * c_bytes + bias_bytes, &t->memory, err));
    uint8_t *at = t->memory;
    RN_CLEANUP(rn_free_cleanup) struct rn_bf16 *b = rn_alloc(n * k, sizeof(*b));
    p->a = at;
    p->b = at + a_bytes;
    p->c = p->c != NULL ? at + a_bytes + b_bytes : NULL;
    p->d = at + a_bytes + b_bytes + c_bytes;
    p->bias = p->bias != NULL ? at + a_bytes + b_bytes + 2 * c_bytes : NULL;
    random_factor(p, b);
    rn_port_upload(t->port, at + a_bytes, b, n * k * sizeof(*b));
    random_addend(p, 5, t->found); /* every row of c is alike: it need not move with its row */
    for (size_t i = 1; i < rows; i++) {
        memcpy(t->found + i * t->row_bytes, t->found, t->row_bytes);
    }
    rn_port_upload(t->port, at + a_bytes + b_bytes, t->found, rows * t->row_bytes);
    random_addend(p, 7, t->found);
    rn_port_upload(t->port, at + a_bytes + b_bytes + 2 * c_bytes, t->found, t->row_bytes);
    return rn_port_sync(t->port, err);
}

rn_result rn_cuda_trial_new(struct rn_port *port, const struct rn_cuda_engine *engine,
                            const struct rn_port_product *p, struct rn_cuda_trial **out,
                            struct rn_error *err)
{
    struct rn_cuda_trial *t = rn_alloc(1, sizeof(*t));
    const size_t rows = (size_t)engine->rows, elements = rows * (size_t)p->k;
    *t = (struct rn_cuda_trial){.port = port, .engine = engine, .product = *p};
    t->product.m = engine->rows;
    t->product.lda = p->k;
    t->product.ldb = p->by_rows ? p->k : p->n;
    t->product.ldc = t->product.ldd = p->n;
    t->row_bytes = (size_t)p->n * (p->wide ? 4 : 2);
    t->rows = rn_alloc(elements, sizeof(*t->rows));
    t->others = rn_alloc(elements, sizeof(*t->others));
    t->first = rn_alloc(rows, t->row_bytes);
    t->found = rn_alloc(rows, t->row_bytes);
    t->poison = rn_alloc(rows, t->row_bytes);
    memset(t->poison, 0xff, rows * t->row_bytes);
    random_rows(1, engine->rows, p->k, t->rows);
    const rn_result result = fill(t, err);
    if (!rn_is_ok(result)) {
        rn_cuda_trial_free(t);
        return result;
    }
    *out = t;
    return result;
}

void rn_cuda_trial_free(struct rn_cuda_trial *trial)
{
    if (trial != NULL) {
        rn_port_release(trial->port, trial->memory);
        rn_free(trial->rows);
        rn_free(trial->others);
        rn_free(trial->first);
        rn_free(trial->found);
        rn_free(trial->poison);
        rn_free(trial);
    }
}

const struct rn_port_product *rn_cuda_trial_product(const struct rn_cuda_trial *trial)
{
    return &trial->product;
}

size_t rn_cuda_trial_counts(const struct rn_cuda_trial *trial, int64_t out[RN_CUDA_TRIAL_COUNTS])
{
    size_t count = 0;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(few); i++) {
        if (few[i] < trial->product.m) {
            out[count++] = few[i];
        }
    }
    out[count++] = trial->product.m;
    return count;
}

/* ---- products of some of the rows that lie on the device ---- */

static void send_rows(struct rn_cuda_trial *t, const struct rn_bf16 *rows)
{
    rn_port_upload(t->port, t->memory, rows,
                   (size_t)t->product.m * (size_t)t->product.k * sizeof(*rows));
}

/* Rows first .. first + count - 1 into `found`, from its start. */
static bool multiply(struct rn_cuda_trial *t, const uint8_t *algorithm, int64_t first,
                     int64_t count)
{
    struct rn_port_product p = t->product;
    const size_t bytes = (size_t)count * t->row_bytes;
    p.m = count;
    p.a = (const struct rn_bf16 *)p.a + first * p.k;
    rn_port_upload(t->port, p.d, t->poison, bytes);
    const bool issued = t->engine->multiply(t->engine->context, &p, algorithm);
    rn_port_download(t->port, t->found, p.d, bytes);
    return issued;
}

/* Whether row i of `found` is row `of` of the first result. */
static bool row_keeps(const struct rn_cuda_trial *t, int64_t i, int64_t of)
{
    return memcmp(t->found + (size_t)i * t->row_bytes, t->first + (size_t)of * t->row_bytes,
                  t->row_bytes) == 0;
}

/* The first result; false when an element is still poison. */
static bool compute_first(struct rn_cuda_trial *t, const uint8_t *algorithm)
{
    static const uint8_t poison[4] = {0xff, 0xff, 0xff, 0xff};
    const size_t size = t->product.wide ? 4 : 2;
    const size_t bytes = (size_t)t->product.m * t->row_bytes;
    send_rows(t, t->rows);
    bool good = multiply(t, algorithm, 0, t->product.m);
    for (size_t at = 0; at < bytes && good; at += size) {
        good = memcmp(t->found + at, poison, size) != 0;
    }
    memcpy(t->first, t->found, bytes);
    return good;
}

/* Some rows from each end, fewer than all. */
static bool keeps_in_few(struct rn_cuda_trial *t, const uint8_t *algorithm, int64_t count)
{
    const int64_t starts[] = {0, t->product.m - count, (t->product.m - count) / 2 | 1};
    bool keeps = true;
    for (size_t s = 0; s < RN_ARRAY_LENGTH(starts) && keeps; s++) {
        const int64_t first = starts[s];
        if (first + count > t->product.m || (s == 1 && first == 0)) {
            continue; /* all rows: once more is enough */
        }
        keeps = multiply(t, algorithm, first, count);
        for (int64_t i = 0; i < count && keeps; i++) {
            keeps = row_keeps(t, i, first + i);
        }
    }
    return keeps;
}

static bool keeps_turned(struct rn_cuda_trial *t, const uint8_t *algorithm, int64_t turn)
{
    const int64_t rows = t->product.m, k = t->product.k;
    for (int64_t i = 0; i < rows; i++) {
        memcpy(t->others + (i + turn) % rows * k, t->rows + i * k, (size_t)k * sizeof(*t->rows));
    }
    send_rows(t, t->others);
    bool keeps = multiply(t, algorithm, 0, rows);
    for (int64_t i = 0; i < rows && keeps; i++) {
        keeps = row_keeps(t, (i + turn) % rows, i);
    }
    return keeps;
}

/* Every other row replaced, from row 1 - kept on. */
static bool keeps_in_company(struct rn_cuda_trial *t, const uint8_t *algorithm, int64_t kept)
{
    const int64_t rows = t->product.m, k = t->product.k;
    random_rows(2, rows, k, t->others);
    for (int64_t i = kept; i < rows; i += 2) {
        memcpy(t->others + i * k, t->rows + i * k, (size_t)k * sizeof(*t->rows));
    }
    send_rows(t, t->others);
    bool keeps = multiply(t, algorithm, 0, rows);
    for (int64_t i = kept; i < rows && keeps; i += 2) {
        keeps = row_keeps(t, i, i);
    }
    return keeps;
}

bool rn_cuda_trial_keeps(struct rn_cuda_trial *trial, const uint8_t *algorithm)
{
    int64_t counts[RN_CUDA_TRIAL_COUNTS];
    const size_t count = rn_cuda_trial_counts(trial, counts);
    const int64_t rows = trial->product.m;
    bool keeps = compute_first(trial, algorithm);
    for (size_t i = 0; i < count && keeps; i++) { /* the last count: once more */
        keeps = keeps_in_few(trial, algorithm, counts[i]);
    }
    return keeps && keeps_turned(trial, algorithm, 1) &&
           keeps_turned(trial, algorithm, rows / 2 + 3) && keeps_in_company(trial, algorithm, 0) &&
           keeps_in_company(trial, algorithm, 1);
}
