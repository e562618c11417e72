/* SPDX-License-Identifier: Apache-2.0
 *
 * Options to an open trainer.
 */
#include "services/cli/desk/desktrainer.h"

#include "base/bytes.h"
#include "base/guard.h"
#include "services/cli/kit/bounds.h"

#include <stdlib.h>
#include <string.h>

const struct rn_option rn_desk_model_options[] = {
    {"model", RN_OPT_DIRECTORY(struct rn_desk, model), .required = true,
     .help =
         "Hugging Face directory of a BERT or RoBERTa encoder, or one of `rondo model new-mlp`"},
    {NULL}};

const struct rn_option rn_desk_adapter_options[] = {
    {"adapter", RN_OPT_DIRECTORY(struct rn_desk, adapter),
     .help = "PEFT directory; without: the model as it is"},
    {NULL}};

const struct rn_option rn_desk_lora_options[] = {
    {"targets", RN_OPT_TEXT(struct rn_desk, targets, "NAME,..."), .fallback = "query,value",
     .help = "modules to adapt, as in peft, or all-linear"},
    {"layers", RN_OPT_TEXT(struct rn_desk, layers, "N,..."),
     .help = "layers to adapt; all otherwise"},
    {NULL}};

const struct rn_option rn_desk_options[] = {
    {"max-length", RN_OPT_COUNT(struct rn_desk, max_length, "N"), RN_BOUNDS_LENGTH,
     .help = "tokens per record, special ones included; without: the adapter's, or the model's "
             "most"},
    {"task", RN_OPT_CHOICE(struct rn_desk, task, RN_CHOICES_TASK),
     .help = "what the label column holds; without: as the adapter says, or the model"},
    {"labels", RN_OPT_TEXT(struct rn_desk, labels, "NAME,..."),
     .help =
         "class names in the order of the head; without: the adapter's, or those of the model's "
         "head (id2label), or where there is no head what the data hold (not with --dp-clip)"},
    {"seed", RN_OPT_COUNT(struct rn_desk, seed, "N"), .fallback = "1", RN_BOUNDS_SEED,
     .help = "of everything random: start values, order of the batches"},
    {NULL}};

const struct rn_option rn_desk_use_options[] = {
    {"max-length", RN_OPT_COUNT(struct rn_desk, max_length, "N"), RN_BOUNDS_LENGTH,
     .help = "tokens per record, special ones included; without: the adapter's, or the model's "
             "most"},
    {"task", RN_OPT_CHOICE(struct rn_desk, task, RN_CHOICES_TASK),
     .help = "what the head gives; without: as the adapter says, or the model"},
    {"labels", RN_OPT_TEXT(struct rn_desk, labels, "NAME,..."),
     .help = "class names in the order of the head; without: the adapter's, or those of the "
             "model's head (id2label)"},
    {"seed", RN_OPT_COUNT(struct rn_desk, seed, "N"), .fallback = "1", RN_BOUNDS_SEED,
     .help = "of a head or pooler that neither model nor adapter has"},
    {NULL}};

const struct rn_option rn_desk_machine_options[] = {
    {"backend", RN_OPT_CHOICE(struct rn_desk, backend, RN_CHOICES_BACKEND), .fallback = "cpu",
     .help = "what computes; cpu-bf16: about twice as fast on processors with bfloat16, "
             "activations rounded to 8 bits; residual-f32: but the stream between layers"},
    {"kernels", RN_OPT_CHOICE(struct rn_desk, kernels, RN_CHOICES_KERNELS), .fallback = "auto",
     .help = "what cpu-bf16 multiplies with; auto: the fastest, measured at the start"},
    {"threads", RN_OPT_COUNT(struct rn_desk, threads, "N"), .fallback = "0", RN_BOUNDS_THREADS,
     .help = "0: one per core"},
    {NULL}};

