/* SPDX-License-Identifier: Apache-2.0
 *
 * The trainer: a pretrained encoder with a classification or regression head, LoRA matrices on it,
 * and local training, evaluation and prediction. Plain data in, plain data out; no network, no
 * keys, no federation. This header is all that the services may include of this folder.
 *
 * Life cycle: rn_trainer_open -> rn_trainer_data_open -> train / evaluate / predict / get / set /
 * save in any order -> rn_trainer_data_close, rn_trainer_close. One trainer is used by one thread
 * at a time; it uses `threads` threads inside.
 *
 * What is a function of (model directory, struct rn_trainer_spec) alone, and therefore equal on
 * every site bit for bit: the adapter after open (A from the seed, B zero), a head that the
 * checkpoint does not contain, and the layout. After training on one machine the bits do not depend
 * on `threads` nor on how a batch is packed.
 */
#ifndef RN_TRAINER_TRAINER_H
#define RN_TRAINER_TRAINER_H

#include "base/result.h"
#include "trainer/memoryplan.h"
#include "trainer/trainerdp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_TRAINER_RANK_MAX 1024
#define RN_TRAINER_TARGETS_MAX 64
#define RN_TRAINER_LAYERS_MAX 256
#define RN_TRAINER_LABELS_MAX 4096
#define RN_TRAINER_THREADS_MAX 64
#define RN_TRAINER_BATCH_MAX 4096
#define RN_SEGMENT_NAME_MAX 192

/* Which LoRA matrices a call means. */
enum rn_matrix { RN_MATRIX_NONE = 0, RN_MATRIX_A = 1, RN_MATRIX_B = 2, RN_MATRIX_AB = 3 };

/* FROZEN: never trained, from the seed or the checkpoint. FEDERATED and LOCAL: trained with every
 * call of rn_trainer_train; the two differ only in whether the caller asks for the head with
 * with_head. */
enum rn_head_mode { RN_HEAD_FROZEN, RN_HEAD_FEDERATED, RN_HEAD_LOCAL };

enum rn_lora_init { RN_LORA_KAIMING, RN_LORA_ORTHONORMAL };

enum rn_task { RN_TASK_CLASSIFICATION, RN_TASK_REGRESSION };

struct rn_lora_spec {
    uint32_t rank; /* 1..RN_TRAINER_RANK_MAX; 0 = no adapters (or: take all from adapter_dir) */
    double alpha;  /* scaling = alpha / rank, or alpha / sqrt(rank) */
    bool use_rslora;
    enum rn_lora_init init;
    /* Names as in peft's target_modules: a module is adapted when its full name equals an entry or
     * ends with "." and an entry ("query", "attention.output.dense"). No entry, or the one entry
     * "all-linear": every linear module of the encoder layers, and the pooler of a BERT checkpoint
     * that has one. The head is never adapted. */
    const char *const *targets;
    size_t target_count;
    const uint32_t *layers; /* layer numbers from 0; none = all layers */
    size_t layer_count;
};

/* Exact savings that a comparison can switch off; all false = all savings on. The logits, each
 * example's gradient and the trained adapter keep their bits, whichever are set (plain_batches: the
 * batch's sum of gradients is then associated differently and may differ in its last bits). */
struct rn_trainer_switches {
    bool plain_last_layer; /* compute all rows of the last layer, not the head's token alone */
    bool full_backward;    /* go down to the embedding though nothing below is adapted */
    bool all_gradients;    /* form the gradients of the frozen LoRA matrices too */
    bool plain_batches;    /* fill blocks in order, without balancing them */
};

