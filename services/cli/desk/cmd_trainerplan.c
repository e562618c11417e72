/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo trainer plan: the byte table of a trainer, and whether this or another machine holds it.
 */
#include "base/guard.h"
#include "services/cli/desk/desktrainer.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/rondo.h"

#include <stdio.h>

struct plan_settings {
    struct rn_desk desk;
    uint64_t rank, classes;
    const char *memory;
    uint64_t records, tokens;
    bool evaluate, dp;
};

static void print_size(uint64_t bytes)
{
    const double mib = (double)bytes / 1048576.0;

    if (mib >= 1024) {
        printf("%9.2f GiB", mib / 1024);
    } else {
        printf("%9.2f MiB", mib);
    }
}

static void print_text(const struct rn_memory_plan *plan)
{
    for (uint32_t i = 0; i < plan->line_count; i++) {
        const struct rn_memory_line *line = &plan->lines[i];
        printf("%-13s %-12s", rn_memory_arena_name(line->arena),
               rn_memory_device_name(line->device));
        print_size(line->bytes);
        printf("\n");
    }
    printf("%-13s %-12s", "total", "host");
    print_size(plan->host);
    printf("   of ");
    print_size(plan->available);
    printf(" available\n");
    if (plan->accelerator != 0) {
        printf("%-13s %-12s", "total", "accelerator");
        print_size(plan->accelerator);
        printf("\n");
    }
    printf("%u lanes, records of at most %u tokens\n", plan->lanes, plan->max_length);
    printf("kernels: %s%s%s\n", plan->kernels, plan->measured[0] != '\0' ? ", measured " : "",
           plan->measured);
}

static void print_json(const struct rn_memory_plan *plan)
{
    printf("{\"lines\": [");
    for (uint32_t i = 0; i < plan->line_count; i++) {
        const struct rn_memory_line *line = &plan->lines[i];
        printf("%s{\"arena\": \"%s\", \"device\": \"%s\", \"bytes\": %llu}", i == 0 ? "" : ", ",
               rn_memory_arena_name(line->arena), rn_memory_device_name(line->device),
               (unsigned long long)line->bytes);
    }
    printf("], \"host\": %llu, \"accelerator\": %llu, \"disk\": %llu, \"available\": %llu, "
           "\"fits\": %s, \"lanes\": %u, \"max_length\": %u, \"kernels\": ",
           (unsigned long long)plan->host, (unsigned long long)plan->accelerator,
           (unsigned long long)plan->disk, (unsigned long long)plan->available,
           plan->host <= plan->available ? "true" : "false", plan->lanes, plan->max_length);
    rn_json_text_print(plan->kernels);
    printf(", \"measured\": ");
    rn_json_text_print(plan->measured);
    printf("}\n");
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    struct plan_settings *s = command->settings;
    struct rn_desk_lists lists;
    struct rn_trainer_spec spec;
    struct rn_memory_plan plan;

    s->desk.lora.alpha = 1; /* changes no byte count */
    s->desk.cache_pays = true;
    s->desk.lora.rank = (uint32_t)s->rank;
    if (s->desk.adapter != NULL && !rn_command_given(command, "rank")) {
        s->desk.lora.rank = 0;
        s->desk.targets = NULL;
    }
    if (s->memory != NULL) {
        RN_TRY(rn_desk_size_parse("memory", s->memory, &s->desk.memory, err));
        RN_ENSURE(s->desk.memory != 0, err, RN_E_USAGE, "--memory must not be 0");
    }
    RN_TRY(rn_desk_spec(&s->desk, &lists, &spec, err));
    spec.label_count = spec.task == RN_TASK_REGRESSION ? 1 : (size_t)s->classes;
    const struct rn_memory_request request = {.training = !s->evaluate,
                                              .dp = s->dp && !s->evaluate,
                                              .data_records = s->records,
                                              .data_tokens = s->tokens};
    RN_TRY(rn_trainer_memory_plan(&spec, &request, &plan, err));
    if (command->json) {
        print_json(&plan);
    } else {
        print_text(&plan);
    }
    return rn_memory_plan_check(&plan, err);
}

