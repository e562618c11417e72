/* SPDX-License-Identifier: Apache-2.0
 *
 * Every operation of a table once, on random input and at odd sizes, its results kept as float32 by
 * name: to compare tables with each other.
 */
#ifndef RN_TESTS_UNIT_TRAINER_KERNELCASES_H
#define RN_TESTS_UNIT_TRAINER_KERNELCASES_H

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "trainer/ground/generator.h"
#include "trainer/kernels/cpu/cpu_class.h"
#include "trainer/kernels/host.h"

enum { T = 37, S = 4, D = 40, F = 57, HEADS = 5, WIDTH = 8, R = 6, C = 3, RESULTS = 64 };

static const int32_t cu[S + 1] = {0, 1, 18, 20, T};
static const int32_t first[S] = {0, 1, 18, 20};
static const struct rn_sequences sequences = {
    .count = S, .tokens = T, .longest = 17, .cu = cu, .cu_host = cu};

struct result {
    const char *name;
    size_t count;
    float *values;
};

struct run {
    const struct rn_kernels *k;
    struct rn_device *device;
    struct rn_lane *lane;
    bool rounded; /* input is rounded to bfloat16 first, so that every table reads the same */
    struct result results[RESULTS];
    size_t count;
};

static float *host(const char *name, size_t count)
{
    float *out = rn_alloc(count, sizeof(float));
    const struct rn_generator generator = rn_generator_of(7, name);
    rn_generator_normal(&generator, 0.7, count, out);
    return out;
}

/* A new matrix of an element type with the values of that name (NULL: zeros). */
static struct rn_mat typed(const struct run *run, enum rn_element type, const char *name,
                           size_t rows, size_t cols)
{
    struct rn_mat m = {rn_alloc(rows * cols, rn_element_size(type)), (uint32_t)rows, (uint32_t)cols,
                       cols, type};
    float *from = name != NULL ? host(name, rows * cols) : rn_alloc(rows * cols, sizeof(float));
    for (size_t i = 0; i < rows * cols; i++) {
        const float value = run->rounded ? rn_bf16_value(rn_bf16_of(from[i])) : from[i];
        if (type == RN_F64) {
            ((double *)m.data)[i] = (double)value;
        } else if (type == RN_F32) {
            ((float *)m.data)[i] = value;
        } else {
            ((uint16_t *)m.data)[i] = rn_bf16_of(value);
        }
    }
    rn_free(from);
    return m;
}

/* By role. */
static struct rn_mat wide(const struct run *run, const char *name, size_t rows, size_t cols)
{
    return typed(run, run->k->activation, name, rows, cols);
}
static struct rn_mat stream(const struct run *run, const char *name, size_t rows, size_t cols)
{
    return typed(run, run->k->residual, name, rows, cols);
}
static struct rn_mat narrow(const struct run *run, const char *name, size_t rows, size_t cols)
{
    return typed(run, run->k->narrow, name, rows, cols);
}

static void keep(struct run *run, const char *name, struct rn_mat m)
{
    assert_true(run->count < RESULTS);
    struct result *result = &run->results[run->count++];
    *result = (struct result){name, (size_t)m.rows * m.cols, NULL};
    result->values = rn_alloc(result->count, sizeof(float));
    run->k->read_mat(run->lane, m, result->values);
}

static void keep_vector(struct run *run, const char *name, const float *v, size_t count)
{
    assert_true(run->count < RESULTS);
    struct result *result = &run->results[run->count++];
    *result = (struct result){name, count, NULL};
    result->values = rn_alloc(count, sizeof(float));
    memcpy(result->values, v, count * sizeof(float));
}

