/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts a labelled data file into parts that differ as organisations' data do: for demonstrations
 * and experiments.
 *
 * Part p prefers the classes c with c mod parts = p mod parts (or, with fewer classes than parts, c
 * = p mod classes). A record of a class goes to a part with probability proportional to 1 where the
 * part prefers the class, and to 1 - skew * (p + 1) / parts where it does not, so that later parts
 * are more one-sided and smaller. skew 0 is an independent and identical split. A function of
 * (records, labels, parts, skew, seed).
 */
#ifndef RN_TRAINER_DATASPLIT_H
#define RN_TRAINER_DATASPLIT_H

#include "base/result.h"
#include "trainer/words.h"

#define RN_SPLIT_PARTS_MAX 128

struct rn_split_spec {
    struct rn_data_spec data;  /* with a label column */
    const char *const *labels; /* classes in order */
    size_t label_count;
    const char *const *out_paths; /* [parts] JSONL files: "text", "pair" (if any), "label" */
    size_t parts;                 /* 1..RN_SPLIT_PARTS_MAX */
    double skew;                  /* 0..1 */
    uint64_t seed;
};

/* out_counts[parts * label_count]: records of each part and class. RN_E_DATA when a part stays
 * empty or a label is not in the list. */
RN_MUST rn_result rn_data_split(const struct rn_split_spec *spec, size_t *out_counts,
                                struct rn_error *err);

#endif
