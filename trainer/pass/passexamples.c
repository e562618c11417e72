/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a backward pass leaves its gradients: added over the block, or each example's own in a row
 * that its compact vector of the active parts is formed from.
 */
#include "trainer/pass/passparts.h"

#include "base/guard.h"

static void add_run(struct rn_pass_examples *out, size_t place, size_t count)
{
    RN_BUG_IF(out->run_count == RN_PASS_RUNS_MAX);
    out->runs[out->run_count++] =
        (struct rn_pass_run){.place = place, .count = count, .compact = out->count};
    out->count += count;
}

/* All segments of a kind, neighbours on the device. */
static void add_kind(const struct rn_adapter *adapter, const struct rn_pass_active *active,
                     enum rn_segment_kind kind, struct rn_pass_examples *out)
{
    size_t place = 0;
    size_t count = 0;
    for (size_t i = 0; i < adapter->segment_count; i++) {
        const struct rn_segment *segment = &adapter->segments[i];
        if (segment->kind == kind && rn_segment_chosen(segment, active->matrices, active->head)) {
            place = count == 0 ? adapter->places[i] : place;
            count += segment->count;
        }
    }
    if (count > 0) {
        add_run(out, place, count);
    }
}

/* A weight whose bias is the run of this number; its other factor goes behind the row. */
static void add_part(struct rn_pass_examples *out, size_t place, size_t bias_run, uint32_t cols)
{
    const struct rn_pass_run *bias = &out->runs[bias_run];
    out->parts[out->part_count++] = (struct rn_outer_part){
        .u = bias->compact, .v = out->stride, .rows = (uint32_t)bias->count, .cols = cols};
    out->stride += cols;
    add_run(out, place, bias->count * cols);
}

/* Without a bias both factors go behind the row. */
static void add_lone_part(const struct rn_adapter *adapter, struct rn_pass_examples *out)
{
    const uint32_t labels = adapter->label_count;
    const uint32_t d = adapter->encoder->config.hidden;
    out->stored = out->stride = out->count;
    out->parts[out->part_count++] = (struct rn_outer_part){
        .u = out->stride, .v = out->stride + labels, .rows = labels, .cols = d};
    out->stride += labels + d;
    add_run(out, adapter->head.classifier_w, (size_t)labels * d);
}

/* Biases, which are stored, then weights, which are not. */
static void add_head_parts(const struct rn_adapter *adapter, struct rn_pass_examples *out)
{
    const struct rn_head_places *head = &adapter->head;
    const uint32_t d = adapter->encoder->config.hidden;
    const size_t first = out->run_count;
    const bool dense = head->dense_w != SIZE_MAX;
    if (dense) {
        add_run(out, head->dense_b, d);
    }
    add_run(out, head->classifier_b, adapter->label_count);
    out->stored = out->stride = out->count;
    if (dense) {
        add_part(out, head->dense_w, first, d);
    }
    add_part(out, head->classifier_w, first + dense, d);
}

void rn_pass_examples_plan(const struct rn_adapter *adapter, const struct rn_pass_active *active,
                           bool parts, struct rn_pass_examples *out)
{
    *out = (struct rn_pass_examples){0};
    add_kind(adapter, active, RN_SEGMENT_A, out);
    add_kind(adapter, active, RN_SEGMENT_B, out);
    if (parts && active->head) {
        if (adapter->head.classifier_b == SIZE_MAX) {
            add_lone_part(adapter, out);
        } else {
            add_head_parts(adapter, out);
        }
        return;
    }
    add_kind(adapter, active, RN_SEGMENT_HEAD, out);
    out->stored = out->stride = out->count;
}

/* The first example's element for a place of the flat vector; NULL when it is not stored, or does
 * not train. */
static float *example_at(const struct rn_pass_examples *examples, size_t place)
{
    for (size_t i = 0; i < examples->run_count - examples->part_count; i++) {
        const struct rn_pass_run *run = &examples->runs[i];
        if (place >= run->place && place - run->place < run->count) {
            return examples->gradients + run->compact + (place - run->place);
        }
    }
    return NULL;
}

/* The part of a weight; NULL when its elements are stored. */
static const struct rn_outer_part *part_of(const struct rn_pass_examples *examples, size_t weight)
{
    const size_t first = examples->run_count - examples->part_count;
    for (size_t i = 0; i < examples->part_count; i++) {
        if (examples->runs[first + i].place == weight) {
            return &examples->parts[i];
        }
    }
    return NULL;
}

/* The piece's sequences alone, into its own gradient. */
static void outer_sum_of_piece(struct rn_pass *pass, uint32_t number,
                               const struct rn_sequences *sequences, struct rn_mat u,
                               struct rn_mat v, float scale, bool transposed, size_t place)
{
    const struct rn_piece *piece = &pass->pieces[number];
    float *to = pass->gradient + number * pass->adapter->count + place;
    if (sequences == NULL) {
        pass->kernels->outer_sum(pass->lane, NULL, rn_piece_rows(pass, piece, u),
                                 rn_piece_rows(pass, piece, v), scale, transposed, 0, to);
        return;
    }
    const struct rn_sequences part = {.count = piece->count,
                                      .tokens = piece->row + piece->rows,
                                      .longest = sequences->longest,
                                      .cu = sequences->cu + piece->first,
                                      .cu_host = sequences->cu_host + piece->first};
    pass->kernels->outer_sum(pass->lane, &part, u, v, scale, transposed, 0, to);
}

void rn_pass_outer_sum(struct rn_pass *pass, const struct rn_sequences *sequences, struct rn_mat u,
                       struct rn_mat v, float scale, bool transposed, size_t place)
{
    const struct rn_kernels *k = pass->kernels;
    if (pass->each.gradients == NULL) {
        for (uint32_t i = 0; i < pass->piece_count; i++) {
            outer_sum_of_piece(pass, i, sequences, u, v, scale, transposed, place);
        }
        return;
    }
    float *at = example_at(&pass->each, place);
    if (at != NULL) {
        k->outer_sum(pass->lane, sequences, u, v, scale, transposed, pass->each.stride, at);
    }
}

static void row_sum(struct rn_pass *pass, struct rn_mat m, size_t place)
{
    const struct rn_kernels *k = pass->kernels;
    if (pass->each.gradients == NULL) {
        for (uint32_t i = 0; i < pass->piece_count; i++) {
            k->column_sum(pass->lane, rn_piece_rows(pass, &pass->pieces[i], m),
                          pass->gradient + i * pass->adapter->count + place);
        }
        return;
    }
    float *at = example_at(&pass->each, place);
    if (at != NULL) {
        k->rows_store(pass->lane, m, pass->each.stride, at);
    }
}

void rn_pass_head_sum(struct rn_pass *pass, struct rn_mat dy, struct rn_mat x, size_t weight,
                      size_t bias)
{
    const struct rn_pass_examples *each = &pass->each;
    const struct rn_outer_part *part = each->gradients != NULL ? part_of(each, weight) : NULL;
    if (part != NULL) {
        pass->kernels->rows_store(pass->lane, x, each->stride, each->gradients + part->v);
    } else {
        rn_pass_outer_sum(pass, NULL, dy, x, 1.0f, false, weight);
    }
    if (bias != SIZE_MAX) {
        row_sum(pass, dy, bias);
    } else if (part != NULL) {
        pass->kernels->rows_store(pass->lane, dy, each->stride, each->gradients + part->u);
    }
}
