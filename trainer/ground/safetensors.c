/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading safetensors: mapping, checking headers, finding and converting tensors.
 */
#include "trainer/ground/safetensors.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "trainer/ground/filekind.h"
#include "trainer/ground/jsonfile.h"

#include <stdlib.h>
#include <string.h>

struct shard {
    char *path;
    struct rn_map map;
    json_t *metadata; /* NULL when the file has none */
};

struct rn_safetensors {
    struct shard *shards;
    size_t shard_count;
    struct rn_tensor *tensors; /* by name */
    size_t count, capacity;
};

/* ---- One header */

/* dtype name, bytes per element; 0: less than a byte, never read here. */
static const struct {
    const char *name;
    enum rn_dtype dtype;
    unsigned bytes;
} dtypes[] = {
    {"F32", RN_DTYPE_F32, 4},    {"F16", RN_DTYPE_F16, 2},       {"BF16", RN_DTYPE_BF16, 2},
    {"F64", RN_DTYPE_OTHER, 8},  {"I64", RN_DTYPE_OTHER, 8},     {"U64", RN_DTYPE_OTHER, 8},
    {"I32", RN_DTYPE_OTHER, 4},  {"U32", RN_DTYPE_OTHER, 4},     {"I16", RN_DTYPE_OTHER, 2},
    {"U16", RN_DTYPE_OTHER, 2},  {"I8", RN_DTYPE_OTHER, 1},      {"U8", RN_DTYPE_OTHER, 1},
    {"BOOL", RN_DTYPE_OTHER, 1}, {"F8_E4M3", RN_DTYPE_OTHER, 1}, {"F8_E5M2", RN_DTYPE_OTHER, 1},
};

/* Where a tensor's bytes lie, for the check that they tile the data. */
struct span {
    uint64_t start, end;
};

static rn_result read_dtype(const json_t *entry, const char *path, struct rn_tensor *out,
                            unsigned *out_bytes, struct rn_error *err)
{
    const char *name = json_string_value(json_object_get(entry, "dtype"));

    for (size_t i = 0; name != NULL && i < RN_ARRAY_LENGTH(dtypes); i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            out->dtype = dtypes[i].dtype;
            out->dtype_text = dtypes[i].name;
            *out_bytes = dtypes[i].bytes;
            return rn_ok();
        }
    }
    return rn_fail(err, RN_E_DATA, "%s: tensor %.200s has an unknown dtype", path, out->name);
}

static rn_result read_shape(const json_t *entry, const char *path, struct rn_tensor *out,
                            struct rn_error *err)
{
    const json_t *shape = json_object_get(entry, "shape");
    size_t elements = 1;

    RN_ENSURE(json_is_array(shape) && json_array_size(shape) <= RN_SAFETENSORS_DIMENSIONS_MAX, err,
              RN_E_DATA, "%s: tensor %.200s: shape must be a list of at most %d sizes", path,
              out->name, RN_SAFETENSORS_DIMENSIONS_MAX);
    out->dimensions = (unsigned)json_array_size(shape);
    for (unsigned i = 0; i < out->dimensions; i++) {
        const json_t *size = json_array_get(shape, i);
        RN_ENSURE(json_is_integer(size) && json_integer_value(size) >= 0, err, RN_E_DATA,
                  "%s: tensor %.200s: a size is not a whole number", path, out->name);
        out->shape[i] = (uint64_t)json_integer_value(size);
        RN_ENSURE(rn_size_mul(elements, (size_t)out->shape[i], &elements), err, RN_E_DATA,
                  "%s: tensor %.200s: the shape is too large", path, out->name);
    }
    out->elements = elements;
    return rn_ok();
}

