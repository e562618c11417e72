/* SPDX-License-Identifier: Apache-2.0
 *
 * The safetensors format: 8 bytes little-endian header length, a JSON header, raw little-endian
 * row-major data. Never pickle.
 *
 * Opening maps the file and checks the whole header before anything is used: its length, its JSON,
 * every dtype and shape, that data_offsets agree with dtype and shape, and that the tensors tile
 * the data section exactly (no gap, no overlap, no duplicate name, no byte left over). A file that
 * is changed or cut by another process while it is mapped may end this process with SIGBUS, never
 * with a wrong pointer.
 *
 * F32, F16 and BF16 are converted to float32 on reading; other dtypes may be present but not read.
 */
#ifndef RN_TRAINER_SAFETENSORS_H
#define RN_TRAINER_SAFETENSORS_H

#include "base/bytes.h"

#define RN_SAFETENSORS_HEADER_MAX ((size_t)32 << 20)
#define RN_SAFETENSORS_TENSORS_MAX 65536
#define RN_SAFETENSORS_DIMENSIONS_MAX 8
#define RN_SAFETENSORS_NAME_MAX 512
#define RN_SAFETENSORS_SHARDS_MAX 1024
#define RN_SAFETENSORS_INDEX_MAX ((size_t)32 << 20)

enum rn_dtype { RN_DTYPE_OTHER = 0, RN_DTYPE_F32, RN_DTYPE_F16, RN_DTYPE_BF16 };

/* One tensor; borrowed from the map, valid until rn_safetensors_free. */
struct rn_tensor {
    const char *name;
    const char *path; /* the file it stands in */
    const char *dtype_text;
    enum rn_dtype dtype;
    unsigned dimensions; /* 0 for a scalar */
    uint64_t shape[RN_SAFETENSORS_DIMENSIONS_MAX];
    uint64_t elements;
    const uint8_t *data; /* not aligned */
    size_t bytes;
};

struct rn_safetensors;

/* One file. */
RN_MUST rn_result rn_safetensors_open(const char *path, struct rn_safetensors **out,
                                      struct rn_error *err);

/* dir/model.safetensors, or the shards that dir/model.safetensors.index.json names. A tensor must
 * stand in the shard that the index says, and in no other. RN_E_NO_INPUT when neither exists. */
RN_MUST rn_result rn_safetensors_open_model(const char *dir, struct rn_safetensors **out,
                                            struct rn_error *err);

void rn_safetensors_free(struct rn_safetensors *file);
void rn_safetensors_cleanup(struct rn_safetensors **file);

/* Tensors sorted by name. */
size_t rn_safetensors_count(const struct rn_safetensors *file);
const struct rn_tensor *rn_safetensors_at(const struct rn_safetensors *file, size_t index);

/* NULL when absent. Old BERT checkpoints call LayerNorm.weight "gamma" and .bias "beta": such a
 * name is found under its modern one, as in transformers. */
const struct rn_tensor *rn_safetensors_find(const struct rn_safetensors *file, const char *name);

/* Like find for "prefix.rest", but also without "prefix." (a base model saved on its own). */
const struct rn_tensor *rn_safetensors_find_prefixed(const struct rn_safetensors *file,
                                                     const char *prefix, const char *rest);

/* Checks the shape and converts to float32. RN_E_DATA naming file and tensor when the shape
 * differs, RN_E_UNSUPPORTED for another dtype. out holds the product
 * of the shape. */
RN_MUST rn_result rn_tensor_read(const struct rn_tensor *tensor, unsigned dimensions,
                                 const uint64_t *shape, float *out, struct rn_error *err);

/* The same for weights of a model: RN_E_DATA with the tensor's name for NaN and infinity. */
RN_MUST rn_result rn_tensor_read_finite(const struct rn_tensor *tensor, unsigned dimensions,
                                        const uint64_t *shape, float *out, struct rn_error *err);

/* find + read: RN_E_DATA "...: tensor X is missing" when absent. columns 0 reads a vector of rows
 * elements. */
RN_MUST rn_result rn_safetensors_read(const struct rn_safetensors *file, const char *name,
                                      uint64_t rows, uint64_t columns, float *out,
                                      struct rn_error *err);

/* The value of a __metadata__ key (of the first file that has it), NULL when absent. */
const char *rn_safetensors_metadata(const struct rn_safetensors *file, const char *key);

/* The files that were mapped, for hashing: 1 or the shards in name order. The first is the one that
 * errors about missing tensors name. */
size_t rn_safetensors_file_count(const struct rn_safetensors *file);
const char *rn_safetensors_file(const struct rn_safetensors *file, size_t index);

/* One float32 tensor to write. columns 0 means a vector of rows elements. */
struct rn_tensor_out {
    const char *name;
    uint64_t rows;
    uint64_t columns;
    const float *data;
};

/* The bytes of a file with these tensors in name order, metadata {"format":"pt"}: the same tensors
 * give the same bytes on every machine. */
RN_MUST rn_result rn_safetensors_encode(const struct rn_tensor_out *tensors, size_t count,
                                        struct rn_buffer *out, struct rn_error *err);

/* encode + atomic write. */
RN_MUST rn_result rn_safetensors_write(const char *path, const struct rn_tensor_out *tensors,
                                       size_t count, struct rn_error *err);

#endif
