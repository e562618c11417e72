/* SPDX-License-Identifier: Apache-2.0
 *
 * The adapter as a PEFT directory.
 *
 * modules_to_save lists "classifier" when the head goes along, and "pooler" when a BERT pooler came
 * from the seed: peft then loads both, and never adapts them.
 */
#include "trainer/adapter/adapter.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <math.h>
#include <string.h>

#define RN_POOLER_W RN_POOLER_NAME ".weight"
#define RN_POOLER_B RN_POOLER_NAME ".bias"

static bool is_bias(const char *name)
{
    const size_t length = strlen(name);
    return length > 5 && strcmp(name + length - 5, ".bias") == 0;
}

/* A segment's module name: without ".lora_A.weight". */
static void module_of(const struct rn_segment *segment, char out[static RN_SEGMENT_NAME_MAX])
{
    const size_t length = strlen(segment->name) - strlen(".lora_A.weight");
    memcpy(out, segment->name, length);
    out[length] = '\0';
}

static char matrix_of(const struct rn_segment *segment)
{
    return segment->kind == RN_SEGMENT_A ? 'A' : segment->kind == RN_SEGMENT_B ? 'B' : '\0';
}

/* The name of a segment in the file. */
static rn_result file_name(const struct rn_segment *segment,
                           char out[static RN_SAFETENSORS_NAME_MAX], struct rn_error *err)
{
    char module[RN_SEGMENT_NAME_MAX];
    if (segment->kind == RN_SEGMENT_HEAD) {
        return rn_peft_tensor_name(out, segment->name, '\0', err);
    }
    module_of(segment, module);
    return rn_peft_tensor_name(out, module, matrix_of(segment), err);
}

/* Names and tensors of a file being written; names are owned here. */
struct writing {
    struct rn_tensor_out *tensors;
    char (*names)[RN_SAFETENSORS_NAME_MAX];
    size_t count;
};

static void writing_clear(struct writing *writing)
{
    rn_free(writing->tensors);
    rn_free(writing->names);
}

static void put(struct writing *writing, const struct rn_segment *segment, const float *values)
{
    const bool vector = segment->kind == RN_SEGMENT_HEAD && is_bias(segment->name);
    writing->tensors[writing->count] =
        (struct rn_tensor_out){.name = writing->names[writing->count],
                               .rows = vector ? segment->cols : segment->rows,
                               .columns = vector ? 0 : segment->cols,
                               .data = values};
    writing->count++;
}

static rn_result put_pooler(const struct rn_adapter *adapter, struct writing *writing,
                            struct rn_error *err)
{
    const size_t d = adapter->encoder->config.hidden;
    const float *values = adapter->pooler_host;
    RN_TRY(rn_peft_tensor_name(writing->names[writing->count], RN_POOLER_W, '\0', err));
    writing->tensors[writing->count] = (struct rn_tensor_out){
        .name = writing->names[writing->count], .rows = d, .columns = d, .data = values};
    writing->count++;
    RN_TRY(rn_peft_tensor_name(writing->names[writing->count], RN_POOLER_B, '\0', err));
    writing->tensors[writing->count] = (struct rn_tensor_out){
        .name = writing->names[writing->count], .rows = d, .columns = 0, .data = values + d * d};
    writing->count++;
    return rn_ok();
}

static bool head_travels(const struct rn_adapter *adapter, const struct rn_state *state)
{
    return adapter->head_from_seed || state->head_changed;
}

/* The configuration to write: the trainer's, with modules_to_save as this directory needs it.
 * Borrows everything; names holds the list. */
static struct rn_peft_config config_to_write(const struct rn_adapter *adapter,
                                             const struct rn_state *state, char *names[2])
{
    struct rn_peft_config config = adapter->config;
    config.saved = (struct rn_peft_names){.names = names};
    static char classifier[] = "classifier";
    static char pooler[] = "pooler";
    if (head_travels(adapter, state)) {
        names[config.saved.count++] = classifier;
    }
    if (adapter->pooler_from_seed) {
        names[config.saved.count++] = pooler;
    }
    return config;
}

