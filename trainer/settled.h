/* SPDX-License-Identifier: Apache-2.0
 *
 * From a specification to what a trainer will be: everything that needs no weight, checked. The
 * memory plan and the trainer begin with it.
 */
#ifndef RN_TRAINER_SETTLED_H
#define RN_TRAINER_SETTLED_H

#include "trainer/adapter/peftfile.h"
#include "trainer/kernels/kernels.h"
#include "trainer/model/modelconfig.h"
#include "trainer/pass/pass.h"
#include "trainer/trainer.h"

struct rn_settled {
    char *model_dir;
    enum rn_task task;
    enum rn_head_mode head_mode;
    struct rn_label_list labels; /* empty for regression */
    uint32_t label_count;        /* rows of the classifier */
    bool new_head;               /* not the checkpoint's: wished so, or the adapter brings one */
    uint32_t max_length;
    uint32_t threads;
    struct rn_trainer_switches switches;
    uint64_t cache_bytes; /* budget; 0 = no cache */
    char *cache_dir;
    bool cache_keep;
    bool for_training;
    struct rn_model_config model;
    struct rn_peft_config config; /* of the adapter; who builds one takes it */
    const struct rn_kernels *kernels;
    struct rn_device *device; /* open */
};

/* On failure out is cleared. */
RN_MUST rn_result rn_settle(const struct rn_trainer_spec *spec, struct rn_settled *out,
                            struct rn_error *err);
/* Closes the device: whatever lives on it is gone before. */
void rn_settled_clear(struct rn_settled *settled);

/* Limits of a lane's pass. */
struct rn_pass_options rn_settled_options(const struct rn_settled *settled, bool training);
/* Whether hidden states are kept: wanted, and something is below the lowest adapted layer. */
bool rn_settled_caches(const struct rn_settled *settled, uint32_t lowest);
/* An automatic budget of the cache where so many bytes of memory are left. */
uint64_t rn_settled_cache_auto(const struct rn_settled *settled, uint64_t left);
/* Whether the backend's device memory is this process's own. */
bool rn_settled_on_host(const struct rn_settled *settled);

struct rn_safetensors;
struct rn_adapter;
/* Sites and layout of what is settled, over `encoder`, which is filled in and stays with it. Takes
 * the configuration until rn_settled_unshape. tensors: as below. */
RN_MUST rn_result rn_settled_shape(struct rn_settled *settled, const struct rn_safetensors *tensors,
                                   struct rn_encoder *encoder, struct rn_adapter *out,
                                   struct rn_error *err);
void rn_settled_unshape(struct rn_settled *settled, struct rn_adapter *adapter);
/* Matrices whose products backward takes, [layers][modules], and whether it takes the pooler's;
 * the caller frees. None where nothing will train. */
RN_MUST rn_result rn_settled_back(struct rn_settled *settled, const struct rn_safetensors *tensors,
                                  bool (**out)[RN_MODULES_MAX], bool *out_head,
                                  struct rn_error *err);

struct rn_memory_request;
struct rn_memory_plan;
/* The memory plan of what is settled (memoryplan.c). limit 0: what the system has free. tensors: of
 * the model, or NULL where its weights are not there. */
RN_MUST rn_result rn_memory_plan_of(struct rn_settled *settled,
                                    const struct rn_safetensors *tensors,
                                    const struct rn_memory_request *request, uint64_t limit,
                                    struct rn_memory_plan *out, struct rn_error *err);

#endif
