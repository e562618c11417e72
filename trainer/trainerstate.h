/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of struct rn_trainer, shared by the files that implement trainer/trainer.h.
 */
#ifndef RN_TRAINER_TRAINERSTATE_H
#define RN_TRAINER_TRAINERSTATE_H

#include "trainer/adapter/adapter.h"
#include "trainer/ground/team.h"
#include "trainer/pass/pass.h"
#include "trainer/text/tokenizer.h"

#include <string.h>

#define RN_BLOCK_SEQUENCES_MAX 512

/* One cached answer of rn_trainer_layout per selection (matrices, with_head). */
struct rn_layout {
    struct rn_segment *segments;
    size_t segment_count;
    size_t element_count;
};
#define RN_LAYOUT_COUNT 8

struct rn_trainer {
    char *model_dir;
    enum rn_task task;
    enum rn_head_mode head_mode;
    struct rn_label_list labels; /* empty for regression */
    uint32_t label_count;        /* rows of the classifier */
    bool new_head;               /* not the checkpoint's: wished so, or the adapter brings one */
    uint32_t max_length;
    uint32_t threads;
    char **files; /* rn_trainer_model_files */
    size_t file_count;

    const struct rn_kernels *kernels;
    struct rn_device *device;
    struct rn_lane *lane; /* for work between passes */
    struct rn_encoder encoder;
    struct rn_adapter adapter;
    struct rn_tokenizer *tokenizer;
    struct rn_team *team;
    uint64_t cache_bytes; /* budget; 0 = no cache */
    char *cache_dir;
    bool cache_keep;
    struct rn_prefix_cache *cache; /* NULL until first needed */
    struct rn_pass *passes;        /* [threads]; NULL until first needed */
    bool passes_train;
    uint32_t pieces; /* most pieces of a block; 0 = 1 */
    struct rn_trainer_switches switches;
    float *gradient; /* device [adapter.count], with the training passes */
    float *moment1;
    float *moment2;
    bool pooler_loaded; /* with an adapter */
    bool head_changed;  /* trained or set: no longer the checkpoint's */
    struct rn_layout layouts[RN_LAYOUT_COUNT];
};

/* Plans and takes the passes' memory, once; training: gradients and optimiser state too. */
RN_MUST rn_result rn_trainer_prepare(struct rn_trainer *trainer, bool training,
                                     struct rn_error *err);
void rn_trainer_release(struct rn_trainer *trainer);

/* Checks a specification and settles what needs no weights: configuration, labels, lengths, lanes,
 * an open device. The caller clears the configuration and closes the trainer. */
RN_MUST rn_result rn_trainer_settle(const struct rn_trainer_spec *spec, struct rn_trainer **out,
                                    struct rn_peft_config *out_config,
                                    struct rn_model_config *out_model, struct rn_error *err);
/* Limits of a lane's pass. */
struct rn_pass_options rn_trainer_pass_options(const struct rn_trainer *trainer, bool training);
/* An automatic budget of the cache where so many bytes of memory are left. */
uint64_t rn_trainer_cache_auto(uint64_t left, bool on_disk);
/* RN_E_MEMORY when a settled trainer would not fit. */
RN_MUST rn_result rn_memory_refuse(struct rn_trainer *trainer, const struct rn_trainer_spec *spec,
                                   const struct rn_model_config *model,
                                   struct rn_peft_config *config,
                                   const struct rn_safetensors *tensors, struct rn_error *err);
/* Whether the backend's device memory is this process's own. */
static inline bool rn_kernels_on_host(const struct rn_kernels *kernels)
{
    return strcmp(kernels->name, "cuda") != 0;
}

/* Cuts examples in order into blocks for the lanes; out_first holds count + 1 numbers, the last is
 * count. Returns the number of blocks. The cut depends on the lengths, the maximum length and the
 * backend alone, never on the threads; a batch's gradient is the sum over its blocks in order, of
 * each block's sum over its examples in order, so its bits too are a function of the batch. */
uint32_t rn_blocks_cut(const struct rn_trainer *trainer, const struct rn_example *examples,
                       uint32_t count, uint32_t *out_first);
/* Tokens that the largest possible block holds. */
uint32_t rn_blocks_tokens_max(const struct rn_trainer *trainer);

/* Factor of the learning rate at a step (from 0), as transformers'
 * get_constant_schedule_with_warmup, get_linear_schedule_with_warmup,
 * get_cosine_schedule_with_warmup. */
double rn_schedule_factor(enum rn_schedule schedule, uint64_t step, uint64_t warmup,
                          uint64_t total);

#endif
