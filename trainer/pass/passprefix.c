/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows that enter the lowest adapted layer: computed, or taken from the cache.
 */
#include "trainer/pass/passparts.h"

#include "base/guard.h"

#include <string.h>

static size_t row_bytes(const struct rn_pass *pass)
{
    const struct rn_mat x = pass->layers[pass->adapter->lowest].slot[RN_SLOT_IN];
    return x.cols * rn_element_size(x.type);
}

/* Place of sequence i's rows in the block, in bytes. */
static size_t rows_at(const struct rn_pass *pass, uint32_t i)
{
    return (size_t)pass->host_cu[i] * row_bytes(pass);
}

/* Device rows of the loaded block to the host, in one piece. */
static bool fetch(struct rn_pass *pass)
{
    const struct rn_kernels *k = pass->kernels;
    k->download(pass->lane, pass->host_rows,
                pass->layers[pass->adapter->lowest].slot[RN_SLOT_IN].data,
                rows_at(pass, pass->sequences.count));
    if (rn_is_ok(pass->failed)) {
        pass->failed = k->sync(pass->lane, &pass->failure);
    }
    return rn_is_ok(pass->failed);
}

static void store(struct rn_pass *pass)
{
    for (uint32_t i = 0; i < pass->sequences.count; i++) {
        rn_prefixcache_put(pass->options.cache, &pass->examples[i],
                           pass->host_rows + rows_at(pass, i));
    }
}

/* The whole block is new. */
static void compute_all(struct rn_pass *pass)
{
    rn_pass_prefix(pass);
    if (fetch(pass)) {
        store(pass);
    }
}

/* Computes the missing ones as a block of their own and puts their rows to their places among the
 * others' in host_known. */
static void compute_missing(struct rn_pass *pass, const struct rn_example *all, uint32_t count,
                            uint32_t missing)
{
    rn_pass_load_rows(pass, pass->host_missing, missing);
    compute_all(pass);
    const size_t width = row_bytes(pass);
    size_t to = 0;
    size_t from = 0;
    uint32_t next = 0;
    for (uint32_t i = 0; i < count; i++) {
        const size_t bytes = all[i].length * width;
        if (next < missing && pass->host_missing[next].ids == all[i].ids) {
            memcpy(pass->host_known + to, pass->host_rows + from, bytes);
            from += bytes;
            next++;
        }
        to += bytes;
    }
    rn_pass_load_rows(pass, all, count);
}

void rn_pass_enter(struct rn_pass *pass)
{
    if (pass->options.cache == NULL) {
        rn_pass_prefix(pass);
        return;
    }
    const struct rn_example *all = pass->examples;
    const uint32_t count = pass->sequences.count;
    uint32_t missing = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!rn_prefixcache_get(pass->options.cache, &all[i],
                                pass->host_known + rows_at(pass, i))) {
            pass->host_missing[missing++] = all[i];
        }
    }
    if (missing == count) {
        compute_all(pass);
        return;
    }
    if (missing > 0) {
        compute_missing(pass, all, count, missing);
    }
    pass->kernels->upload(pass->lane, pass->layers[pass->adapter->lowest].slot[RN_SLOT_IN].data,
                          pass->host_known, rows_at(pass, count));
}