const struct rn_option rn_desk_cache_options[] = {
    {"prefix-cache", RN_OPT_TEXT(struct rn_desk, cache, "SIZE"), .fallback = "auto",
     .help = "memory for what the layers below the lowest adapted one make of each record: 2G, "
             "auto (at most 4G) or off"},
    {"prefix-cache-dir", RN_OPT_DIRECTORY(struct rn_desk, cache_dir),
     .help = "keep it in a file there (0600) instead of memory; it is derived from the records: "
             "protect it as them"},
    {"prefix-cache-keep", RN_OPT_FLAG(struct rn_desk, cache_keep),
     .help = "leave that file for the next run; else it is gone"},
    {"plain", RN_OPT_TEXT(struct rn_desk, plain, "LIST"),
     .help = "savings to switch off, to measure them: last-layer, backward, gradients, batches, "
             "examples; the results stay the same"},
    {NULL}};

/* "query,value" cut at the commas; the list borrows from text, which is changed. */
static rn_result split_targets(char *text, const char **list, size_t *out_count,
                               struct rn_error *err)
{
    char *rest = text;
    size_t count = 0;

    for (char *part = strsep(&rest, ","); part != NULL; part = strsep(&rest, ",")) {
        RN_ENSURE(part[0] != '\0', err, RN_E_USAGE, "--targets holds an empty name");
        RN_ENSURE(count < RN_TRAINER_TARGETS_MAX, err, RN_E_USAGE, "--targets names more than %d",
                  RN_TRAINER_TARGETS_MAX);
        list[count++] = part;
    }
    *out_count = count;
    return rn_ok();
}

static rn_result split_layers(const char *text, uint32_t *list, size_t *out_count,
                              struct rn_error *err)
{
    size_t count = 0;

    for (const char *at = text; at != NULL;) {
        char *end = NULL;
        const unsigned long layer = strtoul(at, &end, 10);
        RN_ENSURE(at[0] >= '0' && at[0] <= '9' && (*end == ',' || *end == '\0') &&
                      layer < RN_TRAINER_LAYERS_MAX && count < RN_TRAINER_LAYERS_MAX,
                  err, RN_E_USAGE, "--layers takes layer numbers from 0 to %d, as 0,1,2",
                  RN_TRAINER_LAYERS_MAX - 1);
        list[count++] = (uint32_t)layer;
        at = *end == ',' ? end + 1 : NULL;
    }
    *out_count = count;
    return rn_ok();
}

/* Sets the switch of one name. */
static bool set_switch(const char *name, size_t length, struct rn_trainer_switches *out)
{
    const struct {
        const char *name;
        bool *value;
    } all[] = {{"last-layer", &out->plain_last_layer},
               {"backward", &out->full_backward},
               {"gradients", &out->all_gradients},
               {"batches", &out->plain_batches},
               {"examples", &out->whole_examples}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(all); i++) {
        if (strlen(all[i].name) == length && memcmp(all[i].name, name, length) == 0) {
            *all[i].value = true;
            return true;
        }
    }
    return false;
}

rn_result rn_desk_size_parse(const char *option, const char *text, uint64_t *out,
                             struct rn_error *err)
{
    char *end = NULL;
    const unsigned long long number = strtoull(text, &end, 10);
    const char *units = "KMGT";
    const char *unit = *end == '\0' ? NULL : strchr(units, *end);
    const unsigned shift = unit == NULL ? 0 : 10 * (unsigned)(unit - units + 1);
    RN_ENSURE(text[0] >= '0' && text[0] <= '9' &&
                  (*end == '\0' || (unit != NULL && end[1] == '\0')) &&
                  number <= (uint64_t)INT64_MAX >> shift,
              err, RN_E_USAGE, "--%s takes bytes, as 4096, 512M or 2G", option);
    *out = (uint64_t)number << shift;
    return rn_ok();
}

static rn_result cache_size(const struct rn_desk *desk, uint64_t *out, struct rn_error *err)
{
    if (desk->cache == NULL || strcmp(desk->cache, "off") == 0) {
        *out = 0;
        return rn_ok();
    }
    if (strcmp(desk->cache, "auto") == 0) {
        *out = desk->cache_pays ? RN_CACHE_AUTO : 0;
        return rn_ok();
    }
    return rn_desk_size_parse("prefix-cache", desk->cache, out, err);
}

