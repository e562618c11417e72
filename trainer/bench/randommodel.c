/* SPDX-License-Identifier: Apache-2.0
 *
 * A model directory with random weights, written piece by piece: a large one never stands in
 * memory.
 */
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/guard.h"
#include "trainer/bench/randominput.h"
#include "trainer/ground/generator.h"
#include "trainer/ground/safetensors.h"
#include "trainer/words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define WIDTH_MAX 32768
#define SPECIALS 4
#define POSITIONS (RN_RANDOM_LENGTH_MOST + 2)
#define CHUNK ((size_t)1 << 18)
#define UNIFORM_BOUND 0.034641016 /* deviation 0.02 */

struct entry {
    char name[RN_SEGMENT_NAME_MAX];
    uint64_t rows, columns; /* columns 0: a vector */
};

/* Calls each for every tensor in the file's order; stops at the first failure. */
typedef rn_result (*entry_fn)(void *context, const struct entry *entry, struct rn_error *err);

static rn_result give(entry_fn each, void *context, uint64_t rows, uint64_t columns,
                      const char *prefix, const char *name, struct rn_error *err)
{
    struct entry entry = {.rows = rows, .columns = columns};
    (void)rn_text_format(entry.name, sizeof(entry.name), "%s%s", prefix, name);
    return each(context, &entry, err);
}

static rn_result give_linear(entry_fn each, void *context, uint64_t n, uint64_t k,
                             const char *prefix, const char *name, struct rn_error *err)
{
    char full[RN_SEGMENT_NAME_MAX];
    (void)rn_text_format(full, sizeof(full), "%s%s", prefix, name);
    RN_TRY(give(each, context, n, k, full, ".weight", err));
    return give(each, context, n, 0, full, ".bias", err);
}

static rn_result give_layer(const struct rn_random_model *m, uint32_t layer, entry_fn each,
                            void *context, struct rn_error *err)
{
    static const char *const square[] = {"attention.self.query", "attention.self.key",
                                         "attention.self.value", "attention.output.dense"};
    const uint64_t d = m->hidden;
    char prefix[64];
    (void)rn_text_format(prefix, sizeof(prefix), "roberta.encoder.layer.%u.", layer);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(square); i++) {
        RN_TRY(give_linear(each, context, d, d, prefix, square[i], err));
    }
    RN_TRY(give_linear(each, context, d, 0, prefix, "attention.output.LayerNorm", err));
    RN_TRY(give_linear(each, context, m->intermediate, d, prefix, "intermediate.dense", err));
    RN_TRY(give_linear(each, context, d, m->intermediate, prefix, "output.dense", err));
    return give_linear(each, context, d, 0, prefix, "output.LayerNorm", err);
}

static rn_result give_all(const struct rn_random_model *m, entry_fn each, void *context,
                          struct rn_error *err)
{
    static const char embeddings[] = "roberta.embeddings.";
    const uint64_t d = m->hidden;
    RN_TRY(give(each, context, RN_RANDOM_WORDS + SPECIALS, d, embeddings, "word_embeddings.weight",
                err));
    RN_TRY(give(each, context, POSITIONS, d, embeddings, "position_embeddings.weight", err));
    RN_TRY(give(each, context, 1, d, embeddings, "token_type_embeddings.weight", err));
    RN_TRY(give_linear(each, context, d, 0, embeddings, "LayerNorm", err));
    for (uint32_t layer = 0; layer < m->layers; layer++) {
        RN_TRY(give_layer(m, layer, each, context, err));
    }
    RN_TRY(give_linear(each, context, d, d, "classifier.", "dense", err));
    return give_linear(each, context, 2, d, "classifier.", "out_proj", err);
}

static uint64_t elements_of(const struct entry *entry)
{
    return entry->rows * (entry->columns == 0 ? 1 : entry->columns);
}

struct header {
    struct rn_buffer text;
    uint64_t offset;
};

