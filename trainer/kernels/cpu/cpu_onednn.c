/* SPDX-License-Identifier: Apache-2.0
 *
 * The one file that calls oneDNN.
 */
#include "trainer/kernels/cpu/cpu_onednn.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/guard.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <string.h>

#define SHAPES_MAX 256 /* different slice shapes of one model */

/* One shape of slice: its primitive, and what that wants of its arguments. */
struct shape {
    size_t depth, width; /* padded */
    dnnl_memory_desc_t left, weights, sums, scratch;
    dnnl_primitive_t primitive;
    bool exact; /* a row keeps its bits at every place: tried */
};

struct rn_onednn {
    dnnl_engine_t engine;
    size_t strip;
    size_t count;
    struct shape *shapes[SHAPES_MAX];
};

struct slice {
    size_t shape;
    size_t first, count; /* columns */
    dnnl_memory_t weights;
};

struct rn_onednn_matrix {
    struct rn_onednn *owner;
    size_t depth; /* padded */
    size_t bytes;
    uint8_t *packed;
    size_t count;
    struct slice *slices;
};

/* Memory objects of a lane for one primitive. */
struct bound {
    dnnl_memory_t left, sums, scratch;
};

struct rn_onednn_lane {
    struct rn_onednn *owner;
    dnnl_stream_t stream;
    uint16_t *rows;
    float *sums;
    uint8_t *scratch;
    size_t scratch_bytes;
    struct bound bound[SHAPES_MAX];
};

/* The library asks OpenMP how many threads there are, at creation and at execution; this thread
 * answers one meanwhile. */
static int alone(void)
{
    const int before = omp_get_max_threads();
    omp_set_num_threads(1);
    return before;
}

static rn_result check(dnnl_status_t status, const char *what, struct rn_error *err)
{
    RN_ENSURE(status == dnnl_success, err, RN_E_UNSUPPORTED,
              "oneDNN refuses %s (status %d); use backend cpu", what, (int)status);
    return rn_ok();
}

static size_t round_up(size_t value, size_t unit)
{
    return (value + unit - 1) / unit * unit;
}

