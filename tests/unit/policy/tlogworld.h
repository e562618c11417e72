/* SPDX-License-Identifier: Apache-2.0
 *
 * A log's files in memory, and entries to put into them.
 */
#ifndef RN_TEST_TLOGWORLD_H
#define RN_TEST_TLOGWORLD_H

#include "base/alloc.h"
#include "base/guard.h"
#include "policy/tlog/tlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LOG_FILES_MAX 4096

struct memory_log {
    size_t count;
    struct {
        char path[RN_TLOG_PATH_MAX];
        struct rn_buffer bytes;
    } files[LOG_FILES_MAX];
};

static inline struct rn_buffer *memory_log_find(struct memory_log *log, const char *path)
{
    for (size_t k = log->count; k > 0; k--) {
        if (strcmp(log->files[k - 1].path, path) == 0) {
            return &log->files[k - 1].bytes;
        }
    }
    return NULL;
}

static inline void memory_log_clear(struct memory_log *log)
{
    for (size_t k = 0; k < log->count; k++) {
        rn_buffer_clear(&log->files[k].bytes);
    }
    log->count = 0;
}

/* A name never comes back with other bytes. */
static inline rn_result memory_log_file(void *context, const char *path, struct rn_view bytes,
                                        struct rn_error *err)
{
    (void)err;
    struct memory_log *log = context;
    const struct rn_buffer *there = memory_log_find(log, path);
    if (there != NULL) {
        assert_true(rn_view_equal(rn_buffer_view(there), bytes));
        return rn_ok();
    }
    assert_true(log->count < LOG_FILES_MAX);
    (void)rn_text_format(log->files[log->count].path, RN_TLOG_PATH_MAX, "%s", path);
    rn_buffer_append(&log->files[log->count++].bytes, bytes.data, bytes.length);
    return rn_ok();
}

static inline rn_result memory_log_read(void *context, const char *path, struct rn_buffer *out,
                                        struct rn_error *err)
{
    const struct rn_buffer *there = memory_log_find(context, path);
    RN_ENSURE(there != NULL, err, RN_E_NO_INPUT, "no such file");
    rn_buffer_append(out, there->data, there->length);
    return rn_ok();
}

static inline struct rn_tlog_sink memory_log_sink(struct memory_log *log)
{
    return (struct rn_tlog_sink){memory_log_file, log};
}

static inline struct rn_tlog_files memory_log_files(struct memory_log *log)
{
    return (struct rn_tlog_files){memory_log_read, log};
}

/* Entry k: "entry k". */
static inline struct rn_view log_entry(uint64_t k, char out[static 32])
{
    (void)rn_text_format(out, 32, "entry %llu", (unsigned long long)k);
    return rn_view_text(out);
}

static inline void log_grow(struct rn_tlog_end *end, struct memory_log *log, uint64_t size)
{
    char text[32];
    const struct rn_tlog_sink sink = memory_log_sink(log);
    while (end->size < size) {
        assert_true(rn_is_ok(rn_tlog_end_append(end, log_entry(end->size, text), &sink, NULL)));
    }
}

/* The definition itself, over leaf hashes. */
static inline void log_root(const struct rn_hash *leaves, uint64_t count, struct rn_hash *out)
{
    if (count <= 1) {
        if (count == 1) {
            *out = leaves[0];
        } else {
            rn_sha256_plain(out->bytes, rn_view_of(NULL, 0));
        }
        return;
    }
    uint64_t split = 1;
    while (2 * split < count) {
        split *= 2;
    }
    struct rn_hash left;
    struct rn_hash right;
    log_root(leaves, split, &left);
    log_root(leaves + split, count - split, &right);
    rn_merkle_node(&left, &right, out);
}

static inline struct rn_hash *log_leaves(uint64_t count)
{
    struct rn_hash *leaves = rn_alloc(count, sizeof *leaves);
    char text[32];
    for (uint64_t k = 0; k < count; k++) {
        rn_merkle_leaf(log_entry(k, text), &leaves[k]);
    }
    return leaves;
}

#endif
