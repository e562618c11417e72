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
#include "trainer/learn/learn.h"
#include "trainer/privacy/dp.h"
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
static rn_result matrix_bytes(const struct rn_encoder *encoder, uint32_t n, uint32_t k, bool back,
                              uint64_t *out, struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup) float *zeros = rn_alloc((size_t)n * k, sizeof(float));
    struct rn_weight *weight = NULL;
    RN_TRY(rn_encoder_pack(encoder, zeros, n, k, back, &weight, err));
    *out = encoder->kernels->weight_bytes(weight);
    encoder->kernels->weight_free(encoder->device, weight);
    return rn_ok();
}

/* Sizes that are known; the shapes differ in at most three ways: square, wide, tall. */
struct sizes {
    const struct rn_encoder *encoder;
    uint64_t of[3][2]; /* forward alone, both ways */
};

static rn_result size_of(struct sizes *sizes, uint32_t n, uint32_t k, bool back, uint64_t *sum,
                         struct rn_error *err)
{
    uint64_t *one = &sizes->of[n == k ? 0 : n > k ? 1 : 2][back];
    if (*one == 0) {
        RN_TRY(matrix_bytes(sizes->encoder, n, k, back, one, err));
    }
    *sum += *one;
    return rn_ok();
}

static rn_result layer_bytes(struct sizes *sizes, const struct rn_adapter *adapter, bool training,
                             bool full, uint32_t layer, uint64_t *sum, struct rn_error *err)
{
    const struct rn_model_config *c = &adapter->encoder->config;
    const struct rn_block *block = c->family->layer;
    const bool any = training && (full || layer >= adapter->lowest);
    bool back[RN_MODULES_MAX];
    rn_adapter_below(adapter, full, layer, back);
    for (uint32_t module = 0; module < block->module_count; module++) {
        uint32_t n = 0;
        uint32_t k = 0;
        rn_module_shape(c, module, &n, &k);
        if (block->modules[module].zero) {
            RN_TRY(size_of(sizes, n, rn_zero_columns(k), false, sum, err));
            continue;
        }
        RN_TRY(size_of(sizes, n, k, any && back[module], sum, err));
        *sum += block->modules[module].bias ? n * sizeof(float) : 0;
    }
    *sum += 2 * block->norm_count * (uint64_t)c->hidden * sizeof(float);
    return rn_ok();
}

/* Device bytes of the model, as rn_settled_back says which matrices go both ways. */
static rn_result weight_bytes(const struct rn_adapter *adapter, bool training, bool full,
                              uint64_t *out, struct rn_error *err)
{
    const struct rn_model_config *c = &adapter->encoder->config;
    struct sizes sizes = {.encoder = adapter->encoder};
    const uint64_t rows =
        c->family->rows ? 0 : (uint64_t)c->vocabulary + c->positions + c->types + 2;
    *out = rows * c->hidden * sizeof(float);
    for (uint32_t layer = 0; layer < c->layers; layer++) {
        RN_TRY(layer_bytes(&sizes, adapter, training, full, layer, out, err));
    }
    if (c->family->head == RN_HEAD_POOLER) {
        const bool back = training && rn_adapter_below_head(adapter, full);
        RN_TRY(size_of(&sizes, c->hidden, c->hidden, back, out, err));
        *out += c->hidden * sizeof(float);
    }
    return rn_ok();
}

static uint64_t adapter_bytes(const struct rn_adapter *adapter, bool training)
{
    return ((training ? 4 : 1) * (uint64_t)adapter->count + adapter->transposed_count) *
           sizeof(float);
}

/* Of the accelerator; 0 where device memory is the host's. */
static uint64_t device_left(const struct rn_encoder *encoder)
{
    return encoder->kernels->memory_left != NULL ? encoder->kernels->memory_left(encoder->device)
                                                 : 0;
}

/* What one lane takes of the host and of the accelerator beside the pass: measured, for only the
 * backend knows. */