static rn_result read_offsets(const json_t *entry, const char *path, struct rn_view data,
                              unsigned element_bytes, struct rn_tensor *out, struct span *out_span,
                              struct rn_error *err)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *start = json_array_get(offsets, 0);
    const json_t *end = json_array_get(offsets, 1);
    size_t bytes = 0;

    RN_ENSURE(json_array_size(offsets) == 2 && json_is_integer(start) && json_is_integer(end), err,
              RN_E_DATA, "%s: tensor %.200s: data_offsets must be two whole numbers", path,
              out->name);
    const json_int_t from = json_integer_value(start);
    const json_int_t to = json_integer_value(end);
    RN_ENSURE(from >= 0 && to >= from && (uint64_t)to <= data.length, err, RN_E_DATA,
              "%s: tensor %.200s: data_offsets lie outside the file's %zu data bytes (is the file "
              "cut?)",
              path, out->name, data.length);
    RN_ENSURE(rn_size_mul((size_t)out->elements, element_bytes, &bytes) &&
                  bytes == (uint64_t)(to - from),
              err, RN_E_DATA, "%s: tensor %.200s: data_offsets do not agree with shape and dtype",
              path, out->name);
    out->data = data.data + from;
    out->bytes = bytes;
    *out_span = (struct span){(uint64_t)from, (uint64_t)to};
    return rn_ok();
}

static void append_tensor(struct rn_safetensors *file, const struct rn_tensor *tensor)
{
    if (file->count == file->capacity) {
        const size_t more = file->capacity == 0 ? 64 : file->capacity * 2;
        file->tensors = rn_realloc(file->tensors, file->capacity, more, sizeof *file->tensors);
        file->capacity = more;
    }
    file->tensors[file->count] = *tensor;
    file->tensors[file->count++].name = rn_text_copy(tensor->name, strlen(tensor->name));
}

static rn_result read_tensor(struct rn_safetensors *file, const char *path, const char *name,
                             const json_t *entry, struct rn_view data, struct span *out_span,
                             struct rn_error *err)
{
    struct rn_tensor tensor = {.name = name, .path = path};
    unsigned element_bytes = 0;

    RN_ENSURE(strlen(name) < RN_SAFETENSORS_NAME_MAX, err, RN_E_DATA,
              "%s: a tensor's name is longer than %d bytes", path, RN_SAFETENSORS_NAME_MAX - 1);
    RN_ENSURE(file->count < RN_SAFETENSORS_TENSORS_MAX, err, RN_E_DATA, "%s: more than %d tensors",
              path, RN_SAFETENSORS_TENSORS_MAX);
    RN_TRY(read_dtype(entry, path, &tensor, &element_bytes, err));
    RN_TRY(read_shape(entry, path, &tensor, err));
    RN_TRY(read_offsets(entry, path, data, element_bytes, &tensor, out_span, err));
    append_tensor(file, &tensor);
    return rn_ok();
}

static int compare_spans(const void *left, const void *right)
{
    const struct span *a = left;
    const struct span *b = right;

    if (a->start != b->start) {
        return a->start < b->start ? -1 : 1;
    }
    return a->end < b->end ? -1 : a->end > b->end ? 1 : 0;
}

/* No gap, no overlap, nothing after the last. */
static rn_result check_tiling(struct span *spans, size_t count, const char *path, uint64_t length,
                              struct rn_error *err)
{
    uint64_t at = 0;

    if (count > 1) {
        qsort(spans, count, sizeof *spans, compare_spans);
    }
    for (size_t i = 0; i < count; i++) {
        RN_ENSURE(spans[i].start == at, err, RN_E_DATA, "%s: tensors %s at data byte %llu", path,
                  spans[i].start < at ? "overlap" : "leave a gap", (unsigned long long)at);
        at = spans[i].end;
    }
    RN_ENSURE(at == length, err, RN_E_DATA,
              "%s: the tensors take %llu data bytes, but the file has %llu", path,
              (unsigned long long)at, (unsigned long long)length);
    return rn_ok();
}

static rn_result read_entries(struct rn_safetensors *file, struct shard *shard, json_t *header,
                              struct rn_view data, struct span *spans, struct rn_error *err)
{
    size_t count = 0;
    const char *name = NULL;
    json_t *entry = NULL;

