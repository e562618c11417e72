/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a backward pass leaves its gradients: added over the block, or each example's own in a
 * compact vector of the active parts.
 */
#include "trainer/pass/passparts.h"

#include "base/guard.h"

void rn_pass_examples_plan(const struct rn_adapter *adapter, const struct rn_pass_active *active,
                           struct rn_pass_examples *out)
{
    *out = (struct rn_pass_examples){0};
    for (int kind = RN_SEGMENT_A; kind <= RN_SEGMENT_HEAD; kind++) {
        struct rn_pass_run run = {.compact = out->count};
        for (size_t i = 0; i < adapter->segment_count; i++) {
            const struct rn_segment *segment = &adapter->segments[i];
            if ((int)segment->kind == kind &&
                rn_segment_chosen(segment, active->matrices, active->head)) {
                run.place = run.count == 0 ? adapter->places[i] : run.place;
                run.count += segment->count;
            }
        }
        if (run.count > 0) {
            out->runs[out->run_count++] = run;
            out->count += run.count;
        }
    }
}

/* The first example's element for a place of the flat vector; NULL when it does not train. */
static float *example_at(const struct rn_pass_examples *examples, size_t place)
{
    for (size_t i = 0; i < examples->run_count; i++) {
        const struct rn_pass_run *run = &examples->runs[i];
        if (place >= run->place && place - run->place < run->count) {
            return examples->gradients + run->compact + (place - run->place);
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
        k->outer_sum(pass->lane, sequences, u, v, scale, transposed, pass->each.count, at);
    }
}

void rn_pass_row_sum(struct rn_pass *pass, struct rn_mat m, size_t place)
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
        k->rows_store(pass->lane, m, pass->each.count, at);
    }
}