static rn_result lane_bytes(const struct rn_adapter *adapter, const struct rn_pass_options *options,
                            uint64_t *out, uint64_t *out_device, struct rn_error *err)
{
    const struct rn_encoder *encoder = adapter->encoder;
    const struct rn_lane_limits limits = rn_pass_lane_limits(adapter, options);
    const size_t before = rn_alloc_thread_bytes();
    const uint64_t left = device_left(encoder);
    struct rn_lane *lane = NULL;
    RN_TRY(encoder->kernels->lane_new(encoder->device, &limits, &lane, err));
    const uint64_t now = device_left(encoder);
    *out = rn_alloc_thread_bytes() - before;
    *out_device = left > now ? left - now : 0;
    encoder->kernels->lane_free(lane);
    return rn_ok();
}

/* Each client's values, transposed, gradient and moments on the device, and a copy of all values
 * until all are known to be good. What a batch's lists take is in the slack. */
static void add_clients(const struct rn_adapter *adapter, uint32_t clients,
                        enum rn_memory_device device, struct rn_memory_plan *plan)
{
    add(plan, RN_MEMORY_ADAPTER, device, clients * adapter_bytes(adapter, true));
    add(plan, RN_MEMORY_ADAPTER, RN_MEMORY_HOST,
        clients * (uint64_t)adapter->count * sizeof(float));
}