/* Forward products: q, k, v; attention's output; the feed-forward's inside. */
static void forward_products(struct run *run, const struct rn_weight *weight, struct rn_mat pre)
{
    const struct rn_kernels *k = run->k;
    float *bias = host("bias", F);
    float *rank_b = host("rank b", R * F);
    struct rn_mat x = stream(run, "x", T, D);
    struct rn_mat h = narrow(run, "h", T, R);
    struct rn_mat y = wide(run, NULL, T, F);
    struct rn_mat onto = stream(run, NULL, T, F);
    struct rn_mat residual = stream(run, "residual", T, F);
    struct rn_epilogue e = {.bias = bias};
    k->linear(run->lane, weight, x, &e, y);
    keep(run, "linear", y);
    e.rank_h = h;
    e.rank_b = rank_b;
    k->linear(run->lane, weight, x, &e, y);
    keep(run, "linear, rank update", y);
    e.residual = residual;
    k->linear(run->lane, weight, x, &e, onto);
    keep(run, "linear, residual", onto);
    e.pre = pre;
    e.activation = RN_ACTIVATION_GELU;
    k->linear(run->lane, weight, x, &e, y);
    keep(run, "linear, all at once", y);
    e = (struct rn_epilogue){.bias = bias, .pre = pre, .activation = RN_ACTIVATION_GELU};
    k->linear(run->lane, weight, x, &e, y);
    keep(run, "linear, gelu", y);
    e = (struct rn_epilogue){.slope = pre, .slope_of = RN_ACTIVATION_GELU};
    k->linear(run->lane, weight, x, &e, y);
    keep(run, "linear, gelu slope", y);
    k->linear(run->lane, weight, x, &(struct rn_epilogue){.activation = RN_ACTIVATION_TANH}, onto);
    keep(run, "linear, tanh", onto);
    struct rn_mat *const mats[] = {&x, &h, &y, &onto, &residual};
    for (size_t i = 0; i < sizeof(mats) / sizeof(mats[0]); i++) {
        rn_free(mats[i]->data);
    }
    rn_free(bias);
    rn_free(rank_b);
}

static void products(struct run *run)
{
    const struct rn_kernels *k = run->k;
    float *w = host("w", F * D);
    float *rank_b = host("rank b", R * F);
    float *rank_a = host("rank a", R * D);
    for (size_t i = 0; i < (size_t)F * D && run->rounded; i++) {
        w[i] = rn_bf16_value(rn_bf16_of(w[i]));
    }
    struct rn_weight *weight = NULL;
    assert_true(rn_is_ok(k->weight_new(run->device, w, F, D, &weight, NULL)));
    assert_true(k->weight_bytes(weight) > 0);
    struct rn_mat pre = wide(run, NULL, T, F);
    forward_products(run, weight, pre);
    struct rn_mat x = stream(run, "x", T, D);
    struct rn_mat y = wide(run, "y", T, F);
    struct rn_mat h = narrow(run, "h", T, R);
    struct rn_mat dx = stream(run, "dx", T, D);
    k->linear_back(run->lane, weight, y,
                   &(struct rn_epilogue){.rank_h = h, .rank_b = rank_a, .residual = dx}, dx);
    keep(run, "linear back onto itself", dx);
    struct rn_mat dz = narrow(run, "dz", T, F);
    k->linear_back(run->lane, weight, dz, &(struct rn_epilogue){0}, dx);
    keep(run, "linear back", dx);
    k->thin(run->lane, x, rank_a, h);
    keep(run, "thin", h);
    float *transposed = rn_alloc(R * F, sizeof(float));
    k->thin_transpose(run->lane, rank_b, F, R, 1.5f, transposed);
    keep_vector(run, "thin transpose", transposed, R * F);
    k->thin(run->lane, y, transposed, h);
    keep(run, "thin of transposed", h);
    k->weight_free(run->device, weight);
    rn_free(w);
    rn_free(rank_a);
    rn_free(rank_b);
    rn_free(transposed);
    struct rn_mat *const mats[] = {&pre, &x, &y, &h, &dx, &dz};
    for (size_t i = 0; i < sizeof(mats) / sizeof(mats[0]); i++) {
        rn_free(mats[i]->data);
    }
}

static void gradients(struct run *run)
{
    const struct rn_kernels *k = run->k;
    struct rn_mat u = narrow(run, "u", T, R);
    struct rn_mat v = wide(run, "v", T, D);
    float *sum = host("sum", R * D);
    k->outer_sum(run->lane, &sequences, u, v, 0.5f, false, 0, sum);
    keep_vector(run, "outer sum", sum, R * D);
    k->outer_sum(run->lane, &sequences, u, v, 0.5f, true, 0, sum);
    keep_vector(run, "outer sum, transposed", sum, R * D);
    k->outer_sum(run->lane, NULL, u, v, 1.0f, false, 0, sum);
    keep_vector(run, "outer sum of single rows", sum, R * D);
    float *each = rn_alloc((size_t)S * R * D, sizeof(float));
    k->outer_sum(run->lane, &sequences, u, v, 0.5f, true, R * D, each);
    keep_vector(run, "outer products per sequence", each, (size_t)S * R * D);
    k->column_sum(run->lane, u, sum);
    keep_vector(run, "column sum", sum, R);
    k->outer_sum(run->lane, NULL, u, u, 1.0f, false, 0, sum);
    keep_vector(run, "outer sum of narrow rows", sum, R * R);
    rn_free(u.data);
    rn_free(v.data);
    rn_free(sum);
    rn_free(each);
}

