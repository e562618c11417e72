/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan of a trainer's memory.
 */
#include "trainer/memoryplan.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "base/memoryavailable.h"
#include "trainer/adapter/adapter.h"
#include "trainer/ground/safetensors.h"
#include "trainer/settled.h"

#define GIB ((double)((uint64_t)1 << 30))

const char *rn_memory_arena_name(enum rn_memory_arena arena)
{
    static const char *const names[RN_MEMORY_ARENAS] = {
        "weights", "step", "adapter", "prefix cache", "data", "examples", "program",
    };
    return names[arena];
}

const char *rn_memory_device_name(enum rn_memory_device device)
{
    return device == RN_MEMORY_HOST ? "host" : device == RN_MEMORY_DISK ? "disk" : "accelerator";
}

static void add(struct rn_memory_plan *plan, enum rn_memory_arena arena,
                enum rn_memory_device device, uint64_t bytes)
{
    if (bytes == 0) {
        return;
    }
    RN_BUG_IF(plan->line_count == RN_MEMORY_LINES_MAX);
    plan->lines[plan->line_count++] = (struct rn_memory_line){arena, device, bytes};
    uint64_t *sum = device == RN_MEMORY_HOST   ? &plan->host
                    : device == RN_MEMORY_DISK ? &plan->disk
                                               : &plan->accelerator;
    *sum += bytes;
}

/* Bytes of one frozen matrix as the backend packs it. */
static rn_result matrix_bytes(const struct rn_encoder *encoder, uint32_t n, uint32_t k,
                              uint64_t *out, struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup) float *zeros = rn_alloc((size_t)n * k, sizeof(float));
    struct rn_weight *weight = NULL;
    RN_TRY(encoder->kernels->weight_new(encoder->device, zeros, n, k, &weight, err));
    *out = encoder->kernels->weight_bytes(weight);
    encoder->kernels->weight_free(encoder->device, weight);
    return rn_ok();
}

/* The shapes differ in at most three ways: square, wide, tall. */
static rn_result weight_bytes(const struct rn_adapter *adapter, uint64_t *out, uint64_t *out_square,
                              struct rn_error *err)
{
    const struct rn_encoder *encoder = adapter->encoder;
    const struct rn_model_config *c = &encoder->config;
    uint64_t layer = 0;
    uint64_t known[3] = {0};
    for (uint32_t module = 0; module < c->family->layer->module_count; module++) {
        uint32_t n = 0;
        uint32_t k = 0;
        rn_module_shape(c, module, &n, &k);
        uint64_t *one = &known[n == k ? 0 : n > k ? 1 : 2];
        if (*one == 0) {
            RN_TRY(matrix_bytes(encoder, n, k, one, err));
        }
        layer += *one + (c->family->layer->modules[module].bias ? n * sizeof(float) : 0);
    }
    layer += 2 * c->family->layer->norm_count * (uint64_t)c->hidden * sizeof(float);
    const uint64_t rows = (uint64_t)c->vocabulary + c->positions + c->types + 2;
    *out = c->layers * layer + rows * c->hidden * sizeof(float);
    *out_square = known[0] != 0 ? known[0] : 0;
    return rn_ok();
}

static uint64_t adapter_bytes(const struct rn_adapter *adapter, bool training)
{
    return ((training ? 4 : 1) * (uint64_t)adapter->count + adapter->transposed_count) *
           sizeof(float);
}

/* What one lane takes of the host beside the pass: measured, for only the backend knows. */
static rn_result lane_bytes(const struct rn_adapter *adapter, const struct rn_pass_options *options,
                            uint64_t *out, struct rn_error *err)
{
    const struct rn_encoder *encoder = adapter->encoder;
    const struct rn_lane_limits limits = rn_pass_lane_limits(adapter, options);
    const size_t before = rn_alloc_thread_bytes();
    struct rn_lane *lane = NULL;
    RN_TRY(encoder->kernels->lane_new(encoder->device, &limits, &lane, err));
    *out = rn_alloc_thread_bytes() - before;
    encoder->kernels->lane_free(lane);
    return rn_ok();
}

