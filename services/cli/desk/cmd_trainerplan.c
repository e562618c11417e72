/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo trainer plan: the byte table of a trainer, and whether this or another machine holds it.
 */
#include "base/guard.h"
#include "services/cli/desk/desktrainer.h"
#include "services/cli/kit/commands.h"
#include "services/cli/kit/options.h"

#include <stdio.h>
#include <string.h>

struct plan_settings {
    struct rn_desk desk;
    uint64_t rank, classes;
    const char *memory;
    uint64_t records, tokens;
    bool evaluate, dp;
};

static void set_defaults(struct plan_settings *s)
{
    rn_desk_init(&s->desk);
    s->desk.lora.alpha = 1;
    s->desk.targets = "query,value";
    s->desk.cache = "auto";
    s->desk.cache_pays = true;
    s->rank = 8;
    s->classes = 2;
}

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
           "\"fits\": %s, \"lanes\": %u, \"max_length\": %u}\n",
           (unsigned long long)plan->host, (unsigned long long)plan->accelerator,
           (unsigned long long)plan->disk, (unsigned long long)plan->available,
           plan->host <= plan->available ? "true" : "false", plan->lanes, plan->max_length);
}

static rn_result plan(struct plan_settings *s, const struct rn_command *command,
                      struct rn_error *err)
{
    struct rn_desk_lists lists;
    struct rn_trainer_spec spec;
    struct rn_memory_plan plan;

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

static const char detail[] =
    "Follows from config.json and the options; neither weights nor data are read, so it is ready\n"
    "at once. Exit code 81 when the total is above what is available: `rondo train` and the\n"
    "trainer service refuse such a model for the same reason. The size of the batch costs "
    "nothing:\n"
    "a batch goes through the lanes in blocks.";

static const char examples[] =
    "  rondo trainer plan --model encoder --rank 4\n"
    "  rondo trainer plan --model encoder --layers 10,11 --max-length 128 --prefix-cache 2G\n"
    "  rondo trainer plan --model encoder --memory 4G --threads 2 --format json";

int rn_cmd_trainer_plan(int argc, char **argv)
{
    struct plan_settings s = {0};
    struct rn_command command;
    struct rn_error err = {{0}};

    set_defaults(&s);
    const struct rn_option options[] = {
        RN_DESK_MODEL_OPTION(s.desk),
        {"init-adapter", "DIR", RN_OPTION_TEXT, &s.desk.adapter,
         .help = "PEFT directory to start from; then rank and targets are its own"},
        {"rank", "N", RN_OPTION_COUNT, &s.rank, .least = 1, .most = RN_TRAINER_RANK_MAX,
         .help = "of the LoRA matrices"},
        {"target", "NAME,NAME", RN_OPTION_TEXT, &s.desk.targets,
         .help = "modules to adapt, as in peft, or all-linear"},
        {"layers", "N,N", RN_OPTION_TEXT, &s.desk.layers, .help = "layers to adapt; all otherwise"},
        {"classes", "N", RN_OPTION_COUNT, &s.classes, .least = 2, .most = RN_TRAINER_LABELS_MAX,
         .help = "of the classifier"},
        {"max-length", "N", RN_OPTION_COUNT, &s.desk.max_length, .most = 65536,
         .help =
             "tokens per record, special ones included;\n0: the adapter's, or the model's most"},
        {"task", NULL, RN_OPTION_CHOICE, &s.desk.task, .choices = "classification|regression",
         .help = "what the label column holds"},
        {"backend", NULL, RN_OPTION_CHOICE, &s.desk.backend,
         .choices = "cpu|cpu-bf16|cpu-bf16-residual-f32|ref|cuda", .help = "what computes"},
        {"threads", "N", RN_OPTION_COUNT, &s.desk.threads, .most = RN_TRAINER_THREADS_MAX,
         .help = "0: one per core"},
        {"evaluate", NULL, RN_OPTION_FLAG, &s.evaluate,
         .help = "plan evaluation and prediction alone"},
        {"dp", NULL, RN_OPTION_FLAG, &s.dp,
         .help = "with differential privacy (rondo train --dp-clip): at the most"},
        {"records", "N", RN_OPTION_COUNT, &s.records, .most = 1e15,
         .help = "of the data, for their share; 0: not known"},
        {"tokens", "N", RN_OPTION_COUNT, &s.tokens, .most = 1e15,
         .help = "of all records together; rondo tokenize says how many"},
        {"memory", "SIZE", RN_OPTION_TEXT, &s.memory,
         .help =
             "plan for a machine with so much memory, as 16G;\nwithout: what this one has free"},
        {"prefix-cache", "SIZE", RN_OPTION_TEXT, &s.desk.cache, .help = "as of rondo train"},
        {"prefix-cache-dir", "DIR", RN_OPTION_TEXT, &s.desk.cache_dir,
         .help = "as of rondo train: then it is on the disk"},
    };
    const struct rn_command_text text = {
        .name = "trainer plan",
        .summary = "the memory that training would take, before it does",
        .options = options,
        .option_count = RN_ARRAY_LENGTH(options),
        .detail = detail,
        .examples = examples,
    };
    if (!rn_command_begin(&command, &text, argc, argv)) {
        return command.exit_code;
    }
    return rn_command_end(&command, plan(&s, &command, &err), &err);
}