struct rn_trainer_spec {
    const char *model_dir;   /* Hugging Face directory: config.json, model.safetensors, ... */
    const char *adapter_dir; /* NULL, or a PEFT directory to start from: then lora.rank may be 0
                                (everything from its configuration); otherwise both must agree */
    uint32_t max_length; /* tokens per example including special ones; 0 = the adapter's, else the
                            model's most or model_max_length of tokenizer_config.json */
    enum rn_task task;
    const char *const
        *labels;        /* label names in class order; a data file may hold these names or
                           the class numbers. NULL: as many as label_count, named by number */
    size_t label_count; /* 2..RN_TRAINER_LABELS_MAX; 0 = what config.json says; regression: 1 */
    struct rn_lora_spec lora;
    enum rn_head_mode head;
    bool new_head;       /* the head from the seed, also where the checkpoint has one: for other
                            classes than its own */
    uint64_t seed;       /* adapter A, and head and pooler where the checkpoint has none */
    const char *backend; /* "cpu" (NULL means it), "cpu-bf16", "ref", "cuda"; kernels.h */
    uint32_t threads;    /* 0 = one per core, at most RN_TRAINER_THREADS_MAX */
    struct rn_trainer_switches switches;
    /* Where the lowest adapted layer is not layer 0, the hidden states that enter it are kept per
     * example, up to so many bytes, and never computed again while the trainer is open: across
     * epochs, calls and data sets, to the same bits. 0 = off; RN_CACHE_AUTO = RN_CACHE_AUTO_BYTES,
     * in memory at most half of what is free. */
    uint64_t cache_bytes;
    /* NULL = in memory; else in the file rondo-prefix.cache of this directory (mode 0600; what the
     * model makes of the records is in it), which goes with the process unless cache_keep leaves it
     * for later runs on the same model, data and backend. */
    const char *cache_dir;
    bool cache_keep;
    /* Opening refuses with RN_E_MEMORY what would not fit (memoryplan.h): evaluation, or with
     * for_training training too. 0 = what the system has free. */
    bool for_training;
    uint64_t memory_limit;
};

#define RN_CACHE_AUTO UINT64_MAX
#define RN_CACHE_AUTO_BYTES ((uint64_t)4 << 30)
#define RN_CACHE_BYTES_MIN ((uint64_t)8192)

struct rn_trainer;

RN_MUST rn_result rn_trainer_open(const struct rn_trainer_spec *spec, struct rn_trainer **out,
                                  struct rn_error *err);
/* Frees; accepts NULL. */
void rn_trainer_close(struct rn_trainer *trainer);

/* ---- Model files ---------------------------------------------------------------------------- */

/* The files (names relative to model_dir, sorted by bytes, static until close) whose content the
 * base-model hash covers: configuration, weights, tokenizer and what stands beside it. */
RN_MUST rn_result rn_trainer_model_files(const struct rn_trainer *trainer,
                                         const char *const **out_names, size_t *out_count);

/* The same list for a directory without opening the model (free with rn_free each name, then the
 * array). */
RN_MUST rn_result rn_model_files_list(const char *model_dir, char ***out_names, size_t *out_count,
                                      struct rn_error *err);

/* ---- Data ----------------------------------------------------------------------------------- */

/* Cells of a TSV file that look as if a program had quoted them, read as they stand. */
struct rn_data_seen {
    uint64_t quoted;
    uint64_t quoted_line; /* of the first */
};

struct rn_data_spec {
    const char *path;   /* TSV, CSV or JSONL; plain or gzip (recognised by content) */
    const char *format; /* "tsv", "tsv-quoted", "csv", "csv-semicolon", "jsonl"; NULL = by the file
                           name (recordfile.h) */
    const char *encoding;      /* "utf-8" (NULL means it), "latin-1", "windows-1252" */
    const char *text_column;   /* column name, or its number from 0 in a file without header */
    const char *pair_column;   /* second text; NULL for single sentences */
    const char *label_column;  /* NULL = no labels: only for prediction */
    bool no_header;            /* TSV and CSV only */
    struct rn_data_seen *seen; /* NULL, or what a person should know of the file: counted up */
};

struct rn_dataset; /* tokenised examples; independent of the adapter */

