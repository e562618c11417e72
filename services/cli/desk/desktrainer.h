/* SPDX-License-Identifier: Apache-2.0
 *
 * The options of `rondo train`, `predict` and `evaluate` about model, labels and machine, and the
 * trainer that they open.
 */
#ifndef RN_SERVICES_CLI_DESK_DESKTRAINER_H
#define RN_SERVICES_CLI_DESK_DESKTRAINER_H

#include "services/cli/desk/datacolumns.h"
#include "services/cli/kit/options.h"
#include "trainer/trainer.h"

#define RN_DESK_TARGET_BYTES_MAX 4096

#define RN_DESK_CACHE_OPTIONS(desk)                                     \
    {"prefix-cache", "SIZE", RN_OPTION_TEXT, &(desk).cache,             \
     .help = "memory for what the layers below the lowest adapted\n"    \
             "one make of each record: 2G, auto (at most 4G) or off"},  \
        {"prefix-cache-dir", "DIR", RN_OPTION_TEXT, &(desk).cache_dir,  \
         .help = "keep it in a file there (0600) instead of memory;\n"  \
                 "it is derived from the records: protect it as them"}, \
    {                                                                   \
        "prefix-cache-keep", NULL, RN_OPTION_FLAG, &(desk).cache_keep,  \
            .help = "leave that file for the next run; else it is gone" \
    }

/* For those who measure: what the trainer leaves undone without changing a result. */
#define RN_DESK_PLAIN_OPTION(desk)                                            \
    {                                                                         \
        "plain", "LIST", RN_OPTION_TEXT, &(desk).plain,                       \
            .help = "savings to switch off, to measure them: last-layer,\n"   \
                    "backward, gradients, batches; the results stay the same" \
    }

/* What the options fill; rn_desk_init sets the defaults. */
struct rn_desk {
    const char *model;
    const char *adapter; /* to start from, to use; NULL: none */
    uint64_t max_length;
    const char *task;
    const char *labels; /* "a,b", NULL: from the adapter, or from the data */
    bool labels_public; /* never from the data */
    uint64_t seed;
    const char *backend;
    uint64_t threads;
    struct rn_data_columns columns;
    struct rn_lora_spec lora; /* rank 0: as the adapter has it, or none */
    const char *targets;      /* "query,value" */
    const char *layers;       /* "0,1,2", NULL: all */
    enum rn_head_mode head;
    const char *cache;     /* "auto", "off", "2G" */
    const char *cache_dir; /* NULL: in memory */
    bool cache_keep;
    bool cache_pays; /* what auto means: whether records are seen more than once */
    bool for_training;
    uint64_t memory;   /* limit; 0: what is free */
    const char *plain; /* "last-layer,backward,gradients,batches": savings to leave out; NULL */
};
void rn_desk_init(struct rn_desk *out);

/* Rows for an option table; desk is a struct rn_desk. The commands add --adapter or --init-adapter.
 */
#define RN_DESK_MODEL_OPTION(desk)                                                          \
    {                                                                                       \
        "model", "DIR", RN_OPTION_TEXT, &(desk).model, .required = true,                    \
                                                       .help = "Hugging Face directory of " \
                                                               "a BERT or RoBERTa encoder"  \
    }
#define RN_DESK_OPTIONS(desk)                                                                     \
    {"max-length",                                                                                \
     "N",                                                                                         \
     RN_OPTION_COUNT,                                                                             \
     &(desk).max_length,                                                                          \
     .most = 65536,                                                                               \
     .help = "tokens per record, special ones included;\n0: the adapter's, or the model's most"}, \
        {"task",                                                                                  \
         NULL,                                                                                    \
         RN_OPTION_CHOICE,                                                                        \
         &(desk).task,                                                                            \
         .choices = "classification|regression",                                                  \
         .help = "what the label column holds"},                                                  \
        {"labels", "A,B", RN_OPTION_TEXT, &(desk).labels,                                         \
         .help = "label names in class order; without: the adapter's,\nor what the data hold "    \
                 "(not with --dp-clip)"},                                                         \
        {"seed", "N", RN_OPTION_COUNT, &(desk).seed,                                              \
         .help = "of everything random: start values, order of the batches"},                     \
        {"backend",                                                                               \
         NULL,                                                                                    \
         RN_OPTION_CHOICE,                                                                        \
         &(desk).backend,                                                                         \
         .choices = "cpu|cpu-bf16|cpu-bf16-residual-f32|ref|cuda",                                \
         .help = "what computes; cpu-bf16: about twice as fast on processors with bfloat16,\n"    \
                 "activations rounded to 8 bits; residual-f32: but the stream between layers"},   \
    {                                                                                             \
        "threads", "N", RN_OPTION_COUNT, &(desk).threads, .most = RN_TRAINER_THREADS_MAX,         \
                                                          .help = "0: one per core"               \
    }

/* "4096", "512M", "2G" as bytes (powers of 1024); RN_E_USAGE names the option. */
RN_MUST rn_result rn_desk_size_parse(const char *option, const char *text, uint64_t *out,
                                     struct rn_error *err);

/* Memory that a specification of the options borrows. */
struct rn_desk_lists {
    char text[RN_DESK_TARGET_BYTES_MAX];
    const char *targets[RN_TRAINER_TARGETS_MAX];
    uint32_t layers[RN_TRAINER_LAYERS_MAX];
};
/* The options as a specification, without labels. */
RN_MUST rn_result rn_desk_spec(const struct rn_desk *desk, struct rn_desk_lists *lists,
                               struct rn_trainer_spec *out, struct rn_error *err);

/* An opened trainer and its data. */
struct rn_desk_session {
    struct rn_trainer *trainer;
    struct rn_dataset *data;
    struct rn_label_list labels;
    struct rn_adapter_facts adapter;
};

/* Settles labels (the option, the adapter, the data when there is a label column, else the model),
 * opens the trainer, reads the data. */
RN_MUST rn_result rn_desk_open(struct rn_desk *desk, struct rn_desk_session *out,
                               struct rn_error *err);
void rn_desk_close(struct rn_desk_session *session);

#endif