rn_result rn_adapter_save(const struct rn_adapter *adapter, const struct rn_state *state,
                          struct rn_lane *lane, const struct rn_peft_extra *extra, const char *dir,
                          const char *provenance, struct rn_error *err)
{
    RN_ENSURE(adapter->config.rank != 0, err, RN_E_USAGE, "%s: this trainer has no adapter to save",
              dir);
    RN_CLEANUP(rn_free_cleanup) float *values = rn_alloc(adapter->count, sizeof(float));
    RN_TRY(rn_adapter_get(adapter, state, lane, RN_MATRIX_AB, true, values, err));
    RN_CLEANUP(writing_clear)
    struct writing writing = {
        .tensors = rn_alloc(adapter->segment_count + 2, sizeof(struct rn_tensor_out)),
        .names = rn_alloc(adapter->segment_count + 2, RN_SAFETENSORS_NAME_MAX)};
    for (size_t i = 0; i < adapter->segment_count; i++) {
        const struct rn_segment *segment = &adapter->segments[i];
        if (segment->kind != RN_SEGMENT_HEAD || head_travels(adapter, state)) {
            RN_TRY(file_name(segment, writing.names[writing.count], err));
            put(&writing, segment, values + segment->offset);
        }
    }
    if (adapter->pooler_from_seed) {
        RN_TRY(put_pooler(adapter, &writing, err));
    }
    char *names[2] = {NULL};
    const struct rn_peft_config config = config_to_write(adapter, state, names);
    return rn_peft_write(dir, &config, extra, writing.tensors, writing.count, provenance, err);
}

/* How many of the head's tensors a directory holds. */
struct head_read {
    size_t wanted, found;
};

/* B of a module whose rank in the file is below the trainer's, or whose scale is another. */
static rn_result read_b(const struct rn_peft *peft, const char *module, uint32_t rank,
                        double factor, const struct rn_segment *segment, float *values,
                        struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup) float *b = rn_alloc(segment->rows * rank, sizeof(float));

    RN_TRY(rn_peft_read(peft, module, 'B', segment->rows, rank, b, err));
    memset(values, 0, segment->rows * segment->cols * sizeof(float));
    for (size_t n = 0; n < segment->rows; n++) {
        for (size_t i = 0; i < rank; i++) {
            values[n * segment->cols + i] = (float)(factor * (double)b[n * rank + i]);
        }
    }
    return rn_ok();
}

/* A [rank][k] or B [n][rank] of a module: rank and scale of the file become the trainer's. */
static rn_result read_matrix(const struct rn_peft *peft, const struct rn_segment *segment,
                             float *values, struct rn_error *err)
{
    char module[RN_SEGMENT_NAME_MAX];
    uint32_t rank = 0;
    double factor = 1.0;

    module_of(segment, module);
    RN_TRY(rn_peft_module_rank(&peft->config, module, &rank, &factor, err));
    if (segment->kind == RN_SEGMENT_B) {
        return read_b(peft, module, rank, factor, segment, values, err);
    }
    RN_TRY(rn_peft_read(peft, module, 'A', rank, segment->cols, values, err));
    memset(values + rank * segment->cols, 0,
           (segment->rows - rank) * segment->cols * sizeof(float));
    return rn_ok();
}

/* Reads one segment; a head tensor may be absent (then the values stay). */
static rn_result read_segment(const struct rn_peft *peft, const struct rn_segment *segment,
                              float *values, struct head_read *head, struct rn_error *err)
{
    if (segment->kind == RN_SEGMENT_HEAD) {
        const bool vector = is_bias(segment->name);
        bool found = false;
        RN_TRY(rn_peft_read_head(peft, segment->name, vector ? segment->cols : segment->rows,
                                 vector ? 0 : segment->cols, values, &found, err));
        head->wanted++;
        head->found += found ? 1 : 0;
        return rn_ok();
    }
    return read_matrix(peft, segment, values, err);
}

/* Whether modules_to_save names the module, with or without what stands before it. */
static bool is_promised(const struct rn_peft *peft, const char *module)
{
    const struct rn_peft_names *saved = &peft->config.saved;
    const size_t length = strlen(module);

    for (size_t i = 0; i < saved->count; i++) {
        const char *name = saved->names[i];
        const size_t full = strlen(name);
        if (full >= length && strcmp(name + full - length, module) == 0 &&
            (full == length || name[full - length - 1] == '.')) {
            return true;
        }
    }
    return false;
}

/* A head is there whole, or it is not there and was not promised. */
static rn_result check_head(const struct rn_peft *peft, const struct head_read *head,
                            struct rn_error *err)
{
    const char *path = rn_safetensors_file(peft->tensors, 0);

    RN_ENSURE(
        head->found > 0 || !is_promised(peft, "classifier"), err, RN_E_DATA,
        "%s: modules_to_save of adapter_config.json promises the head \"classifier\", but its "
        "tensors are not in this file",
        path);
    RN_ENSURE(head->found == 0 || head->found == head->wanted, err, RN_E_DATA,
              "%s: holds %zu of the %zu tensors of the head \"classifier\"", path, head->found,
              head->wanted);
    return rn_ok();
}