static void norms(struct run *run)
{
    const struct rn_kernels *k = run->k;
    float *gamma = host("gamma", D);
    float *beta = host("beta", D);
    float *words = host("words", 11 * D);
    float *positions = host("positions", 20 * D);
    float *types = host("types", 2 * D);
    int32_t ids[T];
    int32_t type_ids[T];
    int32_t position_ids[T];
    for (int t = 0; t < T; t++) {
        ids[t] = t % 11;
        type_ids[t] = t % 2;
        position_ids[t] = t % 20;
    }
    struct rn_mat y = stream(run, NULL, T, D);
    struct rn_mat stats = narrow(run, NULL, T, 2);
    struct rn_mat x = stream(run, "norm x", T, D);
    struct rn_mat dy = stream(run, "norm dy", T, D);
    const struct rn_embedding e = {words, positions, types, gamma, beta, 1e-5f};
    k->embed(run->lane, &e, ids, type_ids, position_ids, y);
    keep(run, "embed", y);
    k->norm(run->lane, x, gamma, beta, 1e-12f, y, stats);
    keep(run, "norm", y);
    keep(run, "norm statistics", stats);
    k->norm_back(run->lane, x, stats, gamma, dy, dy);
    keep(run, "norm back", dy);
    struct rn_mat some = stream(run, NULL, S, D);
    k->gather_rows(run->lane, x, first, some);
    keep(run, "gather", some);
    k->scatter_add_rows(run->lane, some, first, y);
    keep(run, "scatter", y);
    k->zero_mat(run->lane, rn_mat_cols(y, 3, 5));
    keep(run, "zero", y);
    rn_free(gamma);
    rn_free(beta);
    rn_free(words);
    rn_free(positions);
    rn_free(types);
    rn_free(y.data);
    rn_free(stats.data);
    rn_free(x.data);
    rn_free(dy.data);
    rn_free(some.data);
}

static void attention(struct run *run, bool first_query)
{
    const struct rn_kernels *k = run->k;
    const size_t rows = first_query ? S : T;
    const struct rn_attention a = {.sequences = sequences,
                                   .heads = HEADS,
                                   .head_dim = WIDTH,
                                   .scale = 0.35355339f,
                                   .first_query = first_query};
    struct rn_mat all = wide(run, "q", T, D);
    struct rn_mat q = wide(run, NULL, rows, D);
    if (first_query) {
        k->gather_rows(run->lane, all, first, q);
    } else {
        memcpy(q.data, all.data, (size_t)T * D * rn_element_size(all.type));
    }
    struct rn_mat keys = wide(run, "k", T, D);
    struct rn_mat v = wide(run, "v", T, D);
    struct rn_mat out = wide(run, NULL, rows, D);
    struct rn_mat lse = narrow(run, NULL, rows, HEADS);
    struct rn_mat dout = wide(run, "dout", rows, D);
    struct rn_mat dq = wide(run, NULL, rows, D);
    struct rn_mat dk = wide(run, NULL, T, D);
    struct rn_mat dv = wide(run, NULL, T, D);
    k->attention(run->lane, &a, q, keys, v, out, lse);
    keep(run, "attention", out);
    keep(run, "attention, log sums", lse);
    k->attention_back(run->lane, &a, q, keys, v, out, lse, dout, dq, dk, dv);
    keep(run, "attention back, query", dq);
    keep(run, "attention back, key", dk);
    keep(run, "attention back, value", dv);
    struct rn_mat *const mats[] = {&all, &q, &keys, &v, &out, &lse, &dout, &dq, &dk, &dv};
    for (size_t i = 0; i < sizeof(mats) / sizeof(mats[0]); i++) {
        rn_free(mats[i]->data);
    }
}