/* At the most: every value trains, the pool of noise is full (dpwords.h). */
static void add_examples(const struct rn_adapter *adapter, const struct rn_pass_options *options,
                         enum rn_memory_device device, struct rn_memory_plan *plan)
{
    const uint64_t vector = (uint64_t)adapter->count * sizeof(float);
    const uint64_t fit = RN_DP_GRADIENTS_BYTES_MAX / vector;
    const uint64_t examples = fit < 1 ? 1 : fit < options->sequences ? fit : options->sequences;
    const uint64_t whole = (uint64_t)adapter->count * sizeof(int64_t);
    add(plan, RN_MEMORY_EXAMPLES, device,
        plan->lanes * (examples * (vector + sizeof(double)) + whole) + whole);
    add(plan, RN_MEMORY_EXAMPLES, RN_MEMORY_HOST,
        whole > RN_DP_POOL_BYTES_MAX ? whole : RN_DP_POOL_BYTES_MAX);
}

/* After all other lines: an automatic budget is what they leave. */
static void add_cache(const struct rn_settled *settled, const struct rn_adapter *adapter,
                      const struct rn_memory_request *request, struct rn_memory_plan *plan)
{
    if (!rn_settled_caches(settled, adapter->lowest)) {
        return;
    }
    const uint32_t row = adapter->encoder->config.hidden *
                         (uint32_t)rn_element_size(adapter->encoder->kernels->residual);
    uint64_t budget = settled->cache_bytes;
    if (budget == RN_CACHE_AUTO) {
        const uint64_t left = plan->available > plan->host ? plan->available - plan->host : 0;
        budget = rn_settled_cache_auto(settled, left);
    }
    const uint64_t table = rn_prefixcache_table_bytes(budget, row);
    const uint64_t filled = request->data_tokens * (row + 5) + request->data_records * 192 + 4096;
    budget = request->data_tokens != 0 && filled < budget ? filled : budget;
    add(plan, RN_MEMORY_CACHE, settled->cache_dir != NULL ? RN_MEMORY_DISK : RN_MEMORY_HOST,
        budget);
    add(plan, RN_MEMORY_CACHE, RN_MEMORY_HOST, table);
}

static rn_result fill(const struct rn_settled *settled, const struct rn_adapter *adapter,
                      const struct rn_memory_request *request, struct rn_memory_plan *plan,
                      struct rn_error *err)
{
    const bool host = rn_settled_on_host(settled);
    const enum rn_memory_device device = host ? RN_MEMORY_HOST : RN_MEMORY_ACCELERATOR;
    const struct rn_pass_options options = rn_settled_options(settled, request->training);
    const uint64_t d = adapter->encoder->config.hidden;
    uint64_t weights = 0;
    uint64_t square = 0;
    uint64_t lane = 0;
    RN_TRY(weight_bytes(adapter, &weights, &square, err));
    RN_TRY(lane_bytes(adapter, &options, &lane, err));
    if (adapter->encoder->config.family->head == RN_HEAD_POOLER) {
        weights += square + d * sizeof(float);
        add(plan, RN_MEMORY_WEIGHTS, RN_MEMORY_HOST, (d * d + d) * sizeof(float));
    }
    add(plan, RN_MEMORY_WEIGHTS, device, weights);
    add(plan, RN_MEMORY_STEP, device, plan->lanes * (uint64_t)rn_pass_bytes(adapter, &options));
    lane += rn_pass_host_bytes(adapter, &options, rn_settled_caches(settled, adapter->lowest));
    add(plan, RN_MEMORY_STEP, RN_MEMORY_HOST, plan->lanes * lane);
    add(plan, RN_MEMORY_ADAPTER, device, adapter_bytes(adapter, request->training));
    if (request->dp) {
        add_examples(adapter, &options, device, plan);
    }
    add(plan, RN_MEMORY_DATA, RN_MEMORY_HOST,
        request->data_tokens * (sizeof(uint32_t) + 1) + request->data_records * 32);
    add(plan, RN_MEMORY_PROGRAM, RN_MEMORY_HOST, RN_MEMORY_SLACK_BYTES);
    add_cache(settled, adapter, request, plan);
    return rn_ok();
}

