/* SPDX-License-Identifier: Apache-2.0
 *
 * The options of `rondo train`, `predict` and `evaluate` about model, labels and machine, and the
 * trainer that they open.
 */
#ifndef RN_SERVICES_CLI_DESK_DESKTRAINER_H
#define RN_SERVICES_CLI_DESK_DESKTRAINER_H

#include "services/cli/desk/datacolumns.h"
#include "services/cli/kit/commands.h"
#include "trainer/trainer.h"

#define RN_DESK_TARGET_BYTES_MAX 4096

/* What a trainer can end with: data and model files, this build, memory, numbers. */
#define RN_DESK_EXITS RN_EXITS(65, 66, 69, 71, 78, 81, 82)

/* What the options fill. */
struct rn_desk {
    const char *model;
    const char *adapter; /* to start from, to use; NULL: none */
    uint64_t max_length;
    const char *task;   /* NULL: from the adapter, or from the model */
    const char *labels; /* "a,b", NULL: from the adapter, the model's head, or the data */
    bool labels_public; /* never from the data */
    uint64_t seed;
    const char *backend, *kernels;
    uint64_t threads;
    struct rn_data_columns columns;
    struct rn_lora_spec lora; /* rank 0: as the adapter has it, or none */
    const char *targets;      /* "query,value" */
    const char *layers;       /* "0,1,2", NULL: all */
    enum rn_head_mode head;
    bool new_head;         /* not the model's: other classes */
    const char *cache;     /* "auto", "off", "2G"; NULL: off */
    const char *cache_dir; /* NULL: in memory */
    bool cache_keep;
    bool cache_pays; /* what auto means: whether records are seen more than once */
    bool for_training, for_dp;
    uint64_t memory;   /* limit; 0: what is free */
    const char *plain; /* "last-layer,backward,gradients,batches,examples": savings to
                          leave out; NULL */
};

/* Tables bound to a struct rn_desk: --model; labels and length, of training and of a use; machine;
 * the memory for frozen layers. */
extern const struct rn_option rn_desk_model_options[];
extern const struct rn_option rn_desk_adapter_options[]; /* --adapter, to be used */
extern const struct rn_option rn_desk_lora_options[];    /* where LoRA matrices stand */
extern const struct rn_option rn_desk_options[];
extern const struct rn_option rn_desk_use_options[]; /* the same where nothing is trained */
extern const struct rn_option rn_desk_machine_options[];
extern const struct rn_option rn_desk_cache_options[];

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
    struct rn_data_seen seen;
    struct rn_buffer warnings; /* what rn_desk_notes said, as JSON strings between commas */
};

/* The task that the options name, or that rn_desk_settle_labels found. */
enum rn_task rn_desk_task(const struct rn_desk *desk);

/* Settles task and labels: the option, the adapter, the model's head, and where there is no head
 * the data. RN_E_DATA, naming both, when the label column holds what is none of them. */
RN_MUST rn_result rn_desk_settle_labels(struct rn_desk *desk, const struct rn_data_spec *data,
                                        struct rn_desk_session *session, struct rn_error *err);

/* Settles task and labels, opens the trainer, reads the data. */
RN_MUST rn_result rn_desk_open(struct rn_desk *desk, struct rn_desk_session *out,
                               struct rn_error *err);

/* What a person should know about an opened session, as notes and for rn_desk_warnings_print: a
 * head of random values, class names given for what are numbers in the file, quotes in a TSV file.
 * head: the head is used as it is. */
void rn_desk_notes(const struct rn_desk *desk, struct rn_desk_session *session,
                   const struct rn_command *command, bool head);

/* "warnings": ["..."], and a comma, inside a JSON object; nothing when there are none. */
void rn_desk_warnings_print(struct rn_desk_session *session);

void rn_desk_close(struct rn_desk_session *session);

#endif