static rn_result append_header(void *context, const struct entry *entry, struct rn_error *err)
{
    struct header *header = context;
    const uint64_t end = header->offset + elements_of(entry) * sizeof(float);
    (void)err;
    rn_buffer_format(&header->text, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[%llu", entry->name,
                     (unsigned long long)entry->rows);
    if (entry->columns != 0) {
        rn_buffer_format(&header->text, ",%llu", (unsigned long long)entry->columns);
    }
    rn_buffer_format(&header->text, "],\"data_offsets\":[%llu,%llu]}",
                     (unsigned long long)header->offset, (unsigned long long)end);
    header->offset = end;
    return rn_ok();
}

static rn_result make_header(const struct rn_random_model *model, struct header *out,
                             struct rn_error *err)
{
    rn_buffer_format(&out->text, "{\"__metadata__\":{\"format\":\"pt\"}");
    RN_TRY(give_all(model, append_header, out, err));
    rn_buffer_u8(&out->text, '}');
    while (out->text.length % 8 != 0) {
        rn_buffer_u8(&out->text, ' ');
    }
    RN_ENSURE(!out->text.failed, err, RN_E_MEMORY, "random model: the header is too long");
    return rn_ok();
}

static void header_clear(struct header *header)
{
    rn_buffer_clear(&header->text);
}

static void config_text(const struct rn_random_model *m, struct rn_buffer *out)
{
    rn_buffer_format(
        out,
        "{\"architectures\": [\"RobertaForSequenceClassification\"], \"model_type\": \"roberta\",\n"
        " \"num_hidden_layers\": %u, \"hidden_size\": %u, \"num_attention_heads\": %u,\n"
        " \"intermediate_size\": %u, \"hidden_act\": \"gelu\", \"vocab_size\": %u,\n"
        " \"max_position_embeddings\": %u, \"type_vocab_size\": 1, \"layer_norm_eps\": 1e-05,\n"
        " \"hidden_dropout_prob\": 0.0, \"attention_probs_dropout_prob\": 0.0,\n"
        " \"bos_token_id\": 0, \"pad_token_id\": 1, \"eos_token_id\": 2,\n"
        " \"id2label\": {\"0\": \"0\", \"1\": \"1\"}, \"label2id\": {\"0\": 0, \"1\": 1},\n"
        " \"rondo_random_seed\": %llu}\n",
        m->layers, m->hidden, m->heads, m->intermediate, RN_RANDOM_WORDS + SPECIALS, POSITIONS,
        (unsigned long long)m->seed);
}

static void tokenizer_text(struct rn_buffer *out)
{
    static const char *const specials[SPECIALS] = {"<s>", "<pad>", "</s>", "<unk>"};
    rn_buffer_format(out, "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null,\n"
                          " \"added_tokens\": [");
    for (int i = 0; i < SPECIALS; i++) {
        rn_buffer_format(
            out,
            "%s\n  {\"id\": %d, \"content\": \"%s\", \"single_word\": false, \"lstrip\": "
            "false, \"rstrip\": false, \"normalized\": false, \"special\": true}",
            i == 0 ? "" : ",", i, specials[i]);
    }
    rn_buffer_format(
        out,
        "],\n \"normalizer\": null, \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"},\n"
        " \"post_processor\": {\"type\": \"TemplateProcessing\",\n"
        "  \"single\": [{\"SpecialToken\": {\"id\": \"<s>\", \"type_id\": 0}},\n"
        "   {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}},\n"
        "   {\"SpecialToken\": {\"id\": \"</s>\", \"type_id\": 0}}],\n"
        "  \"pair\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}},\n"
        "   {\"Sequence\": {\"id\": \"B\", \"type_id\": 0}}],\n"
        "  \"special_tokens\": {\n"
        "   \"<s>\": {\"id\": \"<s>\", \"ids\": [0], \"tokens\": [\"<s>\"]},\n"
        "   \"</s>\": {\"id\": \"</s>\", \"ids\": [2], \"tokens\": [\"</s>\"]}}},\n"
        " \"decoder\": null,\n"
        " \"model\": {\"type\": \"WordPiece\", \"unk_token\": \"<unk>\",\n"
        "  \"continuing_subword_prefix\": \"##\", \"max_input_chars_per_word\": 100, \"vocab\": {");
    for (int i = 0; i < SPECIALS; i++) {
        rn_buffer_format(out, "%s\"%s\": %d", i == 0 ? "" : ", ", specials[i], i);
    }
    for (int i = 0; i < RN_RANDOM_WORDS; i++) {
        rn_buffer_format(out, ",%s\"w%d\": %d", i % 8 == 0 ? "\n   " : " ", i, i + SPECIALS);
    }
    rn_buffer_format(out, "}}}\n");
}

struct writer {
    FILE *file;
    const char *path;
    uint64_t seed;
    uint64_t done, total;
    rn_random_progress_fn progress;
    void *context;
    float *chunk; /* [CHUNK] */
};