static rn_result read_all(const struct rn_adapter *adapter, const struct rn_peft *peft,
                          float *values, struct head_read *head, struct rn_error *err)
{
    const size_t count = adapter->segment_count;
    RN_CLEANUP(rn_free_cleanup)
    char(*names)[RN_SAFETENSORS_NAME_MAX] = rn_alloc(count + 2, RN_SAFETENSORS_NAME_MAX);
    RN_CLEANUP(rn_free_cleanup) const char **pointers = rn_alloc(count + 2, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        const struct rn_segment *segment = &adapter->segments[i];
        RN_TRY(file_name(segment, names[i], err));
        pointers[i] = names[i];
        RN_TRY(read_segment(peft, segment, values + segment->offset, head, err));
    }
    RN_TRY(rn_peft_tensor_name(names[count], RN_POOLER_W, '\0', err));
    RN_TRY(rn_peft_tensor_name(names[count + 1], RN_POOLER_B, '\0', err));
    pointers[count] = names[count];
    pointers[count + 1] = names[count + 1];
    const size_t known = adapter->pooler != NULL ? count + 2 : count;
    return rn_peft_check_complete(peft, pointers, known, err);
}

/* The pooler of the directory, when the model's own is not from the checkpoint. */
static rn_result read_pooler(struct rn_adapter *adapter, const struct rn_peft *peft,
                             struct rn_error *err)
{
    if (adapter->pooler == NULL) {
        return rn_ok();
    }
    const uint32_t d = adapter->encoder->config.hidden;
    RN_CLEANUP(rn_free_cleanup) float *w = rn_alloc((size_t)d * d, sizeof(float));
    RN_CLEANUP(rn_free_cleanup) float *b = rn_alloc(d, sizeof(float));
    bool found_w = false;
    bool found_b = false;
    RN_TRY(rn_peft_read_head(peft, RN_POOLER_W, d, d, w, &found_w, err));
    RN_TRY(rn_peft_read_head(peft, RN_POOLER_B, d, 0, b, &found_b, err));
    RN_ENSURE(found_w == found_b && (found_w || !is_promised(peft, "pooler")), err, RN_E_DATA,
              "%s: modules_to_save of adapter_config.json promises the pooler, but its tensors are "
              "not in this file",
              rn_safetensors_file(peft->tensors, 0));
    if (found_w && found_b) {
        RN_TRY(rn_adapter_set_pooler(adapter, w, b, err));
        adapter->pooler_loaded = true;
        adapter->pooler_from_seed = true; /* not the checkpoint's: it travels with the adapter */
    }
    return rn_ok();
}

static rn_result load(struct rn_adapter *adapter, struct rn_state *state, struct rn_lane *lane,
                      const char *dir, const struct rn_peft *peft, struct rn_error *err)
{
    const double scale = rn_peft_scale(&peft->config);
    RN_ENSURE(peft->config.rank == adapter->config.rank && (float)scale == adapter->scale, err,
              RN_E_DATA, "%s: rank %u and scaling %g; this trainer has rank %u and scaling %g", dir,
              peft->config.rank, scale, adapter->config.rank, (double)adapter->scale);
    RN_CLEANUP(rn_free_cleanup) float *values = rn_alloc(adapter->count, sizeof(float));
    RN_TRY(rn_adapter_get(adapter, state, lane, RN_MATRIX_AB, true, values, err));
    struct head_read head = {0};
    RN_TRY(read_all(adapter, peft, values, &head, err));
    RN_TRY(check_head(peft, &head, err));
    for (size_t i = 0; i < adapter->count; i++) {
        RN_ENSURE(isfinite(values[i]), err, RN_E_DATA,
                  "%s: the adapter holds a value that is not a finite number", dir);
    }
    RN_TRY(read_pooler(adapter, peft, err));
    RN_TRY(rn_adapter_set(adapter, state, lane, RN_MATRIX_AB, true, values, adapter->count, err));
    state->head_changed = head.found > 0;
    return rn_ok();
}

rn_result rn_adapter_load(struct rn_adapter *adapter, struct rn_state *state, struct rn_lane *lane,
                          const char *dir, struct rn_error *err)
{
    struct rn_peft peft = {0};
    RN_TRY(rn_peft_open(dir, &peft, err));
    const rn_result result = load(adapter, state, lane, dir, &peft, err);
    rn_peft_close(&peft);
    return result;
}