/* Reads, checks and tokenises the whole file. Errors name file and line, never a record's text. */
RN_MUST rn_result rn_trainer_data_open(struct rn_trainer *trainer, const struct rn_data_spec *spec,
                                       struct rn_dataset **out, struct rn_error *err);
/* Frees; accepts NULL. */
void rn_trainer_data_close(struct rn_dataset *data);
size_t rn_trainer_data_count(const struct rn_dataset *data);

/* ---- Adapter as one flat vector ------------------------------------------------------------- */

enum rn_segment_kind { RN_SEGMENT_A, RN_SEGMENT_B, RN_SEGMENT_HEAD };

/* One tensor of the flat vector, row-major float32. Order: by layer, within a layer by the model's
 * module order (query, key, value, attention.output.dense, intermediate.dense, output.dense), A
 * before B; a BERT pooler's after the layers; then the head's tensors (weight before bias). Names
 * are peft's without "base_model.model.", such as
 * "roberta.encoder.layer.0.attention.self.query.lora_A.weight". */
struct rn_segment {
    char name[RN_SEGMENT_NAME_MAX];
    uint32_t rows; /* A: rank; B: outputs; bias: 1 */
    uint32_t cols; /* A: inputs; B: rank */
    enum rn_segment_kind kind;
    size_t offset; /* first element in the flat vector of this selection */
    size_t count;  /* rows * cols */
};

/* The layout of a selection. *out_segments belongs to the trainer and stands until close. */
RN_MUST rn_result rn_trainer_layout(struct rn_trainer *trainer, enum rn_matrix matrices,
                                    bool with_head, const struct rn_segment **out_segments,
                                    size_t *out_segment_count, size_t *out_element_count);

/* Copies the selection out or in; count must be the layout's element count (RN_E_USAGE). set
 * refuses NaN and infinity with RN_E_ROUND_NUMERIC and then changes nothing. */
RN_MUST rn_result rn_trainer_get(struct rn_trainer *trainer, enum rn_matrix matrices,
                                 bool with_head, float *out_values, size_t count,
                                 struct rn_error *err);
RN_MUST rn_result rn_trainer_set(struct rn_trainer *trainer, enum rn_matrix matrices,
                                 bool with_head, const float *values, size_t count,
                                 struct rn_error *err);

/* ---- Training ------------------------------------------------------------------------------- */

enum rn_optimizer { RN_OPTIMIZER_SGD, RN_OPTIMIZER_ADAMW };
enum rn_schedule { RN_SCHEDULE_CONSTANT, RN_SCHEDULE_LINEAR, RN_SCHEDULE_COSINE };

/* A value of 0 means what is written in brackets. */
struct rn_train_spec {
    enum rn_matrix active; /* matrices that train; NONE = the head alone. A frozen matrix keeps its
                              bytes: no gradient, decay or momentum reaches it */
    enum rn_optimizer optimizer; /* ADAMW as torch.optim.AdamW: betas 0.9, 0.999, eps 1e-8; state
                                    is fresh in every call */
    double lr_a, lr_b, lr_head;  /* lr_head [max of lr_a and lr_b] */
    double weight_decay;         /* decoupled for AdamW, added to the gradient for SGD */
    enum rn_schedule schedule;   /* factor after warm-up as in transformers' get_*_schedule */
    uint32_t warmup_steps;
    uint32_t schedule_steps;  /* steps that the schedule spans [this call's steps] */
    uint32_t schedule_offset; /* steps of the schedule done in earlier calls */
    double clip;              /* global norm bound over all trained values [no clipping] */
    uint32_t batch;  /* 1..RN_TRAINER_BATCH_MAX examples; the last of an epoch is smaller */
    uint32_t steps;  /* this call's optimiser steps [epochs over the data] */
    uint32_t epochs; /* used when steps is 0; at least 1 then */
    bool shuffle;    /* a fresh permutation per epoch from seed; false = file order */
    uint64_t seed;
    uint64_t stream_offset; /* batches of the endless stream of epochs to skip first: round r of s
                               steps each passes r * s, so rounds see different batches */
    uint32_t first_step;    /* steps of this call that a stopped call has done: goes on with
                               adapter and moments as they are [a fresh start]; no dp */
    const struct rn_dp_spec *dp; /* NULL = plain; else clip must be 0 */
};