void rn_onednn_version(size_t size, char *out)
{
    const dnnl_version_t *v = dnnl_version();
    (void)rn_text_format(out, size, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
}

rn_result rn_onednn_new(struct rn_onednn **out, struct rn_error *err)
{
    struct rn_onednn *onednn = rn_alloc(1, sizeof(*onednn));
    const rn_result result =
        check(dnnl_engine_create(&onednn->engine, dnnl_cpu, 0), "a CPU engine", err);
    if (!rn_is_ok(result)) {
        rn_free(onednn);
        return result;
    }
    onednn->strip = rn_onednn_has_amx() ? RN_STRIP_MAX : 16;
    *out = onednn;
    return rn_ok();
}

size_t rn_onednn_strip(const struct rn_onednn *onednn)
{
    return onednn->strip;
}

bool rn_onednn_has_amx(void)
{
    /* each class has the bits of those below it */
    const unsigned amx = (unsigned)dnnl_cpu_isa_avx512_core_amx;
    return ((unsigned)dnnl_get_effective_cpu_isa() & amx) == amx;
}

void rn_onednn_without_amx(void)
{
    (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx512_core_bf16);
    /* each class has the bits of those below it */
    const unsigned effective = (unsigned)dnnl_get_effective_cpu_isa();
    RN_BUG_IF((effective & ~(unsigned)dnnl_cpu_isa_avx512_core_bf16) != 0);
}

static void shape_free(struct shape *shape)
{
    if (shape->primitive != NULL) {
        (void)dnnl_primitive_destroy(shape->primitive);
    }
    rn_free(shape);
}

void rn_onednn_free(struct rn_onednn *onednn)
{
    if (onednn == NULL) {
        return;
    }
    for (size_t i = 0; i < onednn->count; i++) {
        shape_free(onednn->shapes[i]);
    }
    (void)dnnl_engine_destroy(onednn->engine);
    rn_free(onednn);
}

static dnnl_status_t plain(dnnl_memory_desc_t *out, size_t rows, size_t cols, dnnl_data_type_t type)
{
    const dnnl_dims_t dims = {(dnnl_dim_t)rows, (dnnl_dim_t)cols};
    return dnnl_memory_desc_init_by_tag(out, 2, dims, type, dnnl_ab);
}

/* Packing is left to the library. */
static dnnl_status_t primitive_new(struct rn_onednn *onednn, struct shape *shape,
                                   const_dnnl_primitive_attr_t attributes)
{
    dnnl_matmul_desc_t product;
    dnnl_primitive_desc_t description = NULL;
    dnnl_status_t status =
        dnnl_matmul_desc_init(&product, &shape->left, &shape->weights, NULL, &shape->sums);
    if (status == dnnl_success) {
        status =
            dnnl_primitive_desc_create(&description, &product, attributes, onednn->engine, NULL);
    }
    if (status != dnnl_success) {
        return status;
    }
    shape->weights = *dnnl_primitive_desc_query_md(description, dnnl_query_weights_md, 0);
    shape->scratch = *dnnl_primitive_desc_query_md(description, dnnl_query_scratchpad_md, 0);
    status = dnnl_primitive_create(&shape->primitive, description);
    (void)dnnl_primitive_desc_destroy(description);
    return status;
}

static dnnl_status_t shape_fill(struct rn_onednn *onednn, struct shape *shape)
{
    const dnnl_dims_t dims = {(dnnl_dim_t)shape->depth, (dnnl_dim_t)shape->width};
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(&attributes);
    if (status != dnnl_success) {
        return status;
    }
    status = dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
    if (status == dnnl_success) {
        status =
            dnnl_memory_desc_init_by_tag(&shape->weights, 2, dims, dnnl_bf16, dnnl_format_tag_any);
    }
    if (status == dnnl_success) {
        status = plain(&shape->left, onednn->strip, shape->depth, dnnl_bf16);
    }
    if (status == dnnl_success) {
        status = plain(&shape->sums, onednn->strip, shape->width, dnnl_f32);
    }
    if (status == dnnl_success) {
        status = primitive_new(onednn, shape, attributes);
    }
    (void)dnnl_primitive_attr_destroy(attributes);
    return status;
}

static rn_result shape_find(struct rn_onednn *onednn, size_t depth, size_t width, size_t *out,
                            struct rn_error *err)
{
    for (size_t i = 0; i < onednn->count; i++) {
        if (onednn->shapes[i]->depth == depth && onednn->shapes[i]->width == width) {
            *out = i;
            return rn_ok();
        }
    }
    RN_ENSURE(onednn->count < SHAPES_MAX, err, RN_E_UNSUPPORTED, "more than %d shapes of matrices",
              SHAPES_MAX);
    struct shape *shape = rn_alloc(1, sizeof(*shape));
    shape->depth = depth;
    shape->width = width;
    const rn_result result = check(shape_fill(onednn, shape), "a bfloat16 product", err);
    if (!rn_is_ok(result)) {
        shape_free(shape);
        return result;
    }
    *out = onednn->count;
    onednn->shapes[onednn->count++] = shape;
    return rn_ok();
}

/* Reorders a plain float32 slice into its packing. */
static dnnl_status_t reorder(struct rn_onednn *onednn, const struct shape *shape, float *from,
                             dnnl_memory_t to)
{
    dnnl_memory_desc_t source;
    dnnl_memory_t memory = NULL;
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_stream_t stream = NULL;
    dnnl_status_t status = plain(&source, shape->depth, shape->width, dnnl_f32);
    if (status == dnnl_success) {
        status = dnnl_memory_create(&memory, &source, onednn->engine, from);
    }
    if (status == dnnl_success) {
        status = dnnl_reorder_primitive_desc_create(&description, &source, onednn->engine,
                                                    &shape->weights, onednn->engine, NULL);
    }
    if (status == dnnl_success) {
        status = dnnl_primitive_create(&primitive, description);
    }
    if (status == dnnl_success) {
        status = dnnl_stream_create(&stream, onednn->engine, dnnl_stream_default_flags);
    }
    if (status == dnnl_success) {
        const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, memory}, {DNNL_ARG_TO, to}};
        status = dnnl_primitive_execute(primitive, stream, 2, arguments);
    }
    if (stream != NULL) {
        (void)dnnl_stream_wait(stream);
        (void)dnnl_stream_destroy(stream);
    }
    if (primitive != NULL) {
        (void)dnnl_primitive_destroy(primitive);
    }
    if (description != NULL) {
        (void)dnnl_primitive_desc_destroy(description);
    }
    if (memory != NULL) {
        (void)dnnl_memory_destroy(memory);
    }
    return status;
}

/* Where the factor comes from. */
struct source {
    const float *w;
    size_t depth, step_i, step_c;
};

