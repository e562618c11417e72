/* SPDX-License-Identifier: Apache-2.0 */
#include "services/simulate/simstate.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/round/roundspec.h"

#define MAGIC "RNSIM1\0\0"
#define MAGIC_BYTES 8
#define STATE_BYTES_MAX ((size_t)3 << 30)
#define ROW_BYTES (3 * 4 + 6 * 8 + RN_HASH_BYTES + 8)

/* ---- Rows */

void rn_sim_rows_add(struct rn_sim_rows *rows, const struct rn_sim_row *row)
{
    if (rows->count == rows->capacity) {
        const uint32_t more = rows->capacity == 0 ? 64 : 2 * rows->capacity;
        rows->items = rn_realloc(rows->items, rows->capacity, more, sizeof(*rows->items));
        rows->capacity = more;
    }
    rows->items[rows->count++] = *row;
}

void rn_sim_rows_clear(struct rn_sim_rows *rows)
{
    rn_free(rows->items);
    *rows = (struct rn_sim_rows){0};
}

static void csv_number(struct rn_buffer *out, double value)
{
    if (isfinite(value)) {
        rn_buffer_format(out, ",%.9g", value);
    } else {
        rn_buffer_format(out, ",");
    }
}

void rn_sim_rows_csv(const struct rn_sim_rows *rows, struct rn_buffer *out)
{
    rn_buffer_format(out, "round,phase,clients,loss,examples,clipped,metric,dev_loss,uplink_bytes,"
                          "adapter_hash,seconds\n");
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct rn_sim_row *row = &rows->items[i];
        char hash[2 * RN_HASH_BYTES + 1];
        rn_hex_encode(hash, row->after, RN_HASH_BYTES);
        rn_buffer_format(out, "%u,%s,%u", (unsigned)row->round, rn_round_phase_name(row->active),
                         (unsigned)row->clients);
        csv_number(out, row->loss);
        rn_buffer_format(out, ",%llu,%llu", (unsigned long long)row->examples,
                         (unsigned long long)row->clipped);
        csv_number(out, row->metric);
        csv_number(out, row->dev_loss);
        rn_buffer_format(out, ",%llu,%s,%.3f\n", (unsigned long long)row->uplink_bytes, hash,
                         (double)row->milliseconds / 1000.0);
    }
}

/* ---- Bytes */

static void write_double(struct rn_buffer *out, double value)
{
    uint64_t word = 0;
    memcpy(&word, &value, sizeof(word));
    rn_buffer_u64(out, word);
}

static double read_double(struct rn_reader *reader)
{
    const uint64_t word = rn_read_u64(reader);
    double value = 0;
    memcpy(&value, &word, sizeof(value));
    return value;
}

static void write_row(const struct rn_sim_row *row, struct rn_buffer *out)
{
    rn_buffer_u32(out, row->round);
    rn_buffer_u32(out, row->active);
    rn_buffer_u32(out, row->clients);
    write_double(out, row->loss);
    rn_buffer_u64(out, row->examples);
    rn_buffer_u64(out, row->clipped);
    write_double(out, row->metric);
    write_double(out, row->dev_loss);
    rn_buffer_u64(out, row->uplink_bytes);
    rn_buffer_append(out, row->after, RN_HASH_BYTES);
    rn_buffer_u64(out, row->milliseconds);
}

static struct rn_sim_row read_row(struct rn_reader *reader)
{
    struct rn_sim_row row = {0};
    row.round = rn_read_u32(reader);
    row.active = rn_read_u32(reader);
    row.clients = rn_read_u32(reader);
    row.loss = read_double(reader);
    row.examples = rn_read_u64(reader);
    row.clipped = rn_read_u64(reader);
    row.metric = read_double(reader);
    row.dev_loss = read_double(reader);
    row.uplink_bytes = rn_read_u64(reader);
    rn_read_copy(reader, row.after, RN_HASH_BYTES);
    row.milliseconds = rn_read_u64(reader);
    return row;
}

static size_t head_floats(const struct rn_sim_world *world)
{
    return world->heads == NULL ? 0 : (size_t)world->clients * world->head_count;
}

static void hash_of(struct rn_view bytes, uint8_t out[static RN_HASH_BYTES])
{
    rn_sha256(out, "rondo/v1 simulation state", &bytes, 1);
}