struct rn_train_progress {
    uint32_t step;  /* finished steps, from 1 */
    uint32_t steps; /* of this call */
    double loss;    /* mean over the step's batch */
    uint64_t tokens;
    const struct rn_train_report *report; /* of this call so far; NULL with several clients */
};
/* Called after every step in the caller's thread; false stops: RN_E_ROUND_ABORTED, and the adapter
 * is left as after that step. The callback may read the trainer: rn_trainer_get, _optimizer_get,
 * _save. */
typedef bool (*rn_train_progress_fn)(void *context, const struct rn_train_progress *progress);

struct rn_train_report {
    double loss_sum;   /* over all examples seen, each at the adapter of its step */
    double loss_first; /* mean loss of the first batch */
    double loss_last;  /* mean loss of the last batch */
    uint32_t steps;
    uint64_t examples;
    uint64_t tokens;
    double seconds; /* wall time of the steps */
};

/* RN_E_ROUND_NUMERIC when a loss or gradient is not finite (the adapter is then as before that
 * step); RN_E_DATA when the data has no example or no labels. */
RN_MUST rn_result rn_trainer_train(struct rn_trainer *trainer, const struct rn_dataset *data,
                                   const struct rn_train_spec *spec, rn_train_progress_fn progress,
                                   void *context, struct rn_train_report *out_report,
                                   struct rn_error *err);

/* The optimiser's moments after the last step, flat, each with the layout of (AB, with head). A
 * stopped training goes on to the same bits: the new trainer of the same specification gets adapter
 * (rn_trainer_set; the head only where it trains) and moments, then rn_trainer_train the same
 * specification with first_step; its report counts its own steps' examples, and loss_first stays 0.
 * set refuses NaN, infinity and a second moment below zero with RN_E_ROUND_NUMERIC. */
RN_MUST rn_result rn_trainer_optimizer_get(struct rn_trainer *trainer, float *out_moment1,
                                           float *out_moment2, size_t count, struct rn_error *err);
RN_MUST rn_result rn_trainer_optimizer_set(struct rn_trainer *trainer, const float *moment1,
                                           const float *moment2, size_t count,
                                           struct rn_error *err);

/* Several simulated clients at once: step i of all of them goes through the frozen base together.
 * Each client's result is bit for bit what rn_trainer_train gives it alone, starting from its
 * values, with its seed and stream_offset in the specification. */
#define RN_TRAINER_CLIENTS_MAX 256
struct rn_client {
    const struct rn_dataset *data;
    uint64_t seed;
    uint64_t stream_offset;
    float *values;                 /* layout of (AB, with head): the start, then the result */
    struct rn_train_report report; /* out; seconds: of all clients together */
};

/* spec->seed and stream_offset are not used; dp and first_step are refused with
 * RN_E_UNSUPPORTED. A client whose
 * data are fewer ends earlier when the specification counts epochs. progress: steps of the longest
 * client, the mean of the losses, the tokens of all. The trainer's own adapter keeps its values. On
 * an error the clients' values are as before. */
RN_MUST rn_result rn_trainer_train_clients(struct rn_trainer *trainer, struct rn_client *clients,
                                           size_t count, const struct rn_train_spec *spec,
                                           rn_train_progress_fn progress, void *context,
                                           struct rn_error *err);

/* ---- Evaluation and prediction -------------------------------------------------------------- */