static dnnl_status_t slice_pack(struct rn_onednn *onednn, const struct source *from,
                                struct slice *slice, uint8_t *to)
{
    const struct shape *shape = onednn->shapes[slice->shape];
    RN_CLEANUP(rn_free_cleanup) float *plane = rn_alloc(shape->depth * shape->width, sizeof(float));
    for (size_t i = 0; i < from->depth; i++) {
        for (size_t c = 0; c < slice->count; c++) {
            plane[i * shape->width + c] =
                from->w[i * from->step_i + (slice->first + c) * from->step_c];
        }
    }
    const dnnl_status_t status =
        dnnl_memory_create(&slice->weights, &shape->weights, onednn->engine, to);
    return status == dnnl_success ? reorder(onednn, shape, plane, slice->weights) : status;
}

static rn_result matrix_fill(struct rn_onednn_matrix *matrix, const struct source *from,
                             size_t columns, struct rn_error *err)
{
    const size_t step = round_up((columns + matrix->count - 1) / matrix->count, 16);
    for (size_t i = 0; i < matrix->count; i++) {
        struct slice *slice = &matrix->slices[i];
        slice->first = i * step;
        slice->count = columns - slice->first < step ? columns - slice->first : step;
        RN_TRY(shape_find(matrix->owner, matrix->depth, round_up(slice->count, 16), &slice->shape,
                          err));
        matrix->bytes +=
            round_up(dnnl_memory_desc_get_size(&matrix->owner->shapes[slice->shape]->weights), 64);
    }
    matrix->packed = rn_alloc(matrix->bytes, 1);
    uint8_t *to = matrix->packed;
    for (size_t i = 0; i < matrix->count; i++) {
        struct slice *slice = &matrix->slices[i];
        RN_TRY(check(slice_pack(matrix->owner, from, slice, to), "packing a matrix", err));
        to +=
            round_up(dnnl_memory_desc_get_size(&matrix->owner->shapes[slice->shape]->weights), 64);
    }
    return rn_ok();
}

/* Slices of shapes that no matrix had before. */
static rn_result matrix_try(struct rn_onednn_matrix *matrix, struct rn_error *err)
{
    for (size_t i = 0; i < matrix->count; i++) {
        struct shape *shape = matrix->owner->shapes[matrix->slices[i].shape];
        struct rn_onednn_lane *lane = NULL;
        if (shape->exact) {
            continue;
        }
        RN_TRY(rn_onednn_lane_new(matrix->owner, matrix->depth, &lane, err));
        shape->exact = rn_onednn_rows_keep(lane, matrix, i);
        rn_onednn_lane_free(lane);
        RN_ENSURE(shape->exact, err, RN_E_UNSUPPORTED,
                  "oneDNN's bfloat16 product of depth %zu and width %zu gives a row other bits in "
                  "other company; use backend cpu",
                  shape->depth, shape->width);
    }
    return rn_ok();
}

rn_result rn_onednn_matrix_new(struct rn_onednn *onednn, const float *w, size_t depth,
                               size_t columns, size_t step_i, size_t step_c,
                               struct rn_onednn_matrix **out, struct rn_error *err)
{
    struct rn_onednn_matrix *matrix = rn_alloc(1, sizeof(*matrix));
    const struct source from = {w, depth, step_i, step_c};
    matrix->owner = onednn;
    matrix->depth = round_up(depth, RN_ONEDNN_DEPTH);
    matrix->count = (columns + RN_ONEDNN_SLICE - 1) / RN_ONEDNN_SLICE;
    matrix->slices = rn_alloc(matrix->count, sizeof(*matrix->slices));
    const int before = alone();
    rn_result result = matrix_fill(matrix, &from, columns, err);
    omp_set_num_threads(before);
    if (rn_is_ok(result)) {
        result = matrix_try(matrix, err);
    }
    if (!rn_is_ok(result)) {
        rn_onednn_matrix_free(matrix);
        return result;
    }
    *out = matrix;
    return rn_ok();
}

void rn_onednn_matrix_free(struct rn_onednn_matrix *matrix)
{
    if (matrix == NULL) {
        return;
    }
    for (size_t i = 0; i < matrix->count; i++) {
        if (matrix->slices[i].weights != NULL) {
            (void)dnnl_memory_destroy(matrix->slices[i].weights);
        }
    }
    rn_free(matrix->slices);
    rn_free(matrix->packed);
    rn_free(matrix);
}

size_t rn_onednn_matrix_bytes(const struct rn_onednn_matrix *matrix)
{
    return matrix->bytes;
}

size_t rn_onednn_depth(const struct rn_onednn_matrix *matrix)
{
    return matrix->depth;
}

size_t rn_onednn_slices(const struct rn_onednn_matrix *matrix)
{
    return matrix->count;
}