/* At the most: both matrices train, the pool of noise is full (dpwords.h). */
static void add_examples(const struct rn_settled *settled, const struct rn_adapter *adapter,
                         const struct rn_pass_options *options, enum rn_memory_device device,
                         struct rn_memory_plan *plan)
{
    const struct rn_pass_active active = {.matrices = adapter->config.rank != 0 ? RN_MATRIX_AB
                                                                                : RN_MATRIX_NONE,
                                          .head = settled->head_mode != RN_HEAD_FROZEN};
    struct rn_pass_examples examples;
    rn_dp_plan(adapter, &active, options->switches.whole_examples, &examples);
    const uint64_t row = (uint64_t)examples.stride * sizeof(float);
    const uint64_t all = options->sequences * row;
    const uint64_t least = row > RN_DP_GRADIENTS_BYTES_MAX ? row : RN_DP_GRADIENTS_BYTES_MAX;
    const uint64_t gradients = all < least ? all : least;
    const uint64_t whole = (uint64_t)examples.count * sizeof(int64_t);
    add(plan, RN_MEMORY_EXAMPLES, device,
        plan->lanes * (gradients + options->sequences * sizeof(double) + whole) + whole);
    add(plan, RN_MEMORY_EXAMPLES, RN_MEMORY_HOST,
        plan->lanes * options->sequences * sizeof(double) +
            (whole > RN_DP_POOL_BYTES_MAX ? whole : RN_DP_POOL_BYTES_MAX));
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

/* Lanes with their passes. */
static rn_result add_step(const struct rn_settled *settled, const struct rn_adapter *adapter,
                          const struct rn_pass_options *options, enum rn_memory_device device,
                          struct rn_memory_plan *plan, struct rn_error *err)
{
    uint64_t lane = 0;
    uint64_t lane_device = 0;
    RN_TRY(lane_bytes(adapter, options, &lane, &lane_device, err));
    lane += rn_pass_host_bytes(adapter, options, rn_settled_caches(settled, adapter->lowest));
    lane_device += rn_pass_bytes(adapter, options);
    add(plan, RN_MEMORY_STEP, device, plan->lanes * lane_device);
    add(plan, RN_MEMORY_STEP, RN_MEMORY_HOST, plan->lanes * lane);
    return rn_ok();
}

static rn_result fill(const struct rn_settled *settled, const struct rn_adapter *adapter,
                      const struct rn_memory_request *request, struct rn_memory_plan *plan,
                      struct rn_error *err)
{
    const enum rn_memory_device device =
        rn_settled_on_host(settled) ? RN_MEMORY_HOST : RN_MEMORY_ACCELERATOR;
    const bool training = request->training;
    struct rn_pass_options options = rn_settled_options(settled, training);
    const uint64_t d = adapter->encoder->config.hidden;
    uint64_t weights = 0;
    options.pieces = training && request->clients > 0 ? RN_CLIENT_PIECES : 0;
    RN_TRY(weight_bytes(adapter, training, options.switches.full_backward, &weights, err));
    if (adapter->encoder->config.family->head == RN_HEAD_POOLER) {
        add(plan, RN_MEMORY_WEIGHTS, RN_MEMORY_HOST, (d * d + d) * sizeof(float));
    }
    add(plan, RN_MEMORY_WEIGHTS, device, weights);
    RN_TRY(add_step(settled, adapter, &options, device, plan, err));
    add(plan, RN_MEMORY_ADAPTER, device, adapter_bytes(adapter, training));
    if (training && request->clients > 0) {
        add_clients(adapter, request->clients, device, plan);
    }
    if (training && request->dp) {
        add_examples(settled, adapter, &options, device, plan);
    }
    const uint64_t of_row = adapter->encoder->config.family->rows ? d * sizeof(float) : 0;
    add(plan, RN_MEMORY_DATA, RN_MEMORY_HOST,
        request->data_tokens * (sizeof(uint32_t) + 1) + request->data_records * (32 + of_row));
    add(plan, RN_MEMORY_PROGRAM, RN_MEMORY_HOST, RN_MEMORY_SLACK_BYTES);
    add_cache(settled, adapter, request, plan);
    return rn_ok();
}

rn_result rn_memory_plan_of(struct rn_settled *settled, const struct rn_safetensors *tensors,
                            const struct rn_memory_request *request, uint64_t limit,
                            struct rn_memory_plan *out, struct rn_error *err)
{
    struct rn_encoder encoder;
    struct rn_adapter adapter;
    *out = (struct rn_memory_plan){.available = limit != 0 ? limit : rn_memory_available(),
                                   .lanes = settled->threads,
                                   .max_length = settled->max_length};
    _Static_assert(sizeof(out->measured) == RN_KERNELS_MEASURED_MAX, "as the kernels say it");
    (void)rn_text_format(out->kernels, sizeof(out->kernels), "%.24s %.22s", settled->kernels->name,
                         settled->kernels->device_describe(settled->device));
    rn_kernels_measured(settled->kernels, out->measured);
    RN_TRY(rn_settled_shape(settled, tensors, &encoder, &adapter, err));
    out->accelerator_available = device_left(&encoder);
    const rn_result result = fill(settled, &adapter, request, out, err);
    rn_settled_unshape(settled, &adapter);
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

/* Where the host has too little. */
static rn_result refuse_host(const struct rn_memory_plan *plan, struct rn_error *err)
{
    const double need = (double)plan->host / GIB;
    const double left = (double)plan->available / GIB;
    const double step = (double)bytes_of(plan, RN_MEMORY_STEP) / GIB;
    const double cache = (double)bytes_of(plan, RN_MEMORY_CACHE) / GIB;
    if (cache >= need - left) {
        return rn_fail(err, RN_E_MEMORY,
                       "%.2f GiB of memory are needed, %.2f are available: the prefix cache takes "
                       "%.2f; make it smaller (--prefix-cache) or put it into a file "
                       "(--prefix-cache-dir)",
                       need, left, cache);
    }
    if (step > need - left) {
        return rn_fail(err, RN_E_MEMORY,
                       "%.2f GiB of memory are needed, %.2f are available: %u lanes take %.2f for "
                       "records of %u tokens; lower --threads or --max-length, or use the backend "
                       "cpu-bf16",
                       need, left, plan->lanes, step, plan->max_length);
    }
    return rn_fail(err, RN_E_MEMORY,
                   "%.2f GiB of memory are needed, %.2f are available: the model's weights alone "
                   "take %.2f; use the backend cpu-bf16 or a smaller model, or lower --threads, "
                   "--max-length and --rank",
                   need, left, (double)bytes_of(plan, RN_MEMORY_WEIGHTS) / GIB);
}

rn_result rn_memory_plan_check(const struct rn_memory_plan *plan, struct rn_error *err)
{
    if (plan->host > plan->available) {
        return refuse_host(plan, err);
    }
    RN_ENSURE(plan->accelerator_available == 0 || plan->accelerator <= plan->accelerator_available,
              err, RN_E_MEMORY,
              "%.2f GiB of the accelerator's memory are needed, %.2f are free there; lower "
              "--max-length or --rank, adapt fewer layers, or use a backend of the processor",
              (double)plan->accelerator / GIB, (double)plan->accelerator_available / GIB);
    return rn_ok();
}
