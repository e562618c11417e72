/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing and reading checkpoints.
 */
#include "services/cli/desk/checkpoint.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "crypto/sha256.h"

#include <string.h>

static const char magic[] = "rondo-ckpt 1\n";
#define MAGIC_BYTES (sizeof(magic) - 1)

static void put_double(struct rn_buffer *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    rn_buffer_u64(out, bits);
}

static double take_double(struct rn_reader *in)
{
    const uint64_t bits = rn_read_u64(in);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static rn_result count_of(const struct rn_checkpoint *of, bool with_head, size_t *out,
                          struct rn_error *err)
{
    const struct rn_segment *segments = NULL;
    size_t segment_count = 0;
    RN_TRY(rn_trainer_layout(of->trainer, RN_MATRIX_AB, with_head, &segments, &segment_count, out));
    RN_ENSURE(*out < RN_CHECKPOINT_BYTES_MAX / (4 * sizeof(float)), err, RN_E_MEMORY,
              "the adapter is too large for a checkpoint");
    return rn_ok();
}

static rn_result put_values(const struct rn_checkpoint *of, struct rn_buffer *out,
                            struct rn_error *err)
{
    size_t count = 0;
    size_t all = 0;
    RN_TRY(count_of(of, of->with_head, &count, err));
    RN_TRY(count_of(of, true, &all, err));
    RN_CLEANUP(rn_free_cleanup) float *values = rn_alloc(2 * all, sizeof(*values));
    RN_TRY(rn_trainer_get(of->trainer, RN_MATRIX_AB, of->with_head, values, count, err));
    rn_buffer_u64(out, count);
    rn_buffer_append(out, values, count * sizeof(*values));
    RN_TRY(rn_trainer_optimizer_get(of->trainer, values, values + all, all, err));
    rn_buffer_u64(out, all);
    rn_buffer_append(out, values, 2 * all * sizeof(*values));
    return rn_ok();
}

rn_result rn_checkpoint_write(const struct rn_checkpoint *of, const char *path, uint32_t step,
                              const struct rn_train_report *report, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    uint8_t zeros[RN_HASH_BYTES] = {0};
    RN_ENSURE(strlen(of->settings) <= RN_CHECKPOINT_SETTINGS_MAX, err, RN_E_USAGE,
              "the options are longer than the %zu bytes that a checkpoint holds",
              RN_CHECKPOINT_SETTINGS_MAX);
    rn_buffer_init(&text, RN_CHECKPOINT_BYTES_MAX);
    rn_buffer_append(&text, magic, MAGIC_BYTES);
    rn_buffer_append(&text, zeros, sizeof(zeros));
    rn_buffer_blob(&text, rn_view_text(of->settings));
    rn_buffer_u32(&text, step);
    put_double(&text, report->loss_first);
    put_double(&text, report->loss_sum);
    put_double(&text, report->loss_last);
    put_double(&text, report->seconds);
    rn_buffer_u64(&text, report->examples);
    rn_buffer_u64(&text, report->tokens);
    RN_TRY(put_values(of, &text, err));
    RN_ENSURE(!text.failed, err, RN_E_MEMORY, "%s: the checkpoint is too large", path);
    const size_t head = MAGIC_BYTES + RN_HASH_BYTES;
    rn_sha256_plain(text.data + MAGIC_BYTES, rn_view_of(text.data + head, text.length - head));
    return rn_file_write(path, rn_buffer_view(&text), 0600, err);
}

/* The first line in which two texts of settings differ, for a person. */
static rn_result check_settings(struct rn_view stored, const char *now, const char *path,
                                struct rn_error *err)
{
    size_t at = 0;
    size_t line = 0;
    while (at < stored.length && now[at] != '\0' && stored.data[at] == (uint8_t)now[at]) {
        at++;
        line = stored.data[at - 1] == '\n' ? at : line;
    }
    if (at == stored.length && now[at] == '\0') {
        return rn_ok();
    }
    const int length = (int)strcspn(now + line, "=\n");
    return rn_fail(err, RN_E_USAGE,
                   "%s is of another training: \"%.*s\" differs; --resume goes on with the same "
                   "options alone",
                   path, length < 60 ? length : 60, now + line);
}

static rn_result take_values(const struct rn_checkpoint *of, struct rn_reader *in, const char *path,
                             struct rn_error *err)
{
    size_t count = 0;
    size_t all = 0;
    RN_TRY(count_of(of, of->with_head, &count, err));
    RN_TRY(count_of(of, true, &all, err));
    RN_CLEANUP(rn_free_cleanup) float *values = rn_alloc(2 * all, sizeof(*values));
    RN_ENSURE(rn_read_u64(in) == count && !in->failed, err, RN_E_DATA,
              "%s: is of another adapter or model", path);
    rn_read_copy(in, values, count * sizeof(*values));
    RN_TRY(rn_trainer_set(of->trainer, RN_MATRIX_AB, of->with_head, values, count, err));
    RN_ENSURE(rn_read_u64(in) == all && !in->failed, err, RN_E_DATA,
              "%s: is of another adapter or model", path);
    rn_read_copy(in, values, 2 * all * sizeof(*values));
    RN_ENSURE(rn_reader_done(in), err, RN_E_DATA, "%s: is damaged", path);
    return rn_trainer_optimizer_set(of->trainer, values, values + all, all, err);
}

rn_result rn_checkpoint_read(const struct rn_checkpoint *of, const char *path, uint32_t *out_step,
                             struct rn_train_report *out_report, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    uint8_t stored[RN_HASH_BYTES];
    uint8_t found[RN_HASH_BYTES];
    rn_buffer_init(&text, RN_CHECKPOINT_BYTES_MAX);
    RN_TRY(rn_file_read(path, RN_CHECKPOINT_BYTES_MAX, &text, err));
    struct rn_reader in = rn_reader_of(rn_buffer_view(&text));
    const struct rn_view name = rn_read_view(&in, MAGIC_BYTES);
    rn_read_copy(&in, stored, sizeof(stored));
    RN_ENSURE(!in.failed && rn_view_equal(name, rn_view_text(magic)), err, RN_E_DATA,
              "%s: is no checkpoint of this version", path);
    rn_sha256_plain(found, rn_view_of(text.data + in.position, rn_reader_left(&in)));
    RN_ENSURE(memcmp(stored, found, sizeof(found)) == 0, err, RN_E_DATA, "%s: is damaged", path);
    const struct rn_view settings = rn_read_blob(&in, RN_CHECKPOINT_SETTINGS_MAX);
    RN_TRY(check_settings(settings, of->settings, path, err));
    *out_step = rn_read_u32(&in);
    *out_report = (struct rn_train_report){.steps = *out_step};
    out_report->loss_first = take_double(&in);
    out_report->loss_sum = take_double(&in);
    out_report->loss_last = take_double(&in);
    out_report->seconds = take_double(&in);
    out_report->examples = rn_read_u64(&in);
    out_report->tokens = rn_read_u64(&in);
    return take_values(of, &in, path, err);
}