rn_result rn_memory_plan_of(struct rn_settled *settled, const struct rn_safetensors *tensors,
                            const struct rn_memory_request *request, uint64_t limit,
                            struct rn_memory_plan *out, struct rn_error *err)
{
    const struct rn_encoder encoder = {
        .kernels = settled->kernels, .device = settled->device, .config = settled->model};
    struct rn_adapter adapter = {0};
    *out = (struct rn_memory_plan){.available = limit != 0 ? limit : rn_memory_available(),
                                   .lanes = settled->threads,
                                   .max_length = settled->max_length};
    _Static_assert(sizeof(out->measured) == RN_KERNELS_MEASURED_MAX, "as the kernels say it");
    (void)rn_text_format(out->kernels, sizeof(out->kernels), "%.24s %.22s", settled->kernels->name,
                         settled->kernels->device_describe(settled->device));
    rn_kernels_measured(settled->kernels, out->measured);
    RN_TRY(rn_adapter_shape(&adapter, &encoder, &settled->config, settled->label_count,
                            tensors != NULL && rn_adapter_pooler_missing(&settled->model, tensors),
                            err));
    const rn_result result = fill(settled, &adapter, request, out, err);
    settled->config = adapter.config; /* given back */
    adapter.config = (struct rn_peft_config){0};
    rn_adapter_clear(&adapter);
    return result;
}

rn_result rn_trainer_memory_plan(const struct rn_trainer_spec *spec,
                                 const struct rn_memory_request *request,
                                 struct rn_memory_plan *out, struct rn_error *err)
{
    RN_CLEANUP(rn_settled_clear) struct rn_settled settled = {0};
    RN_TRY(rn_settle(spec, &settled, err));
    /* Only whether there is a pooler: a directory without weights can be planned too. */
    RN_CLEANUP(rn_safetensors_cleanup) struct rn_safetensors *tensors = NULL;
    const bool there = rn_is_ok(rn_safetensors_open_model(spec->model_dir, &tensors, NULL));
    return rn_memory_plan_of(&settled, there ? tensors : NULL, request, spec->memory_limit, out,
                             err);
}

static uint64_t bytes_of(const struct rn_memory_plan *plan, enum rn_memory_arena arena)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < plan->line_count; i++) {
        if (plan->lines[i].arena == arena && plan->lines[i].device == RN_MEMORY_HOST) {
            bytes += plan->lines[i].bytes;
        }
    }
    return bytes;
}

rn_result rn_memory_plan_check(const struct rn_memory_plan *plan, struct rn_error *err)
{
    const uint64_t weights = bytes_of(plan, RN_MEMORY_WEIGHTS);
    const uint64_t step = bytes_of(plan, RN_MEMORY_STEP);
    const uint64_t cache = bytes_of(plan, RN_MEMORY_CACHE);
    if (plan->host <= plan->available) {
        return rn_ok();
    }
    const double over = (double)(plan->host - plan->available) / GIB;
    if ((double)cache / GIB >= over) {
        return rn_fail(err, RN_E_MEMORY,
                       "%.2f GiB of memory are needed, %.2f are available: the prefix cache takes "
                       "%.2f; make it smaller (--prefix-cache) or put it into a file "
                       "(--prefix-cache-dir)",
                       (double)plan->host / GIB, (double)plan->available / GIB,
                       (double)cache / GIB);
    }
    if ((double)step / GIB > over) {
        return rn_fail(err, RN_E_MEMORY,
                       "%.2f GiB of memory are needed, %.2f are available: %u lanes take %.2f for "
                       "records of %u tokens; lower --threads or --max-length, or use the backend "
                       "cpu-bf16",
                       (double)plan->host / GIB, (double)plan->available / GIB, plan->lanes,
                       (double)step / GIB, plan->max_length);
    }
    return rn_fail(err, RN_E_MEMORY,
                   "%.2f GiB of memory are needed, %.2f are available: the model's weights alone "
                   "take %.2f; use the backend cpu-bf16 or a smaller model, or lower --threads, "
                   "--max-length and --rank",
                   (double)plan->host / GIB, (double)plan->available / GIB, (double)weights / GIB);
}