/* NaN where the task has no such metric. */
struct rn_metrics {
    double loss; /* mean */
    double accuracy;
    double f1; /* of class 1 with two classes, macro mean otherwise */
    double matthews;
    double pearson;
    double spearman;
    uint64_t count;
    uint64_t tokens;
    double seconds;
};
/* Asked before each block of examples, from any of the trainer's threads; false stops:
 * RN_E_ROUND_ABORTED. */
typedef bool (*rn_evaluate_go_fn)(void *context);
/* go may be NULL. */
RN_MUST rn_result rn_trainer_evaluate(struct rn_trainer *trainer, const struct rn_dataset *data,
                                      rn_evaluate_go_fn go, void *context,
                                      struct rn_metrics *out_metrics, struct rn_error *err);

struct rn_prediction {
    size_t index;        /* example number from 0 */
    uint32_t label;      /* class with the greatest logit (the first of equals); regression: 0 */
    const char *name;    /* of the class; regression: NULL */
    const float *logits; /* [logit_count], valid during the call */
    size_t logit_count;
};
/* Called in file order; false stops with RN_E_ROUND_ABORTED. */
typedef bool (*rn_prediction_fn)(void *context, const struct rn_prediction *prediction);
RN_MUST rn_result rn_trainer_predict(struct rn_trainer *trainer, const struct rn_dataset *data,
                                     rn_prediction_fn each, void *context, struct rn_error *err);

/* ---- PEFT directory -------------------------------------------------------------------------- */

/* Writes adapter_config.json, adapter_model.safetensors (adapters; head and pooler unless both came
 * from the checkpoint and were not trained: then task_type is null, since peft looks for the head
 * of a SEQ_CLS adapter in the file) and README.md with the provenance text (may be NULL). The
 * directory is made; existing files of these names are replaced atomically. */
RN_MUST rn_result rn_trainer_save(struct rn_trainer *trainer, const char *dir,
                                  const char *provenance, struct rn_error *err);

/* Replaces the adapter (and the head, where the directory holds one) by the directory's. Its rank,
 * scaling and modules must be this trainer's, and a head that its modules_to_save promise must be
 * there whole: RN_E_DATA otherwise, nothing changed then. */
RN_MUST rn_result rn_trainer_load(struct rn_trainer *trainer, const char *dir,
                                  struct rn_error *err);

/* ---- Facts ----------------------------------------------------------------------------------- */

struct rn_trainer_facts {
    const char *family;  /* "bert", "roberta" */
    const char *backend; /* "cpu", "cpu-bf16", "cpu-bf16-residual-f32", "ref", "cuda" */
    const char *kernels; /* "avx512bf16", "avx512", "avx2", "scalar", a device name */
    uint32_t hidden, layers, heads, intermediate, vocabulary, max_length, label_count, rank;
    uint64_t parameters; /* of the base model, all tensors read */
    uint64_t adapter_parameters;
    uint64_t head_parameters;
    uint64_t weight_bytes; /* arenas, bytes */
    uint64_t step_bytes;
    uint64_t adapter_bytes;
    uint32_t threads;
    bool head_from_seed;
    bool head_random; /* from the seed, and neither trained nor loaded since */
    bool pooler_from_seed;
    bool pooler_random; /* from the seed, and not loaded since */
    /* The cache of hidden states; all 0 while there is none. Counted are examples that were looked
     * up: hits were there. */
    uint64_t cache_bytes, cache_examples, cache_hits, cache_misses;
};
void rn_trainer_facts(const struct rn_trainer *trainer, struct rn_trainer_facts *out);

/* Labels, token ids and directory facts, which need no open trainer. */
#include "trainer/trainertext.h"

/* A skewed split of a data file, for demonstrations and experiments. */
#include "trainer/data/datasplit.h"

/* For benchmarks: the machine's speed; a model and texts from a seed. */
#include "trainer/bench/measure.h"
#include "trainer/bench/randominput.h"

#endif