/* The lane's memory objects for a shape, made at its first use. */
static const struct bound *bind(struct rn_onednn_lane *lane, size_t number)
{
    const struct shape *shape = lane->owner->shapes[number];
    struct bound *bound = &lane->bound[number];
    if (bound->left != NULL) {
        return bound;
    }
    const size_t bytes = dnnl_memory_desc_get_size(&shape->scratch);
    if (bytes > lane->scratch_bytes) { /* the objects made so far set their handle at each use */
        rn_free(lane->scratch);
        lane->scratch = rn_alloc(bytes, 1);
        lane->scratch_bytes = bytes;
    }
    const dnnl_engine_t engine = lane->owner->engine;
    dnnl_status_t status = dnnl_memory_create(&bound->left, &shape->left, engine, lane->rows);
    if (status == dnnl_success) {
        status = dnnl_memory_create(&bound->sums, &shape->sums, engine, lane->sums);
    }
    if (status == dnnl_success && bytes > 0) {
        status = dnnl_memory_create(&bound->scratch, &shape->scratch, engine, lane->scratch);
    }
    RN_BUG_IF(status != dnnl_success);
    return bound;
}

rn_result rn_onednn_lane_new(struct rn_onednn *onednn, size_t width, struct rn_onednn_lane **out,
                             struct rn_error *err)
{
    struct rn_onednn_lane *lane = rn_alloc(1, sizeof(*lane));
    lane->owner = onednn;
    const rn_result result =
        check(dnnl_stream_create(&lane->stream, onednn->engine, dnnl_stream_default_flags),
              "a stream", err);
    if (!rn_is_ok(result)) {
        rn_free(lane);
        return result;
    }
    lane->rows = rn_alloc(onednn->strip * round_up(width, RN_ONEDNN_DEPTH), sizeof(uint16_t));
    lane->sums = rn_alloc(onednn->strip * RN_ONEDNN_SLICE, sizeof(float));
    /* What the matrices so far will need now, not in the middle of a step. */
    for (size_t i = 0; i < SHAPES_MAX && onednn->shapes[i] != NULL; i++) {
        (void)bind(lane, i);
    }
    *out = lane;
    return rn_ok();
}

static void bound_clear(struct bound *bound)
{
    dnnl_memory_t memories[] = {bound->left, bound->sums, bound->scratch};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(memories); i++) {
        if (memories[i] != NULL) {
            (void)dnnl_memory_destroy(memories[i]);
        }
    }
    *bound = (struct bound){0};
}

void rn_onednn_lane_free(struct rn_onednn_lane *lane)
{
    if (lane == NULL) {
        return;
    }
    for (size_t i = 0; i < SHAPES_MAX; i++) {
        bound_clear(&lane->bound[i]);
    }
    (void)dnnl_stream_destroy(lane->stream);
    rn_free(lane->rows);
    rn_free(lane->sums);
    rn_free(lane->scratch);
    rn_free(lane);
}

size_t rn_onednn_lane_strip(const struct rn_onednn_lane *lane)
{
    return lane->owner->strip;
}

uint16_t *rn_onednn_rows(struct rn_onednn_lane *lane)
{
    return lane->rows;
}

struct rn_strip_sums rn_onednn_product(struct rn_onednn_lane *lane,
                                       const struct rn_onednn_matrix *matrix, size_t slice_number,
                                       const uint16_t *rows)
{
    RN_BUG_IF(slice_number >= matrix->count);
    const struct slice *slice = &matrix->slices[slice_number];
    const struct shape *shape = lane->owner->shapes[slice->shape];
    const int before = alone();
    const struct bound *bound = bind(lane, slice->shape);
    dnnl_exec_arg_t arguments[4] = {{DNNL_ARG_SRC, bound->left},
                                    {DNNL_ARG_WEIGHTS, slice->weights},
                                    {DNNL_ARG_DST, bound->sums}};
    /* the library only reads the left factor */
    uintptr_t address = (uintptr_t)rows;
    dnnl_status_t status =
        dnnl_memory_set_data_handle_v2(bound->left, (void *)address, lane->stream);
    if (bound->scratch != NULL && status == dnnl_success) {
        arguments[3] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, bound->scratch};
        status = dnnl_memory_set_data_handle_v2(bound->scratch, lane->scratch, lane->stream);
    }
    if (status == dnnl_success) {
        status = dnnl_primitive_execute(shape->primitive, lane->stream,
                                        bound->scratch != NULL ? 4 : 3, arguments);
    }
    omp_set_num_threads(before);
    RN_BUG_IF(status != dnnl_success);
    return (struct rn_strip_sums){slice->first, slice->count, shape->width, lane->sums};
}