static void head(struct run *run)
{
    const struct rn_kernels *k = run->k;
    float *w = host("head w", C * D);
    float *bias = host("head b", C);
    float *square = host("square", D * D);
    float *square_bias = host("square b", D);
    struct rn_mat x = stream(run, "cls", S, D);
    struct rn_mat z = narrow(run, NULL, S, D);
    struct rn_mat logits = narrow(run, NULL, S, C);
    struct rn_mat dlogits = narrow(run, NULL, S, C);
    struct rn_mat dz = narrow(run, NULL, S, D);
    const int32_t labels[S] = {0, 2, 1, 2};
    const float targets[S] = {0.5f, -1.0f, 2.0f, 0.0f};
    double loss[S];
    float loss_f[S];
    k->dense(run->lane, x, square, square_bias, RN_ACTIVATION_TANH, z);
    keep(run, "dense, tanh", z);
    k->dense(run->lane, z, w, bias, RN_ACTIVATION_NONE, logits);
    keep(run, "dense", logits);
    k->cross_entropy(run->lane, logits, labels, 0.25f, dlogits, loss);
    keep(run, "cross entropy", dlogits);
    for (int i = 0; i < S; i++) {
        loss_f[i] = (float)loss[i];
    }
    keep_vector(run, "cross entropy, loss", loss_f, S);
    k->dense_back(run->lane, dlogits, w, z, RN_ACTIVATION_TANH, dz);
    keep(run, "dense back, tanh slope", dz);
    struct rn_mat one = narrow(run, "one", S, 1);
    struct rn_mat done = narrow(run, NULL, S, 1);
    k->squared_error(run->lane, one, targets, 0.25f, done, loss);
    keep(run, "squared error", done);
    rn_free(w);
    rn_free(bias);
    rn_free(square);
    rn_free(square_bias);
    rn_free(x.data);
    rn_free(z.data);
    rn_free(logits.data);
    rn_free(dlogits.data);
    rn_free(dz.data);
    rn_free(one.data);
    rn_free(done.data);
}

static void vectors(struct run *run)
{
    const struct rn_kernels *k = run->k;
    enum { N = 77 };
    float *p = host("p", N);
    float *g = host("g", N);
    float *m = rn_alloc(N, sizeof(float));
    float *v = rn_alloc(N, sizeof(float));
    for (int step = 1; step <= 3; step++) {
        const struct rn_adamw o = {.lr = 0.01f,
                                   .beta1 = 0.9f,
                                   .beta2 = 0.999f,
                                   .eps = 1e-8f,
                                   .weight_decay = 0.1f,
                                   .correction1 = 1.0 - pow(0.9, step),
                                   .correction2 = 1.0 - pow(0.999, step)};
        k->adamw(run->lane, N, &o, g, m, v, p);
    }
    keep_vector(run, "adamw", p, N);
    k->sgd(run->lane, N, 0.1f, 0.01f, g, p);
    keep_vector(run, "sgd", p, N);
    k->vector_add(run->lane, N, g, p);
    k->vector_scale(run->lane, N, 0.3f, p);
    const float square = (float)k->vector_square_sum(run->lane, N, p);
    keep_vector(run, "add and scale", p, N);
    keep_vector(run, "square sum", &square, 1);
    rn_free(p);
    rn_free(g);
    rn_free(m);
    rn_free(v);
}

/* A device and a lane; free with run_free. */
static void run_open(struct run *run, const struct rn_kernels *k, bool rounded)
{
    const struct rn_lane_limits limits = {.tokens = T,
                                          .sequences = S,
                                          .length = 17,
                                          .width = F,
                                          .heads = HEADS,
                                          .head_dim = WIDTH,
                                          .rank = R};
    *run = (struct run){.k = k, .rounded = rounded};
    assert_true(rn_is_ok(k->device_open(&run->device, NULL)));
    assert_true(rn_is_ok(k->lane_new(run->device, &limits, &run->lane, NULL)));
}

/* All operations; free with run_free. */
static void run_all(struct run *run, const struct rn_kernels *k, bool rounded)
{
    run_open(run, k, rounded);
    products(run);
    gradients(run);
    norms(run);
    attention(run, false);
    attention(run, true);
    head(run);
    vectors(run);
}

static void run_free(struct run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        rn_free(run->results[i].values);
    }
    run->k->lane_free(run->lane);
    run->k->device_close(run->device);
}

#endif
