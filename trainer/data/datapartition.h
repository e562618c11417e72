/* SPDX-License-Identifier: Apache-2.0
 *
 * Divides a labelled data file among simulated clients, in the ways of the literature. Records form
 * groups, and each group is dealt to the clients in proportions of its own:
 *
 *     UNIFORM        one group, equal parts
 *     QUANTITY       one group, parts ~ Dirichlet(alpha): clients differ in size alone
 *     DIRICHLET      a group a class, each with parts ~ Dirichlet(alpha) of its own (Hsu et al.
 * 2019) LABELS         a group a class; client p has the classes p k, ..., p k + k - 1 modulo their
 *                    number, and owners of one class have equal parts of it (McMahan et al. 2017)
 *     COLUMN         a group a value of the column, and a client each, in order of appearance
 *
 * Within a group the records are shuffled by the seed, and cut at the rounded cumulative
 * proportions. Dirichlet draws that leave a client without a record are drawn again, at most
 * RN_PARTITION_ATTEMPTS times. A function of (records, labels, specification): the same on every
 * machine with the same C library.
 */
#ifndef RN_TRAINER_DATAPARTITION_H
#define RN_TRAINER_DATAPARTITION_H

#include "base/result.h"
#include "trainer/words.h"

#define RN_PARTITION_PARTS_MAX 1024
#define RN_PARTITION_ATTEMPTS 100
#define RN_PARTITION_ALPHA_MIN 0.001
#define RN_PARTITION_ALPHA_MAX 1e6

enum rn_partition_kind {
    RN_PARTITION_UNIFORM,
    RN_PARTITION_QUANTITY,
    RN_PARTITION_DIRICHLET,
    RN_PARTITION_LABELS,
    RN_PARTITION_COLUMN,
};

struct rn_partition_spec {
    enum rn_partition_kind kind;
    double alpha;              /* of QUANTITY and DIRICHLET */
    size_t classes;            /* of LABELS: k */
    const char *column;        /* of COLUMN */
    struct rn_data_spec data;  /* with a label column */
    const char *const *labels; /* classes in order; none: a regression, which has no classes */
    size_t label_count;
    const char *const *out_paths; /* [parts] JSONL files, mode 0600 (recordwrite.h) */
    size_t parts;                 /* 1..RN_PARTITION_PARTS_MAX */
    uint64_t seed;
};

/* out_counts[parts]: records of each. RN_E_USAGE for numbers outside their bounds, RN_E_DATA when a
 * client stays without a record, or a label is none. Nothing is written then. */
RN_MUST rn_result rn_data_partition(const struct rn_partition_spec *spec, size_t *out_counts,
                                    struct rn_error *err);

/* Values that the column holds: the clients of COLUMN. RN_E_DATA beyond RN_PARTITION_PARTS_MAX. */
RN_MUST rn_result rn_data_partition_values(const struct rn_data_spec *data, const char *column,
                                           size_t *out_count, struct rn_error *err);

#endif
