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
 * every site bit for bit: the adapter after open (A from the seed, B zero, or from the seed too on
 * the zero base of rondo-mlp), a head that the
 * checkpoint does not contain, and the layout. After training on one machine the bits do not depend
 * on `threads` nor on how a batch is packed.
 */
#ifndef RN_TRAINER_TRAINER_H
#define RN_TRAINER_TRAINER_H

#include "base/result.h"
#include "trainer/jobwords.h"
#include "trainer/memoryplan.h"
#include "trainer/words.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
    /* What the bfloat16 backends multiply with: "auto" (NULL means it) is measured; "amx", "onednn"
     * or "float32" stays the same from start to start (kernels.h). */
    const char *kernels;
    uint32_t threads; /* 0 = one per core, at most RN_TRAINER_THREADS_MAX */
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
    /* Whether this trainer will train. One that evaluates and predicts alone keeps the model's
     * matrices in a form for the forward pass, in half the memory on the CPU; training it is
     * RN_E_USAGE. */
    bool for_training;
    bool for_dp;          /* with DP-SGD: counted when memory is checked, and nothing else */
    uint32_t for_clients; /* so many at once: likewise; 0 = none */
    /* Opening refuses with RN_E_MEMORY what would not fit (memoryplan.h): evaluation, or with
     * for_training training too. 0 = what the system has free. */
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

/* ---- Data ----------------------------------------------------------------------------------- */

/* Reads, checks and tokenises the whole file. Errors name file and line, never a record's text. */
RN_MUST rn_result rn_trainer_data_open(struct rn_trainer *trainer, const struct rn_data_spec *spec,
                                       struct rn_dataset **out, struct rn_error *err);
/* Frees; accepts NULL. */
void rn_trainer_data_close(struct rn_dataset *data);
size_t rn_trainer_data_count(const struct rn_dataset *data);

/* ---- Adapter as one flat vector ------------------------------------------------------------- */

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

/* RN_E_ROUND_NUMERIC when a loss or gradient is not finite (the adapter is then as before that
 * step), or after the last step a trained value is not (then the adapter is what that step made of
 * it: set or load one before going on); RN_E_DATA when the data has no example or no labels. */
RN_MUST rn_result rn_trainer_train(struct rn_trainer *trainer, const struct rn_dataset *data,
                                   const struct rn_train_spec *spec, rn_train_progress_fn progress,
                                   void *context, struct rn_train_report *out_report,
                                   struct rn_error *err);

/* One step's noisy sum and no step: the records that spec->dp draws, each clipped to whole numbers,
 * added, with the noise of spec->dp on every value; as rn_trainer_train forms it, before anything
 * is divided or rounded. Nothing of the trainer moves but the optimiser's moments, which are zero
 * afterwards. out has the values of rn_trainer_layout(spec->active, head that trains), count of
 * them (RN_E_USAGE). Where the noise is a share, the sum is as secret as the records until other
 * members' shares are in it. spec: with dp, sampling not RN_DP_BATCHES, steps 1 (RN_E_CONFIG). */
RN_MUST rn_result rn_trainer_noisy_sum(struct rn_trainer *trainer, const struct rn_dataset *data,
                                       const struct rn_train_spec *spec, int64_t *out, size_t count,
                                       struct rn_error *err);

/* Whether every value of every B is zero, as in a new adapter (also: no LoRA matrices). The
 * gradient of A is zero then: to train A alone with DP-SGD spends privacy on noise and learns
 * nothing. */
bool rn_trainer_b_is_zero(struct rn_trainer *trainer);

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

/* go may be NULL. */
RN_MUST rn_result rn_trainer_evaluate(struct rn_trainer *trainer, const struct rn_dataset *data,
                                      rn_evaluate_go_fn go, void *context,
                                      struct rn_metrics *out_metrics, struct rn_error *err);

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
    const char *family;  /* "bert", "roberta", "rondo-mlp" */
    const char *backend; /* "cpu", "cpu-bf16", "cpu-bf16-residual-f32", "ref", "cuda" */
    const char *kernels; /* "amx", "onednn-amx", "avx512bf16" (oneDNN), "avx512", "avx2", "scalar",
                            a device name */
    char measured[96];   /* what the choice of kernels rests on: "amx 1031, onednn 655, float32 102
                            GFLOP/s a thread"; "" where there was none */
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

/* Token ids and facts of directories, labels and lists of files, which need no open trainer. */
#include "trainer/data/labellist.h"
#include "trainer/model/modelclasses.h"
#include "trainer/model/modelfiles.h"
#include "trainer/model/newmlp.h"
#include "trainer/trainertext.h"

/* Splits of a data file, for demonstrations and experiments. */
#include "trainer/data/datapartition.h"
#include "trainer/data/datasplit.h"

/* For benchmarks: the machine's speed; a model and texts from a seed. */
#include "trainer/bench/measure.h"
#include "trainer/bench/randominput.h"

#endif
