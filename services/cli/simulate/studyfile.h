/* SPDX-License-Identifier: Apache-2.0
 *
 * A study as a YAML file with a closed schema: what is trained, and the grid of what varies.
 *
 *     version: 1
 *     name: sst2
 *     meaning: "three methods, from 3 clients to 50"
 *     model: ../encoder                     # paths are relative to the file
 *     data:
 *       train: train.tsv.gz
 *       test: dev.tsv.gz                    # looked at once, with the rate that was chosen
 *       text: sentence
 *       label: label
 *       labels: ["0", "1"]
 *       validation: 10                      # one record of so many is held back to choose rates on
 *     training:
 *       client_rounds: 150                  # rounds are these by clients; or rounds: 20
 *       steps: 20
 *       ...
 *     grid:
 *       methods: [rolora, ffa-lora, fedavg-lora]
 *       ranks: [4]
 *       layers: ["all"]
 *       clients: [3, 50]
 *       partitions: ["uniform"]
 *       rates: ["1e-3", "3e-3"]
 *       seeds: [1, 2, 3]
 */
#ifndef RN_SERVICES_CLI_SIMULATE_STUDYFILE_H
#define RN_SERVICES_CLI_SIMULATE_STUDYFILE_H

#include "base/file.h"
#include "policy/plan.h"

#define RN_STUDY_LIST_MAX 32 /* values of one dimension of the grid */
#define RN_STUDY_WORD_MAX 64
#define RN_STUDY_PATH_MAX 512
#define RN_STUDY_CELLS_MAX 512
#define RN_STUDY_BYTES_MAX ((size_t)64 * 1024)

typedef char rn_study_word[RN_STUDY_WORD_MAX];

struct rn_study {
    uint32_t version;
    char name[RN_STUDY_WORD_MAX];
    char meaning[RN_STUDY_PATH_MAX];
    char model[RN_STUDY_PATH_MAX];
    struct {
        char train[RN_STUDY_PATH_MAX], test[RN_STUDY_PATH_MAX];
        rn_study_word text, label;
        char labels[RN_PLAN_LABELS_MAX][RN_PLAN_LABEL_MAX + 1];
        uint32_t labels_count;
        uint32_t validation;
    } data;
    struct {
        uint32_t rounds, client_rounds, steps, batch, max_length, evaluate_every;
        double alpha, clip, scale;
        uint32_t head, optimizer; /* enum rn_plan_head, rn_plan_optimizer */
        char targets[RN_PLAN_TARGETS_MAX][RN_PLAN_TARGET_MAX + 1];
        uint32_t targets_count;
    } training;
    struct {
        uint32_t methods; /* bits 1 << enum rn_plan_method */
        uint32_t ranks[RN_STUDY_LIST_MAX], ranks_count;
        rn_study_word layers[RN_STUDY_LIST_MAX]; /* "all", "4,5" */
        uint32_t layers_count;
        uint32_t clients[RN_STUDY_LIST_MAX], clients_count;
        rn_study_word partitions[RN_STUDY_LIST_MAX];
        uint32_t partitions_count;
        rn_study_word rates[RN_STUDY_LIST_MAX];
        uint32_t rates_count;
        uint32_t seeds[RN_STUDY_LIST_MAX], seeds_count;
    } grid;
};

/* Reads the file; paths in out are resolved. RN_E_CONFIG with line and field. */
RN_MUST rn_result rn_study_read(const char *path, struct rn_study *out, struct rn_error *err);

/* Cuts the grid down to what shows the main picture: three seeds, the first rank, layers and
 * partition, the fewest and the most clients. */
void rn_study_quick(struct rn_study *study);

/* One combination but for rate and seed. */
struct rn_study_cell {
    enum rn_plan_method method;
    uint32_t rank, clients, rounds;
    const char *layers, *partition; /* of the study */
    char label[128];
};
/* All of them; returns how many, at most RN_STUDY_CELLS_MAX (rn_study_read has checked that). */
uint32_t rn_study_cells(const struct rn_study *study, struct rn_study_cell *out);

/* The plan of a run, as its exact text and parsed. RN_E_CONFIG for what a plan refuses. */
RN_MUST rn_result rn_study_plan(const struct rn_study *study, const struct rn_study_cell *cell,
                                double rate, uint32_t seed, const uint8_t model_hash[static 32],
                                struct rn_buffer *out_text, struct rn_plan *out_plan,
                                struct rn_error *err);

#endif
