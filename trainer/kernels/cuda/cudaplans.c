/* SPDX-License-Identifier: Apache-2.0 */
#include "trainer/kernels/cuda/cudaplans.h"

#include "base/bytes.h"
#include "base/file.h"
#include "base/guard.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FIRST_LINE "rondo cuda plans 1\n"
enum { LINE_MAX_BYTES = 512, HEX_BYTES = 2 * RN_CUDA_ALGORITHM_BYTES };

_Static_assert(sizeof(struct rn_cuda_plan_key) == 3 * 8 + 6 * 4, "a key has no padding");

static uint64_t sum_of(const uint8_t *bytes, size_t length)
{
    uint64_t sum = 14695981039346656037u;
    for (size_t i = 0; i < length; i++) {
        sum = (sum ^ bytes[i]) * 1099511628211u;
    }
    return sum;
}

struct rn_cuda_plan *rn_cuda_plans_find(struct rn_cuda_plans *plans,
                                        const struct rn_cuda_plan_key *key)
{
    for (size_t i = 0; i < plans->count; i++) {
        if (memcmp(&plans->plans[i].key, key, sizeof(*key)) == 0) {
            return &plans->plans[i];
        }
    }
    return NULL;
}

static struct rn_cuda_plan *place_of(struct rn_cuda_plans *plans,
                                     const struct rn_cuda_plan_key *key)
{
    struct rn_cuda_plan *plan = rn_cuda_plans_find(plans, key);
    if (plan == NULL) {
        plans->count = plans->count == RN_CUDA_PLANS_MAX ? 0 : plans->count;
        plan = &plans->plans[plans->count++];
    }
    *plan = (struct rn_cuda_plan){.key = *key};
    return plan;
}

struct rn_cuda_plan *rn_cuda_plans_put(struct rn_cuda_plans *plans,
                                       const struct rn_cuda_plan_key *key,
                                       const uint8_t algorithm[RN_CUDA_ALGORITHM_BYTES])
{
    struct rn_cuda_plan *plan = place_of(plans, key);
    plan->checked = true;
    memcpy(plan->algorithm, algorithm, RN_CUDA_ALGORITHM_BYTES);
    return plan;
}

struct rn_cuda_plan *rn_cuda_plans_refuse(struct rn_cuda_plans *plans,
                                          const struct rn_cuda_plan_key *key)
{
    struct rn_cuda_plan *plan = place_of(plans, key);
    plan->refused = true;
    return plan;
}

rn_result rn_cuda_plans_save(const struct rn_cuda_plans *plans, const char *path,
                             struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    size_t count = 0;
    rn_buffer_format(&text, FIRST_LINE "for %s\n", plans->owner);
    for (size_t i = 0; i < plans->count; i++) {
        const struct rn_cuda_plan_key *k = &plans->plans[i].key;
        char hex[HEX_BYTES + 1];
        if (plans->plans[i].refused) {
            continue;
        }
        count++;
        rn_hex_encode(hex, plans->plans[i].algorithm, RN_CUDA_ALGORITHM_BYTES);
        rn_buffer_format(&text,
                         "plan %" PRId64 " %" PRId64 " %" PRId64 " %" PRId32 " %" PRId32 " %" PRId32
                         " %" PRId32 " %" PRId32 " %s\n",
                         k->rows, k->n, k->k, k->exact, k->by_rows, k->wide, k->has_bias, k->has_c,
                         hex);
    }
    rn_buffer_format(&text, "end %zu %016" PRIx64 "\n", count, sum_of(text.data, text.length));
    return rn_file_write(path, rn_buffer_view(&text), 0644, err);
}

/* ---- reading ---- */

/* The next line without its end, at most LINE_MAX_BYTES - 1; false at the end or when it is longer.
 */
static bool next_line(const char **at, char out[LINE_MAX_BYTES])
{
    const char *end = strchr(*at, '\n');
    if (end == NULL || end - *at >= LINE_MAX_BYTES) {
        return false;
    }
    memcpy(out, *at, (size_t)(end - *at));
    out[end - *at] = '\0';
    *at = end + 1;
    return true;
}

static bool read_plan(struct rn_cuda_plans *plans, const char *line)
{
    struct rn_cuda_plan plan = {0};
    struct rn_cuda_plan_key *k = &plan.key;
    char hex[HEX_BYTES + 1];
    int end = 0;
    _Static_assert(HEX_BYTES == 128, "the width of the last field");
    const int fields = sscanf(line,
                              "plan %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd32 " %" SCNd32
                              " %" SCNd32 " %" SCNd32 " %" SCNd32 " %128[0-9a-f]%n",
                              &k->rows, &k->n, &k->k, &k->exact, &k->by_rows, &k->wide,
                              &k->has_bias, &k->has_c, hex, &end);
    if (fields != 9 || line[end] != '\0' || strlen(hex) != HEX_BYTES ||
        plans->count == RN_CUDA_PLANS_MAX ||
        !rn_hex_decode(plan.algorithm, sizeof(plan.algorithm), hex)) {
        return false;
    }
    plans->plans[plans->count++] = plan;
    return true;
}

static bool read_all(struct rn_cuda_plans *plans, const char *text)
{
    const char *at = text;
    char line[LINE_MAX_BYTES], wanted[LINE_MAX_BYTES];
    if (strncmp(at, FIRST_LINE, strlen(FIRST_LINE)) != 0) {
        return false;
    }
    at += strlen(FIRST_LINE);
    if (!next_line(&at, line) || !rn_text_format(wanted, sizeof(wanted), "for %s", plans->owner) ||
        strcmp(line, wanted) != 0) {
        return false;
    }
    for (const char *start = at; next_line(&at, line); start = at) {
        if (strncmp(line, "end ", 4) == 0) {
            const uint64_t sum = sum_of((const uint8_t *)text, (size_t)(start - text));
            return rn_text_format(wanted, sizeof(wanted), "end %zu %016" PRIx64, plans->count,
                                  sum) &&
                   strcmp(line, wanted) == 0 && *at == '\0';
        }
        if (!read_plan(plans, line)) {
            return false;
        }
    }
    return false;
}

bool rn_cuda_plans_load(struct rn_cuda_plans *plans, const char *path)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    plans->count = 0;
    if (!rn_is_ok(rn_file_read(path, (size_t)RN_CUDA_PLANS_MAX * LINE_MAX_BYTES, &text, NULL)) ||
        text.length == 0 || memchr(text.data, '\0', text.length) != NULL ||
        !read_all(plans, rn_buffer_text(&text))) {
        plans->count = 0;
        return false;
    }
    return true;
}
