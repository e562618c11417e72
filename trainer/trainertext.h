/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of the trainer's public face that needs no weights: labels of a data file, token ids of
 * its texts, facts of a model or adapter directory. Services get it through trainer/trainer.h.
 */
#ifndef RN_TRAINER_TRAINERTEXT_H
#define RN_TRAINER_TRAINERTEXT_H

#include "base/result.h"
#include "trainer/trainer.h"

#include <stddef.h>
#include <stdint.h>

#define RN_LABEL_BYTES_MAX 256

/* Label names in class order. Free with rn_label_list_clear. */
struct rn_label_list {
    char **names;
    size_t count;
};
void rn_label_list_clear(struct rn_label_list *list);
/* Appends a copy; false when the list holds RN_TRAINER_LABELS_MAX. */
bool rn_label_list_append(struct rn_label_list *list, const char *name, size_t length);
/* Names "0", "1", ... of so many classes. */
void rn_label_list_number(struct rn_label_list *list, size_t count);
/* "negative,positive": at least two distinct names without spaces around; RN_E_USAGE otherwise. */
RN_MUST rn_result rn_label_list_parse(const char *text, struct rn_label_list *out,
                                      struct rn_error *err);

/* The distinct labels of a data file: "0", "1", ... up to the largest when all are whole numbers
 * from 0 (2.0 is one: pandas writes so), else numbers by value before texts in byte order. -1
 * beside whole numbers from 0 marks records without a label: RN_E_DATA. For an engineer at a desk;
 * in a federation the plan lists the labels. At most RN_TRAINER_LABELS_MAX, at least 2 (RN_E_DATA
 * otherwise). */
RN_MUST rn_result rn_label_list_discover(const struct rn_data_spec *spec, struct rn_label_list *out,
                                         struct rn_error *err);

/* RN_E_DATA with the line where the label column first holds none of the names: the sentence lists
 * such labels, a few of them, and the names. A label is a name, the number of a class where no name
 * is a number, or "LABEL_" and that number. */
RN_MUST rn_result rn_label_list_check(const struct rn_data_spec *spec,
                                      const struct rn_label_list *names, struct rn_error *err);
/* The names between commas, as many as fit. */
void rn_label_list_text(const struct rn_label_list *list, char *out, size_t capacity);

/* What a model directory says of its classes. Free with rn_model_classes_clear. */
struct rn_model_classes {
    enum rn_task task; /* by problem_type, or by a single label */
    bool multi_label;  /* several classes a record */
    bool has_head;     /* the checkpoint holds a classifier */
    uint32_t count;    /* the head's outputs; without a head those of id2label or num_labels;
                          0: not stated */
    struct rn_label_list names; /* id2label by the numbers that are its keys; empty where nobody
                                   named the classes, or other than count of them */
};
RN_MUST rn_result rn_model_classes_read(const char *model_dir, struct rn_model_classes *out,
                                        struct rn_error *err);
void rn_model_classes_clear(struct rn_model_classes *classes);

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
