/* SPDX-License-Identifier: Apache-2.0
 *
 * A PEFT LoRA directory in and out: adapter_config.json, adapter_model.safetensors, README.md, and
 * rondo.json (labels and settings that PEFT has no field for; peft ignores the file).
 *
 * Tensor names in the file:
 *   base_model.model.<module>.lora_A.weight   [rank, in]
 *   base_model.model.<module>.lora_B.weight   [out, rank]
 *   base_model.model.<head tensor>            of a trained or agreed head
 *
 * <module> is a full name such as roberta.encoder.layer.0.attention.self.query, <head tensor> one
 * such as classifier.dense.weight. W' = W + scale * B A, scale = alpha / rank, or alpha /
 * sqrt(rank) with use_rslora.
 *
 * Reading: unknown fields are ignored; a known field whose value changes the arithmetic (use_dora,
 * bias, fan_in_fan_out, layer_replication, ...) is refused by name with RN_E_UNSUPPORTED.
 * lora_dropout has no effect here. An adapter initialised by pissa, olora, loftq etc. changes the
 * base weights and is refused.
 *
 * rank_pattern and alpha_pattern: every module is held here at the largest rank of the file and at
 * one scale, that of r and lora_alpha. Of a module of smaller rank the other rows of A and columns
 * of B are zero; another scale of its own is multiplied into B. So W' is the file's, and what is
 * written has one rank and no patterns.
 */
#ifndef RN_TRAINER_PEFTFILE_H
#define RN_TRAINER_PEFTFILE_H

#include "trainer/data/labellist.h"
#include "trainer/ground/safetensors.h"

#define RN_PEFT_CONFIG_BYTES_MAX ((size_t)4 << 20)
#define RN_PEFT_RANK_MAX 1024
#define RN_PEFT_NAMES_MAX 4096 /* targets, modules to save, excluded modules, layers */
#define RN_PEFT_NAME_BYTES_MAX 512
#define RN_PEFT_PATTERN_BYTES_MAX 4096
#define RN_PEFT_ALPHA_MAX 1048576.0
#define RN_PEFT_RULES_MAX 1024 /* entries of rank_pattern, and of alpha_pattern */

/* A list of names, or one regular expression (as in peft, where a JSON string is one). */
struct rn_peft_names {
    char **names;
    size_t count;
    char *pattern; /* NULL unless the field is a string */
};

/* rank_pattern or alpha_pattern: the first expression that (.*\.)?(expression)$ matches counts
 * (peft: get_pattern_key). */
struct rn_peft_rules {
    struct rn_peft_rule {
        char *expression;
        double value;
    } * rules;
    size_t count;
};

struct rn_peft_config {
    uint32_t rank; /* the largest of the file */
    double alpha;  /* that gives the file's scale at this rank */
    bool use_rslora;
    uint32_t file_rank; /* r and lora_alpha; 0 when the configuration is of no file */
    double file_alpha;
    struct rn_peft_rules ranks, alphas;
    bool all_linear; /* target_modules is the string "all-linear" */
    struct rn_peft_names targets;
    struct rn_peft_names excluded;
    struct rn_peft_names layers_pattern;
    struct rn_peft_names saved; /* modules_to_save; never a pattern */
    uint32_t *layers;           /* layers_to_transform */
    size_t layer_count;         /* 0: all layers */
    char *base_model;           /* base_model_name_or_path, NULL when null */
};

/* What PEFT has no field for; rondo.json. Absent: not stated, count 0, max_length 0. */
struct rn_peft_extra {
    bool stated;
    struct rn_label_list labels;
    enum rn_task task;
    uint32_t max_length;
    bool own; /* the model is of a family that Rondo alone has: so says the README */
};

struct rn_peft {
    struct rn_peft_config config;
    struct rn_peft_extra extra;
    struct rn_safetensors *tensors;
};

RN_MUST rn_result rn_peft_open(const char *dir, struct rn_peft *out, struct rn_error *err);
void rn_peft_close(struct rn_peft *peft);

RN_MUST rn_result rn_peft_config_parse(struct rn_view json, const char *name,
                                       struct rn_peft_config *out, struct rn_error *err);
void rn_peft_config_clear(struct rn_peft_config *config);

/* Sets targets from a command line or plan: "query,value" or "all-linear", or a regular expression
 * after "re:". */
RN_MUST rn_result rn_peft_targets_set(struct rn_peft_config *config, const char *text,
                                      struct rn_error *err);

/* Whether peft would adapt the linear module of this full name: excluded_modules and
 * modules_to_save first; a pattern must match the whole name; a listed name matches when it equals
 * the module or its last dotted parts; layers_to_transform restricts listed names (and all-linear
 * here) by the first number in the path, or by the number after layers_pattern.
 * peft: tuners_utils.check_target_module_exists, _maybe_include_all_linear_layers. */
RN_MUST rn_result rn_peft_target_match(const struct rn_peft_config *config, const char *module,
                                       bool *out_match, struct rn_error *err);

/* The adapter's scale as peft computes it. */
double rn_peft_scale(const struct rn_peft_config *config);

/* Rank of one module in the file, and what its B is to be multiplied by to stand at rn_peft_scale.
 */
RN_MUST rn_result rn_peft_module_rank(const struct rn_peft_config *config, const char *module,
                                      uint32_t *out_rank, double *out_factor, struct rn_error *err);
/* The rule for a module; *out_rule NULL when none matches (peftmatch.c). */
RN_MUST rn_result rn_peft_rule_find(const struct rn_peft_rules *rules, const char *module,
                                    const struct rn_peft_rule **out_rule, struct rn_error *err);

/* lora_A ('A', [rank, columns]) or lora_B ('B', [rows, rank]) of a module into out;
 * RN_E_DATA when it is missing or of another shape. */
RN_MUST rn_result rn_peft_read(const struct rn_peft *peft, const char *module, char matrix,
                               uint64_t rows, uint64_t columns, float *out, struct rn_error *err);

/* A head tensor such as "classifier.dense.weight"; *out_found false (out untouched) when the file
 * has none. */
RN_MUST rn_result rn_peft_read_head(const struct rn_peft *peft, const char *name, uint64_t rows,
                                    uint64_t columns, float *out, bool *out_found,
                                    struct rn_error *err);

/* RN_E_DATA when the file holds a tensor that is none of the names (full names in the file): a
 * leftover tensor means that the adapter was made for another model. */
RN_MUST rn_result rn_peft_check_complete(const struct rn_peft *peft, const char *const *names,
                                         size_t count, struct rn_error *err);

/* The name of a tensor in the file, into out: matrix 'A', 'B', or 0 for a head tensor. */
RN_MUST rn_result rn_peft_tensor_name(char out[static RN_SAFETENSORS_NAME_MAX], const char *module,
                                      char matrix, struct rn_error *err);

/* Writes the four files, adapter_config.json last, so that a directory with one is complete.
 * provenance is Markdown for README.md (may be NULL). tensors carry their full names. */
RN_MUST rn_result rn_peft_write(const char *dir, const struct rn_peft_config *config,
                                const struct rn_peft_extra *extra,
                                const struct rn_tensor_out *tensors, size_t count,
                                const char *provenance, struct rn_error *err);

#endif
