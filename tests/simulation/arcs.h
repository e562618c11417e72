/* SPDX-License-Identifier: Apache-2.0
 *
 * A coordinator that declares two arcs of the ring lost, so that the survivors between them are two
 * parts (PROTOCOL.md, "Sparse graph").
 */
#ifndef RN_TESTS_ARCS_H
#define RN_TESTS_ARCS_H

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"
#include "crypto/secagg/openmasks.h"

struct arcs {
    struct rn_sa_set lost;
    struct rn_sa_set parts[2];
};

static inline uint32_t at_position(const struct rn_sa_graph *graph, uint32_t position)
{
    for (uint32_t i = 0; i < graph->members; i++) {
        if (graph->position[i] == position % graph->members) {
            return i;
        }
    }
    fail();
    return 0;
}

/* Two arcs of k/2 positions, from 0 on and from the middle on. */
static inline struct arcs cut(const struct rn_sa_graph *graph)
{
    struct arcs arcs = {.lost = {{0}}};
    const uint32_t gap = graph->sizes.degree / 2;
    const uint32_t middle = graph->members / 2;
    for (uint32_t p = 0; p < graph->members; p++) {
        const bool lost = p < gap || (p >= middle && p < middle + gap);
        rn_sa_set_add(lost ? &arcs.lost : &arcs.parts[p < middle ? 0 : 1], at_position(graph, p));
    }
    return arcs;
}

/* Whole Survivors over this set, as a coordinator would sign it. */
static inline void write_survivors(struct sim *sim, const struct rn_sa_set *set,
                                   struct rn_buffer *out)
{
    const struct rn_sa_aggregator *a = sim->aggregator;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    uint8_t t2[RN_HASH_BYTES];
    rn_sa_survivors_write(a->inbox[RN_SA_DONE], set, &body);
    const struct rn_view chain[] = {rn_view_of(a->t.t1, RN_HASH_BYTES), rn_buffer_view(&body)};
    rn_sha256(t2, "rondo/v1 secagg T2", chain, 2);
    const struct rn_sa_draft draft = {.type = RN_SA_SURVIVORS,
                                      .sender = RN_SA_COORDINATOR,
                                      .recipient = RN_SA_EVERYONE,
                                      .hash = t2,
                                      .body = rn_buffer_view(&body)};
    rn_sa_transcript_write(&a->t, &draft, sim->identities[SIM_COORDINATOR], out);
}

/* What the coordinator has of the members of the part alone, without the masks that it can take
 * off: is it their sum? */
static inline bool part_opens(struct sim *sim, const struct arcs *arcs, uint32_t part)
{
    struct rn_sa_aggregator *a = sim->aggregator;
    struct rn_sa_transcript RN_CLEANUP(rn_sa_transcript_clear) view = rn_sa_transcript_copy(&a->t);
    view.survivors = arcs->parts[part];
    view.linked = rn_sa_set_either(&arcs->parts[part], &arcs->lost);
    struct rn_sa_vector RN_CLEANUP(rn_sa_vector_clear) sum = {0};
    rn_sa_vector_init(&sum, &view.layout);
    for (uint32_t i = rn_sa_set_next(&view.survivors, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&view.survivors, i + 1)) {
        for (uint32_t c = 0; c < view.layout.chunks; c++) {
            struct rn_buffer RN_CLEANUP(rn_buffer_clear) whole = {0};
            struct rn_sa_chunk chunk;
            assert_true(rn_is_ok(rn_sa_upload_fetch(a, i, c, &whole, NULL)));
            const struct rn_sa_message m = sim_parse(&whole);
            assert_true(rn_is_ok(rn_sa_chunk_read(&view, m.body, &chunk, NULL)));
            assert_true(rn_is_ok(rn_sa_vector_add(&sum, c, chunk.packed, NULL)));
        }
    }
    struct rn_sa_open_masks *RN_CLEANUP(rn_sa_open_masks_free_cleanup) masks = NULL;
    assert_true(rn_is_ok(rn_sa_open_masks_new(&view, a->secrets, NULL, &masks, NULL)));
    assert_true(rn_is_ok(rn_sa_open_masks_take(masks, sum.lanes, view.layout.lane_bytes, 0,
                                               view.layout.lanes, NULL)));
    rn_sa_vector_reduce(&sum);
    uint64_t *RN_CLEANUP(rn_free_cleanup) got = rn_alloc(view.layout.elements, sizeof *got);
    rn_sa_vector_read(&sum, 0, (uint32_t)view.layout.elements, got);
    bool equal = true;
    for (uint64_t e = 0; e < view.layout.elements; e++) {
        uint64_t plain = 0;
        for (uint32_t i = 0; i < sim->params.members; i++) {
            plain += rn_sa_set_has(&view.survivors, i) ? sim_value(sim, i, e) : 0;
        }
        equal = equal && plain == got[e];
    }
    return equal;
}

/* Dones of the arcs do not reach the coordinator's machine, and no receipts, so that it keeps the
 * uploads. */
static inline bool lose_arcs(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    const enum rn_sa_type type = sim_parse(message).type;
    if (from == SIM_COORDINATOR || type != RN_SA_DONE) {
        return type != RN_SA_RECEIPT;
    }
    const struct arcs arcs = cut(&sim->aggregator->t.graph);
    return !rn_sa_set_has(&arcs.lost, from);
}

#endif