static rn_result split_plain(const char *text, struct rn_trainer_switches *out,
                             struct rn_error *err)
{
    for (const char *at = text; at != NULL;) {
        const size_t length = strcspn(at, ",");
        RN_ENSURE(
            set_switch(at, length, out), err, RN_E_USAGE,
            "--plain takes last-layer, backward, gradients, batches and examples, with commas");
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    return rn_ok();
}

enum rn_task rn_desk_task(const struct rn_desk *desk)
{
    return desk->task != NULL && strcmp(desk->task, "regression") == 0 ? RN_TASK_REGRESSION
                                                                       : RN_TASK_CLASSIFICATION;
}

rn_result rn_desk_spec(const struct rn_desk *desk, struct rn_desk_lists *lists,
                       struct rn_trainer_spec *out, struct rn_error *err)
{
    struct rn_lora_spec lora = desk->lora;
    struct rn_trainer_switches switches = {0};
    uint64_t cache_bytes = 0;

    if (desk->targets != NULL) {
        RN_ENSURE(rn_text_format(lists->text, sizeof lists->text, "%s", desk->targets), err,
                  RN_E_USAGE, "--targets is longer than %d bytes", RN_DESK_TARGET_BYTES_MAX - 1);
        RN_TRY(split_targets(lists->text, lists->targets, &lora.target_count, err));
        lora.targets = lists->targets;
    }
    if (desk->layers != NULL) {
        RN_TRY(split_layers(desk->layers, lists->layers, &lora.layer_count, err));
        lora.layers = lists->layers;
    }
    RN_TRY(split_plain(desk->plain, &switches, err));
    RN_TRY(cache_size(desk, &cache_bytes, err));
    *out = (struct rn_trainer_spec){
        .model_dir = desk->model,
        .adapter_dir = desk->adapter,
        .max_length = (uint32_t)desk->max_length,
        .task = rn_desk_task(desk),
        .lora = lora,
        .head = desk->head,
        .new_head = desk->new_head,
        .seed = desk->seed,
        .backend = desk->backend,
        .kernels = desk->kernels,
        .threads = (uint32_t)desk->threads,
        .switches = switches,
        .cache_bytes = cache_bytes,
        .cache_dir = desk->cache_dir,
        .cache_keep = desk->cache_keep,
        .for_training = desk->for_training,
        .for_dp = desk->for_dp,
        .memory_limit = desk->memory,
    };
    return rn_ok();
}

static rn_result open_trainer(const struct rn_desk *desk, struct rn_desk_session *session,
                              struct rn_error *err)
{
    struct rn_desk_lists lists;
    struct rn_trainer_spec spec;

    RN_TRY(rn_desk_spec(desk, &lists, &spec, err));
    spec.max_length = spec.max_length == 0 ? session->adapter.max_length : spec.max_length;
    spec.labels = (const char *const *)session->labels.names;
    spec.label_count = spec.task == RN_TASK_REGRESSION ? 1 : session->labels.count;
    return rn_trainer_open(&spec, &session->trainer, err);
}

static rn_result open_all(struct rn_desk *desk, struct rn_desk_session *session,
                          struct rn_error *err)
{
    struct rn_data_spec data;

    RN_TRY(rn_data_columns_spec(&desk->columns, &data, err));
    if (desk->adapter != NULL) {
        RN_TRY(rn_adapter_facts_read(desk->adapter, &session->adapter, err));
    }
    RN_TRY(rn_desk_settle_labels(desk, &data, session, err));
    RN_TRY(open_trainer(desk, session, err));
    data.seen = &session->seen;
    return rn_trainer_data_open(session->trainer, &data, &session->data, err);
}

rn_result rn_desk_open(struct rn_desk *desk, struct rn_desk_session *out, struct rn_error *err)
{
    struct rn_desk_session session = {0};

    const rn_result result = open_all(desk, &session, err);
    if (!rn_is_ok(result)) {
        rn_desk_close(&session);
        return result;
    }
    *out = session;
    return rn_ok();
}

void rn_desk_close(struct rn_desk_session *session)
{
    rn_trainer_data_close(session->data);
    rn_trainer_close(session->trainer);
    rn_label_list_clear(&session->labels);
    rn_adapter_facts_clear(&session->adapter);
    rn_buffer_clear(&session->warnings);
    *session = (struct rn_desk_session){0};
}
