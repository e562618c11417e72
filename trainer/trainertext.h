/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of the trainer's public face that needs no open trainer: token ids of a data file's
 * texts, facts of a model or adapter directory. Services get it through trainer/trainer.h.
 */
#ifndef RN_TRAINER_TRAINERTEXT_H
#define RN_TRAINER_TRAINERTEXT_H

#include "base/result.h"
#include "trainer/data/labellist.h"

#include <stddef.h>
#include <stdint.h>

/* The ids of every record's text (or pair), in file order; borrowed for the call. */
typedef rn_result (*rn_ids_fn)(void *context, size_t index, const uint32_t *ids, size_t count,
                               struct rn_error *err);
/* Tokenises a data file with the tokenizer of a model directory. max_length 0: no limit. */
RN_MUST rn_result rn_text_tokenize(const char *model_dir, const struct rn_data_spec *spec,
                                   uint32_t max_length, rn_ids_fn each, void *context,
                                   struct rn_error *err);

/* What a model directory says about itself, every header checked, no weight read. */
struct rn_model_facts {
    const char *family;
    uint32_t layers, heads, hidden, intermediate, vocabulary, positions, length_max;
    uint32_t tokenizer_vocabulary;
    uint64_t tensors;
    uint64_t parameters;
    uint64_t weight_bytes;
    uint32_t files; /* safetensors files */
};
RN_MUST rn_result rn_model_facts_read(const char *model_dir, struct rn_model_facts *out,
                                      struct rn_error *err);

/* What an adapter directory says about itself. Free with rn_adapter_facts_clear. */
struct rn_adapter_facts {
    uint32_t rank;
    double alpha;
    bool use_rslora;
    char *targets;               /* comma-separated, or the regular expression */
    char *base_model;            /* NULL when not stated */
    bool stated;                 /* rondo.json is there: Rondo made the adapter */
    struct rn_label_list labels; /* empty when not stated */
    enum rn_task task;           /* classification when not stated */
    uint32_t max_length;         /* 0 when not stated */
    uint32_t head_outputs;       /* of the head that it holds; 0: none */
    uint64_t tensors;
    uint64_t parameters;
};
RN_MUST rn_result rn_adapter_facts_read(const char *adapter_dir, struct rn_adapter_facts *out,
                                        struct rn_error *err);
void rn_adapter_facts_clear(struct rn_adapter_facts *facts);

#endif