static const struct rn_option lora_options[] = {
    {"init-adapter", RN_OPT_DIRECTORY(struct plan_settings, desk.adapter),
     .help = "PEFT directory to start from; then rank and targets are its own"},
    {"rank", RN_OPT_COUNT(struct plan_settings, rank, "N"), .fallback = "8", RN_BOUNDS_RANK,
     .help = "of the LoRA matrices"},
    {NULL}};

static const struct rn_option load_options[] = {
    {"classes", RN_OPT_COUNT(struct plan_settings, classes, "N"), .fallback = "2", .least = 2,
     .most = RN_TRAINER_LABELS_MAX, .help = "of the classifier"},
    {"max-length", RN_OPT_COUNT(struct plan_settings, desk.max_length, "N"), RN_BOUNDS_LENGTH,
     .help = "tokens per record, special ones included; without: the adapter's, or the model's "
             "most"},
    {"task", RN_OPT_CHOICE(struct plan_settings, desk.task, RN_CHOICES_TASK),
     .fallback = "classification", .help = "what the label column holds"},
    {"backend", RN_OPT_CHOICE(struct plan_settings, desk.backend, RN_CHOICES_BACKEND),
     .fallback = "cpu", .help = "what computes"},
    {"kernels", RN_OPT_CHOICE(struct plan_settings, desk.kernels, RN_CHOICES_KERNELS),
     .fallback = "auto", .help = "what cpu-bf16 multiplies with; auto: the fastest, measured"},
    {"threads", RN_OPT_COUNT(struct plan_settings, desk.threads, "N"), .fallback = "0",
     RN_BOUNDS_THREADS, .help = "0: one per core"},
    {"evaluate", RN_OPT_FLAG(struct plan_settings, evaluate),
     .help = "plan evaluation and prediction alone"},
    {"dp", RN_OPT_FLAG(struct plan_settings, dp),
     .help = "with differential privacy (rondo train --dp-clip): at the most"},
    {"records", RN_OPT_COUNT(struct plan_settings, records, "N"), .most = 1e15,
     .help = "of the data, for their share; without: not known"},
    {"tokens", RN_OPT_COUNT(struct plan_settings, tokens, "N"), .most = 1e15,
     .help = "of all records together; rondo tokenize says how many"},
    {"memory", RN_OPT_TEXT(struct plan_settings, memory, "SIZE"),
     .help = "plan for a machine with so much memory, as 16G; without: what this one has free"},
    {"prefix-cache", RN_OPT_TEXT(struct plan_settings, desk.cache, "SIZE"), .fallback = "auto",
     .help = "as of rondo train"},
    {"prefix-cache-dir", RN_OPT_DIRECTORY(struct plan_settings, desk.cache_dir),
     .help = "as of rondo train: then it is on the disk"},
    {NULL}};

static const struct rn_option_group groups[] = {
    {"Model", rn_desk_model_options, offsetof(struct plan_settings, desk)},
    {"Adapter", lora_options, 0},
    {"Adapter", rn_desk_lora_options, offsetof(struct plan_settings, desk)},
    {"Load and machine", load_options, 0},
    {NULL}};

static const struct rn_option_renamed renamed[] = {{"target", "targets"}, {NULL, NULL}};

const struct rn_command_def rn_cmd_trainer_plan = {
    .name = "trainer plan",
    .summary = "the memory that training would take, before it does",
    .groups = groups,
    .settings_size = sizeof(struct plan_settings),
    .renamed = renamed,
    .exits = RN_EXITS(65, 66, 69, 78, 81),
    .detail = "Follows from config.json and the options; neither weights nor data are read, so it "
              "is ready at once. Exit code 81 when the total is above what is available: `rondo "
              "train` and the trainer service refuse such a model for the same reason. The size "
              "of the batch costs nothing: a batch goes through the lanes in blocks.",
    .examples = "  rondo trainer plan --model encoder --rank 4\n"
                "  rondo trainer plan --model encoder --layers 10,11 --max-length 128 \\\n"
                "      --prefix-cache 2G\n"
                "  rondo trainer plan --model encoder --memory 4G --threads 2 --format json",
    .run = run,
};