rn_result rn_sim_state_write(const char *directory, const uint8_t settings[static RN_HASH_BYTES],
                             const struct rn_sim_world *world, const struct rn_sim_rows *rows,
                             struct rn_error *err)
{
    char path[RN_PATH_MAX];
    uint8_t hash[RN_HASH_BYTES];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer model = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};
    rn_buffer_init(&out, STATE_BYTES_MAX);
    rn_buffer_append(&out, MAGIC, MAGIC_BYTES);
    rn_buffer_append(&out, settings, RN_HASH_BYTES);
    rn_buffer_u32(&out, rows->count);
    for (uint32_t i = 0; i < rows->count; i++) {
        write_row(&rows->items[i], &out);
    }
    rn_round_model_write(&world->model, &model);
    rn_buffer_blob(&out, rn_buffer_view(&model));
    rn_buffer_u64(&out, head_floats(world));
    if (world->heads != NULL) {
        rn_buffer_append(&out, world->heads, head_floats(world) * sizeof(float));
    }
    hash_of(rn_buffer_view(&out), hash);
    rn_buffer_append(&out, hash, sizeof(hash));
    RN_ENSURE(!model.failed && !out.failed, err, RN_E_MEMORY,
              "the simulation's state is larger than %zu bytes", STATE_BYTES_MAX);
    RN_TRY(rn_path_join(path, directory, RN_SIM_STATE, err));
    return rn_file_write(path, rn_buffer_view(&out), 0600, err);
}

static rn_result read_rows(struct rn_reader *reader, const char *path, uint32_t most,
                           struct rn_sim_rows *rows, struct rn_error *err)
{
    const uint32_t count = rn_read_u32(reader);
    RN_ENSURE(count <= most && rn_reader_left(reader) >= (size_t)count * ROW_BYTES, err, RN_E_DATA,
              "%s: it holds %u rounds, which is too many", path, (unsigned)count);
    for (uint32_t i = 0; i < count; i++) {
        const struct rn_sim_row row = read_row(reader);
        RN_ENSURE(row.round == i + 1, err, RN_E_DATA, "%s: its rounds are out of order", path);
        rn_sim_rows_add(rows, &row);
    }
    return rn_ok();
}

static rn_result read_body(struct rn_reader *reader, const char *path, struct rn_sim_world *world,
                           struct rn_sim_rows *rows, struct rn_error *err)
{
    RN_TRY(read_rows(reader, path, world->plan->rounds, rows, err));
    const struct rn_view model = rn_read_blob(reader, STATE_BYTES_MAX);
    const uint64_t floats = rn_read_u64(reader);
    RN_ENSURE(floats == head_floats(world) && rn_reader_left(reader) == floats * sizeof(float), err,
              RN_E_DATA, "%s: its heads are of another shape", path);
    RN_TRY(rn_round_model_read(&world->model, model, err));
    if (world->heads != NULL) {
        rn_read_copy(reader, world->heads, floats * sizeof(float));
    }
    return rn_ok();
}

static rn_result read_all(struct rn_view all, const char *path,
                          const uint8_t settings[static RN_HASH_BYTES], struct rn_sim_world *world,
                          struct rn_sim_rows *rows, struct rn_error *err)
{
    uint8_t hash[RN_HASH_BYTES];
    RN_ENSURE(all.length > MAGIC_BYTES + 2 * RN_HASH_BYTES &&
                  memcmp(all.data, MAGIC, MAGIC_BYTES) == 0,
              err, RN_E_DATA, "%s is no state of a simulation", path);
    struct rn_reader reader = rn_reader_of(rn_view_of(all.data, all.length - RN_HASH_BYTES));
    hash_of(reader.in, hash);
    RN_ENSURE(memcmp(hash, all.data + reader.in.length, RN_HASH_BYTES) == 0, err, RN_E_DATA,
              "%s is damaged; remove the folder and begin anew", path);
    (void)rn_read_view(&reader, MAGIC_BYTES);
    rn_read_copy(&reader, hash, RN_HASH_BYTES);
    RN_ENSURE(memcmp(hash, settings, RN_HASH_BYTES) == 0, err, RN_E_USAGE,
              "%s was begun with another plan, other data or other options; name a new folder",
              path);
    return read_body(&reader, path, world, rows, err);
}

rn_result rn_sim_state_read(const char *directory, const uint8_t settings[static RN_HASH_BYTES],
                            struct rn_sim_world *world, struct rn_sim_rows *rows, bool *out_found,
                            struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    RN_TRY(rn_path_join(path, directory, RN_SIM_STATE, err));
    *out_found = rn_file_exists(path);
    if (!*out_found) {
        return rn_ok();
    }
    RN_TRY(rn_file_read(path, STATE_BYTES_MAX, &bytes, err));
    const rn_result result = read_all(rn_buffer_view(&bytes), path, settings, world, rows, err);
    if (!rn_is_ok(result)) {
        rn_sim_rows_clear(rows);
    }
    return result;
}