    json_object_foreach(header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) {
            RN_ENSURE(json_is_object(entry), err, RN_E_DATA, "%s: __metadata__ is not an object",
                      shard->path);
            shard->metadata = json_incref(entry);
            continue;
        }
        RN_TRY(read_tensor(file, shard->path, name, entry, data, &spans[count++], err));
    }
    return check_tiling(spans, count, shard->path, data.length, err);
}

static rn_result read_header(struct rn_safetensors *file, struct shard *shard, struct rn_error *err)
{
    RN_CLEANUP(rn_json_cleanup) json_t *header = NULL;
    RN_CLEANUP(rn_free_cleanup) struct span *spans = NULL;
    struct rn_reader reader = rn_reader_of(rn_view_of(shard->map.data, shard->map.length));

    const uint64_t length = rn_read_u64(&reader);
    const bool fits = !reader.failed && length <= rn_reader_left(&reader);
    const char *kind = fits ? NULL : rn_file_kind(reader.in);
    RN_ENSURE(kind == NULL, err, RN_E_DATA, "%s: this is %s", shard->path, kind);
    RN_ENSURE(!reader.failed, err, RN_E_DATA, "%s: too short for a safetensors file", shard->path);
    RN_ENSURE(length <= RN_SAFETENSORS_HEADER_MAX, err, RN_E_DATA,
              "%s: the header claims %llu bytes; the limit is %zu", shard->path,
              (unsigned long long)length, RN_SAFETENSORS_HEADER_MAX);
    RN_ENSURE(length <= rn_reader_left(&reader), err, RN_E_DATA,
              "%s: the header claims %llu bytes, but the file ends after %zu (cut?)", shard->path,
              (unsigned long long)length, rn_reader_left(&reader));
    const struct rn_view text = rn_read_view(&reader, (size_t)length);
    const struct rn_view data = rn_read_view(&reader, rn_reader_left(&reader));
    const rn_result parsed = rn_json_parse_strict(text, shard->path, &header, err);
    if (!rn_is_ok(parsed)) {
        return rn_fail_context(err, parsed, "safetensors header");
    }
    spans = rn_alloc(json_object_size(header), sizeof *spans);
    return read_entries(file, shard, header, data, spans, err);
}

/* ---- Opening */

static rn_result add_shard(struct rn_safetensors *file, const char *path, struct rn_error *err)
{
    struct shard *shard = &file->shards[file->shard_count++];

    shard->path = rn_text_copy(path, strlen(path));
    RN_TRY(rn_map_open(path, &shard->map, err));
    return read_header(file, shard, err);
}

static int compare_tensors(const void *left, const void *right)
{
    return strcmp(((const struct rn_tensor *)left)->name, ((const struct rn_tensor *)right)->name);
}

static rn_result sort_tensors(struct rn_safetensors *file, struct rn_error *err)
{
    if (file->count > 1) {
        qsort(file->tensors, file->count, sizeof *file->tensors, compare_tensors);
    }
    for (size_t i = 1; i < file->count; i++) {
        RN_ENSURE(strcmp(file->tensors[i - 1].name, file->tensors[i].name) != 0, err, RN_E_DATA,
                  "%s and %s both hold tensor %.200s", file->tensors[i - 1].path,
                  file->tensors[i].path, file->tensors[i].name);
    }
    return rn_ok();
}

static struct rn_safetensors *new_file(size_t shards)
{
    struct rn_safetensors *file = rn_alloc(1, sizeof *file);

    file->shards = rn_alloc(shards, sizeof *file->shards);
    return file;
}

rn_result rn_safetensors_open(const char *path, struct rn_safetensors **out, struct rn_error *err)
{
    RN_CLEANUP(rn_safetensors_cleanup) struct rn_safetensors *file = new_file(1);

    RN_TRY(add_shard(file, path, err));
    RN_TRY(sort_tensors(file, err));
    *out = RN_TAKE(file);
    return rn_ok();
}