static bool ends_with(const char *text, const char *end)
{
    const size_t a = strlen(text);
    const size_t b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

/* One chunk: LayerNorm's weight is 1, its bias 0, the rest uniform from a stream of its own. */
static void fill_chunk(const struct writer *writer, const struct entry *entry, uint64_t number,
                       size_t count)
{
    char stream[RN_SEGMENT_NAME_MAX + 24];
    const bool one = ends_with(entry->name, "LayerNorm.weight");
    if (one || ends_with(entry->name, "LayerNorm.bias")) {
        for (size_t i = 0; i < count; i++) {
            writer->chunk[i] = one ? 1.0f : 0.0f;
        }
        return;
    }
    (void)rn_text_format(stream, sizeof(stream), "%s %llu", entry->name,
                         (unsigned long long)number);
    const struct rn_generator generator = rn_generator_of(writer->seed, stream);
    rn_generator_uniform(&generator, UNIFORM_BOUND, count, writer->chunk);
}

static rn_result write_entry(void *context, const struct entry *entry, struct rn_error *err)
{
    struct writer *writer = context;
    const uint64_t all = elements_of(entry);
    for (uint64_t first = 0; first < all; first += CHUNK) {
        const size_t count = all - first < CHUNK ? (size_t)(all - first) : CHUNK;
        fill_chunk(writer, entry, first / CHUNK, count);
        RN_ENSURE(fwrite(writer->chunk, sizeof(float), count, writer->file) == count, err, RN_E_IO,
                  "%s: cannot write: %s", writer->path, strerror(errno));
        writer->done += count * sizeof(float);
        RN_ENSURE(writer->progress == NULL ||
                      writer->progress(writer->context, writer->done, writer->total),
                  err, RN_E_ROUND_ABORTED, "stopped while writing %s", writer->path);
    }
    return rn_ok();
}

static rn_result write_weights(const struct rn_random_model *model, struct writer *writer,
                               struct rn_error *err)
{
    RN_CLEANUP(header_clear) struct header header = {0};
    uint8_t length[8];
    RN_TRY(make_header(model, &header, err));
    struct rn_writer eight = rn_writer_to(length, sizeof(length));
    rn_write_u64(&eight, header.text.length);
    writer->total = header.offset;
    RN_ENSURE(fwrite(length, 1, sizeof(length), writer->file) == sizeof(length) &&
                  fwrite(header.text.data, 1, header.text.length, writer->file) ==
                      header.text.length,
              err, RN_E_IO, "%s: cannot write: %s", writer->path, strerror(errno));
    return give_all(model, write_entry, writer, err);
}

static rn_result check(const struct rn_random_model *m, struct rn_error *err)
{
    RN_ENSURE(m->layers >= 1 && m->layers <= RN_TRAINER_LAYERS_MAX && m->hidden >= 1 &&
                  m->hidden <= WIDTH_MAX && m->intermediate >= 1 && m->intermediate <= WIDTH_MAX &&
                  m->heads >= 1 && m->hidden % m->heads == 0,
              err, RN_E_CONFIG, "random model: a size is beyond its limits");
    return rn_ok();
}

static rn_result write_file(const char *dir, const char *name, struct rn_buffer *text,
                            struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_ENSURE(!text->failed, err, RN_E_MEMORY, "random model: %s is too long", name);
    RN_TRY(rn_path_join(path, dir, name, err));
    return rn_file_write(path, rn_buffer_view(text), 0644, err);
}

rn_result rn_random_model_write(const struct rn_random_model *model, const char *dir,
                                rn_random_progress_fn progress, void *context, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer tokenizer = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer config = {0};
    RN_CLEANUP(rn_free_cleanup) float *chunk = rn_alloc(CHUNK, sizeof(float));
    char path[RN_PATH_MAX];
    RN_TRY(check(model, err));
    RN_TRY(rn_path_join(path, dir, "model.safetensors", err));
    struct writer writer = {.file = fopen(path, "wbe"),
                            .path = path,
                            .seed = model->seed,
                            .progress = progress,
                            .context = context,
                            .chunk = chunk};
    RN_ENSURE(writer.file != NULL, err, RN_E_IO, "%s: cannot write: %s", path, strerror(errno));
    const rn_result result = write_weights(model, &writer, err);
    const bool closed = fclose(writer.file) == 0;
    RN_TRY(result);
    RN_ENSURE(closed, err, RN_E_IO, "%s: cannot write: %s", path, strerror(errno));
    tokenizer_text(&tokenizer);
    RN_TRY(write_file(dir, "tokenizer.json", &tokenizer, err));
    config_text(model, &config);
    return write_file(dir, "config.json", &config, err);
}

static rn_result add_elements(void *context, const struct entry *entry, struct rn_error *err)
{
    (void)err;
    *(uint64_t *)context += elements_of(entry);
    return rn_ok();
}

uint64_t rn_random_model_bytes(const struct rn_random_model *model)
{
    uint64_t elements = 0;
    (void)give_all(model, add_elements, &elements, NULL);
    return elements * sizeof(float);
}

uint64_t rn_random_model_product_parameters(const struct rn_random_model *m)
{
    const uint64_t d = m->hidden;
    return m->layers * (4 * d * d + 2 * d * m->intermediate);
}

bool rn_random_model_matches(const struct rn_random_model *model, const char *dir)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer there = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer wanted = {0};
    RN_CLEANUP(header_clear) struct header header = {0};
    char path[RN_PATH_MAX];
    struct stat status;
    config_text(model, &wanted);
    return rn_is_ok(rn_path_join(path, dir, "config.json", NULL)) &&
           rn_is_ok(rn_file_read(path, (size_t)1 << 20, &there, NULL)) &&
           rn_view_equal(rn_buffer_view(&there), rn_buffer_view(&wanted)) &&
           rn_is_ok(make_header(model, &header, NULL)) &&
           rn_is_ok(rn_path_join(path, dir, "model.safetensors", NULL)) &&
           stat(path, &status) == 0 &&
           (uint64_t)status.st_size == 8 + header.text.length + header.offset;
}