static int compare_texts(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* A shard's name is one file name: no folder, nothing hidden. */
static bool is_shard_name(const char *name)
{
    return name != NULL && name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL &&
           strlen(name) < 256;
}

/* The distinct file names of weight_map, sorted. names holds RN_SAFETENSORS_SHARDS_MAX. */
static rn_result shard_names(json_t *weight_map, const char *index, const char **names,
                             size_t *out_count, struct rn_error *err)
{
    const char *tensor = NULL;
    json_t *value = NULL;
    size_t count = 0;

    json_object_foreach(weight_map, tensor, value)
    {
        const char *name = json_string_value(value);
        bool known = false;
        RN_ENSURE(is_shard_name(name), err, RN_E_DATA,
                  "%s: weight_map: tensor %.200s has no plain file name", index, tensor);
        for (size_t i = 0; i < count && !known; i++) {
            known = strcmp(names[i], name) == 0;
        }
        if (known) {
            continue;
        }
        RN_ENSURE(count < RN_SAFETENSORS_SHARDS_MAX, err, RN_E_DATA, "%s: more than %d files",
                  index, RN_SAFETENSORS_SHARDS_MAX);
        names[count++] = name;
    }
    if (count > 1) {
        qsort(names, count, sizeof *names, compare_texts);
    }
    *out_count = count;
    return rn_ok();
}

/* Every tensor where the index says, and none that it does not name. */
static rn_result check_index(const struct rn_safetensors *file, const json_t *weight_map,
                             const char *index, struct rn_error *err)
{
    for (size_t i = 0; i < file->count; i++) {
        const struct rn_tensor *tensor = &file->tensors[i];
        const char *wanted = json_string_value(json_object_get(weight_map, tensor->name));
        const char *slash = strrchr(tensor->path, '/');
        const char *actual = slash == NULL ? tensor->path : slash + 1;
        RN_ENSURE(wanted != NULL && strcmp(wanted, actual) == 0, err, RN_E_DATA,
                  "%s: tensor %.200s stands in %s, which the index does not say", index,
                  tensor->name, actual);
    }
    RN_ENSURE(file->count == json_object_size(weight_map), err, RN_E_DATA,
              "%s: the index names %zu tensors, but the files hold %zu", index,
              json_object_size(weight_map), file->count);
    return rn_ok();
}

static rn_result open_sharded(const char *dir, const char *index, struct rn_safetensors **out,
                              struct rn_error *err)
{
    RN_CLEANUP(rn_json_cleanup) json_t *root = NULL;
    RN_CLEANUP(rn_safetensors_cleanup) struct rn_safetensors *file = NULL;
    const char *names[RN_SAFETENSORS_SHARDS_MAX];
    char path[RN_PATH_MAX];
    size_t count = 0;

    RN_TRY(rn_json_read(index, RN_SAFETENSORS_INDEX_MAX, &root, err));
    json_t *weight_map = json_object_get(root, "weight_map");
    RN_ENSURE(json_object_size(weight_map) > 0, err, RN_E_DATA,
              "%s: weight_map is missing or empty", index);
    RN_TRY(shard_names(weight_map, index, names, &count, err));
    file = new_file(count);
    for (size_t i = 0; i < count; i++) {
        RN_TRY(rn_path_join(path, dir, names[i], err));
        RN_TRY(add_shard(file, path, err));
    }
    RN_TRY(sort_tensors(file, err));
    RN_TRY(check_index(file, weight_map, index, err));
    *out = RN_TAKE(file);
    return rn_ok();
}

rn_result rn_safetensors_open_model(const char *dir, struct rn_safetensors **out,
                                    struct rn_error *err)
{
    char path[RN_PATH_MAX];
    char index[RN_PATH_MAX];

    RN_TRY(rn_path_join(path, dir, "model.safetensors", err));
    RN_TRY(rn_path_join(index, dir, "model.safetensors.index.json", err));
    if (rn_file_exists(path)) {
        return rn_safetensors_open(path, out, err);
    }
    RN_ENSURE(rn_file_exists(index), err, RN_E_NO_INPUT,
              "%s: holds neither model.safetensors nor model.safetensors.index.json", dir);
    return open_sharded(dir, index, out, err);
}

void rn_safetensors_free(struct rn_safetensors *file)
{
    if (file == NULL) {
        return;
    }
    for (size_t i = 0; i < file->count; i++) {
        rn_free((void *)(uintptr_t)file->tensors[i].name);
    }
    for (size_t i = 0; i < file->shard_count; i++) {
        rn_map_close(&file->shards[i].map);
        json_decref(file->shards[i].metadata);
        rn_free(file->shards[i].path);
    }
    rn_free(file->tensors);
    rn_free(file->shards);
    rn_free(file);
}

void rn_safetensors_cleanup(struct rn_safetensors **file)
{
    rn_safetensors_free(*file);
    *file = NULL;
}

/* ---- Looking up */

size_t rn_safetensors_count(const struct rn_safetensors *file)
{
    return file->count;
}

const struct rn_tensor *rn_safetensors_at(const struct rn_safetensors *file, size_t index)
{
    RN_BUG_IF(index >= file->count);
    return &file->tensors[index];
}

static const struct rn_tensor *find_exact(const struct rn_safetensors *file, const char *name)
{
    const struct rn_tensor key = {.name = name};

    if (file->count == 0) {
        return NULL;
    }
    return bsearch(&key, file->tensors, file->count, sizeof key, compare_tensors);
}

/* "X.LayerNorm.weight" under its old name "X.LayerNorm.gamma". */
static const struct rn_tensor *find_old_norm(const struct rn_safetensors *file, const char *name)
{
    static const char *const endings[][2] = {{"LayerNorm.weight", "LayerNorm.gamma"},
                                             {"LayerNorm.bias", "LayerNorm.beta"}};
    const size_t length = strlen(name);
    char old[RN_SAFETENSORS_NAME_MAX];

    for (size_t i = 0; i < RN_ARRAY_LENGTH(endings); i++) {
        const size_t ending = strlen(endings[i][0]);
        if (length >= ending && strcmp(name + length - ending, endings[i][0]) == 0 &&
            rn_text_format(old, sizeof old, "%.*s%s", (int)(length - ending), name,
                           endings[i][1])) {
            return find_exact(file, old);
        }
    }
    return NULL;
}

const struct rn_tensor *rn_safetensors_find(const struct rn_safetensors *file, const char *name)
{
    const struct rn_tensor *found = find_exact(file, name);

    return found != NULL ? found : find_old_norm(file, name);
}

const struct rn_tensor *rn_safetensors_find_prefixed(const struct rn_safetensors *file,
                                                     const char *prefix, const char *rest)
{
    char name[RN_SAFETENSORS_NAME_MAX];

    if (rn_text_format(name, sizeof name, "%s.%s", prefix, rest)) {
        const struct rn_tensor *found = rn_safetensors_find(file, name);
        if (found != NULL) {
            return found;
        }
    }
    return rn_safetensors_find(file, rest);
}

const char *rn_safetensors_metadata(const struct rn_safetensors *file, const char *key)
{
    for (size_t i = 0; i < file->shard_count; i++) {
        const char *value = json_string_value(json_object_get(file->shards[i].metadata, key));
        if (value != NULL) {
            return value;
        }
    }
    return NULL;
}

size_t rn_safetensors_file_count(const struct rn_safetensors *file)
{
    return file->shard_count;
}

const char *rn_safetensors_file(const struct rn_safetensors *file, size_t index)
{
    RN_BUG_IF(index >= file->shard_count);
    return file->shards[index].path;
}
