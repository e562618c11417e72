/* SPDX-License-Identifier: Apache-2.0
 *
 * The graph: place i shares masks with the neighbours/2 places before and after it on a ring, or
 * with all. Threads take ranges: chunks of the upload, ranges of lanes of the sum.
 */
#include "services/bench/secaggcell.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "base/parallel.h"
#include "crypto/maskkey.h"
#include "crypto/quantise.h"
#include "crypto/random.h"
#include "crypto/secagg/envelope.h"
#include "crypto/secagg/lanevector.h"
#include "crypto/shamir.h"

#include <string.h>
#include <time.h>

#define QUANTISER_BITS 16
#define SCALE_EXPONENT (-3)
#define CIPHER_BYTES ((size_t)16 << 10)
#define CIPHER_CALLS 4096 /* of the yardstick between two looks at the clock: about 10 ms */
#define RATE_SECONDS 0.25
#define CHUNK_BODY 12u /* first element, count */

/* One thread's work is measured by its processor time, which other programs do not lengthen. */
static double seconds_now(uint32_t threads)
{
    struct timespec used;
    if (threads > 1 || clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) != 0) {
        return (double)rn_clock_monotonic_ns() * 1e-9;
    }
    return (double)used.tv_sec + (double)used.tv_nsec * 1e-9;
}

/* Short ones are measured more than once, and the best counts: the first pays for cold memory. */
static unsigned turns_of(const struct rn_secagg_cell *cell)
{
    return cell->elements <= 1000000 && cell->members <= 128 ? 5 : 1;
}

/* ---- What both sides need ---- */

struct cohort {
    struct rn_sa_layout layout;
    struct rn_mask_context context;
    struct rn_scalar *secrets; /* [members]: each one's mask secret, and its self seed too */
    struct rn_point *points;   /* [members] */
};

static void cohort_clear(struct cohort *cohort)
{
    rn_free(cohort->secrets);
    rn_free(cohort->points);
}

static void cohort_init(struct cohort *cohort, const struct rn_secagg_cell *cell)
{
    static const struct rn_secret32 key = {{7}};
    const struct rn_sa_params params = {.members = cell->members,
                                        .value_max = ((uint64_t)1 << QUANTISER_BITS) - 2};
    const struct rn_sa_context context = {.elements = cell->elements};
    struct rn_stream stream;
    memset(cohort, 0, sizeof *cohort);
    rn_sa_layout_init(&cohort->layout, &params, &context);
    cohort->secrets = rn_alloc(cell->members, sizeof *cohort->secrets);
    cohort->points = rn_alloc(cell->members, sizeof *cohort->points);
    rn_stream_init(&stream, &key);
    for (uint32_t i = 0; i < cell->members; i++) {
        rn_scalar_draw(&stream, &cohort->secrets[i]);
        rn_point_of_scalar(&cohort->secrets[i], &cohort->points[i]);
    }
}

static bool are_neighbours(const struct rn_secagg_cell *cell, uint32_t i, uint32_t j)
{
    const uint32_t apart = (j + cell->members - i) % cell->members;
    const uint32_t distance = apart < cell->members - apart ? apart : cell->members - apart;
    return i != j && (cell->neighbours + 1 >= cell->members || distance <= cell->neighbours / 2);
}

/* The lost ones lie evenly around the ring. */
static bool is_lost(const struct rn_secagg_cell *cell, uint32_t i)
{
    return cell->lost > 0 && ((uint64_t)i * cell->lost) / cell->members !=
                                 ((uint64_t)(i + 1) * cell->lost) / cell->members;
}

static rn_result add_pair(const struct cohort *cohort, uint32_t own, uint32_t peer, int sign,
                          struct rn_mask_set *set, struct rn_error *err)
{
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) key = {{0}};
    RN_TRY(rn_mask_key_pair(&cohort->context, &cohort->secrets[own], own, &cohort->points[peer],
                            peer, &key, err));
    return rn_mask_set_insert(set, &key, sign, err);
}

static rn_result add_self(const struct cohort *cohort, uint32_t member, int sign,
                          struct rn_mask_set *set, struct rn_error *err)
{
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) key = {{0}};
    rn_mask_key_self(&cohort->context, &cohort->secrets[member], member, &key);
    return rn_mask_set_insert(set, &key, sign, err);
}

static rn_result cipher_rate(double *out, struct rn_error *err)
{
    uint8_t *RN_CLEANUP(rn_free_cleanup) buffer = rn_alloc(CIPHER_BYTES, 1);
    uint64_t calls = 0;
    const double begun = seconds_now(1);
    double passed = 0;
    do {
        RN_TRY(rn_mask_yardstick(buffer, CIPHER_BYTES, CIPHER_CALLS, err));
        calls += CIPHER_CALLS;
        passed = seconds_now(1) - begun;
    } while (passed < RATE_SECONDS);
    *out = (double)calls * (double)CIPHER_BYTES / passed;
    return rn_ok();
}

/* ---- Threads ---- */

struct parts {
    rn_result (*work)(void *job, uint32_t part, uint32_t parts, struct rn_mask_set *masks);
    void *job;
    uint32_t count;
    const struct rn_mask_set *masks;
    rn_result results[RN_PARALLEL_PARTS_MAX];
};

static void run_part(void *job, uint32_t part)
{
    struct parts *parts = job;
    RN_CLEANUP(rn_mask_set_free_cleanup) struct rn_mask_set *masks = NULL;
    rn_result result = rn_mask_set_copy(parts->masks, &masks, NULL);
    if (rn_is_ok(result)) {
        result = parts->work(parts->job, part, parts->count, masks);
    }
    parts->results[part] = result;
}

/* work for each part, on a thread and with a copy of the masks each; alone without threads. */
static rn_result in_parts(rn_result (*work)(void *, uint32_t, uint32_t, struct rn_mask_set *),
                          void *job, struct rn_mask_set *masks, uint32_t threads,
                          struct rn_error *err)
{
    struct parts parts = {work, job, threads, masks, {{0}}};
    const struct rn_parallel parallel = rn_parallel_threads(threads);
    if (threads == 1) {
        return work(job, 0, 1, masks);
    }
    rn_parallel_run(&parallel, threads, run_part, &parts);
    for (uint32_t i = 0; i < threads; i++) {
        RN_ENSURE(rn_is_ok(parts.results[i]), err, parts.results[i].code,
                  "masking on several threads failed");
    }
    return rn_ok();
}

/* ---- A member ---- */

struct upload {
    const struct cohort *cohort;
    const float *delta;
};

static rn_result upload_chunk(const struct upload *upload, uint32_t chunk, uint64_t *values,
                              uint8_t *packed, struct rn_mask_set *masks)
{
    static const struct rn_quantiser quantiser = {QUANTISER_BITS, SCALE_EXPONENT};
    static const struct rn_secret32 rounding = {{9}};
    const struct rn_sa_layout *layout = &upload->cohort->layout;
    const uint64_t first = (uint64_t)chunk * layout->chunk_elements;
    const uint32_t count = rn_sa_layout_chunk_elements(layout, chunk);
    RN_TRY(rn_quantise_u64(&quantiser, &rounding, upload->delta + first, first, count, values, NULL,
                           NULL));
    return rn_sa_chunk_mask(layout, chunk, values, masks, packed, NULL);
}

static rn_result upload_part(void *job, uint32_t part, uint32_t parts, struct rn_mask_set *masks)
{
    const struct upload *upload = job;
    const struct rn_sa_layout *layout = &upload->cohort->layout;
    uint64_t *RN_CLEANUP(rn_free_cleanup) values = rn_alloc(layout->chunk_elements, sizeof *values);
    uint8_t *RN_CLEANUP(rn_free_cleanup) packed = rn_alloc(rn_sa_layout_chunk_bytes(layout, 0), 1);
    for (uint32_t chunk = part; chunk < layout->chunks; chunk += parts) {
        RN_TRY(upload_chunk(upload, chunk, values, packed, masks));
    }
    return rn_ok();
}

/* The set over the lanes of one chunk, again and again. */
static rn_result mask_rate(const struct rn_sa_layout *layout, struct rn_mask_set *masks,
                           double *out, struct rn_error *err)
{
    struct rn_sa_layout one = *layout;
    one.lanes = rn_sa_layout_chunk_elements(layout, 0) + RN_SA_CANARIES;
    struct rn_sa_vector vector;
    rn_sa_vector_init(&vector, &one);
    const double bytes = (double)one.lanes * one.lane_bytes * (double)rn_mask_set_count(masks);
    const double begun = seconds_now(1);
    double passed = 0;
    uint64_t passes = 0;
    rn_result result = rn_ok();
    do {
        result = rn_sa_vector_mask(&vector, masks, err);
        passes++;
        passed = seconds_now(1) - begun;
    } while (rn_is_ok(result) && passed < RATE_SECONDS);
    rn_sa_vector_clear(&vector);
    *out = (double)passes * bytes / passed;
    return result;
}

static void upload_size(const struct rn_sa_layout *layout, struct rn_secagg_client *out)
{
    out->packed_bytes = (layout->elements * layout->bits + 7) / 8;
    out->upload_bytes = rn_sa_layout_vector_bytes(layout) + RN_SA_DONE_BYTES +
                        layout->chunks * (uint64_t)(RN_SA_ENVELOPE_BYTES + CHUNK_BODY);
}

static rn_result upload_once(const struct rn_secagg_cell *cell, struct upload *upload,
                             struct rn_mask_set *masks, struct rn_error *err)
{
    RN_TRY(add_self(upload->cohort, 0, 1, masks, err));
    for (uint32_t j = 1; j < cell->members; j++) {
        if (are_neighbours(cell, 0, j)) {
            RN_TRY(add_pair(upload->cohort, 0, j, rn_mask_sign(0, j), masks, err));
        }
    }
    return in_parts(upload_part, upload, masks, cell->threads, err);
}

rn_result rn_secagg_client_measure(const struct rn_secagg_cell *cell, struct rn_secagg_client *out,
                                   struct rn_error *err)
{
    RN_CLEANUP(cohort_clear) struct cohort cohort;
    cohort_init(&cohort, cell);
    float *RN_CLEANUP(rn_free_cleanup) delta = rn_alloc(cell->elements, sizeof *delta);
    RN_CLEANUP(rn_mask_set_free_cleanup)
    struct rn_mask_set *masks = rn_mask_set_new_on(cell->kernel, cell->neighbours + 1);
    struct upload upload = {&cohort, delta};
    double before = 0;
    double after = 0;
    for (uint64_t i = 0; i < cell->elements; i++) {
        delta[i] = (float)((int32_t)(uint32_t)(i * 2654435761u)) * 0x1p-35f;
    }
    RN_TRY(cipher_rate(&before, err));
    for (unsigned turn = 0; turn < turns_of(cell); turn++) {
        rn_mask_set_free(masks);
        masks = rn_mask_set_new_on(cell->kernel, cell->neighbours + 1);
        const double begun = seconds_now(cell->threads);
        RN_TRY(upload_once(cell, &upload, masks, err));
        const double took = seconds_now(cell->threads) - begun;
        out->seconds = turn == 0 || took < out->seconds ? took : out->seconds;
    }
    RN_TRY(mask_rate(&cohort.layout, masks, &out->mask_rate, err));
    RN_TRY(cipher_rate(&after, err));
    out->cipher_rate = (before + after) / 2;
    upload_size(&cohort.layout, out);
    return rn_ok();
}

/* ---- The coordinator, and a member that replays ---- */

static rn_result mask_part(void *job, uint32_t part, uint32_t parts, struct rn_mask_set *masks)
{
    struct rn_sa_vector *vector = job;
    const uint64_t lanes = vector->layout.lanes;
    const uint64_t from = lanes * part / parts;
    return rn_sa_vector_mask_range(vector, from, lanes * (part + 1) / parts - from, masks, NULL);
}

struct unmasking {
    const struct rn_secagg_cell *cell;
    const struct cohort *cohort;
    struct rn_sa_vector *vector;
    struct rn_mask_set *masks;
    uint64_t streams;
};

static rn_result flush(struct unmasking *u, struct rn_error *err)
{
    u->streams += rn_mask_set_count(u->masks);
    RN_TRY(in_parts(mask_part, u->vector, u->masks, u->cell->threads, err));
    rn_mask_set_free(u->masks);
    u->masks = rn_mask_set_new_on(u->cell->kernel, RN_MASK_SET_MAX);
    return rn_ok();
}

/* The masks that a member's secret takes off: its own, or, if it is lost, those of its pairs. */
static rn_result take_off_member(struct unmasking *u, uint32_t i, struct rn_error *err)
{
    if (!is_lost(u->cell, i)) {
        return add_self(u->cohort, i, -1, u->masks, err);
    }
    for (uint32_t j = 0; j < u->cell->members; j++) {
        if (!is_lost(u->cell, j) && are_neighbours(u->cell, i, j)) {
            RN_TRY(add_pair(u->cohort, i, j, -rn_mask_sign(j, i), u->masks, err));
        }
    }
    return rn_ok();
}

static rn_result take_masks_off(const struct rn_secagg_cell *cell, const struct cohort *cohort,
                                struct rn_sa_vector *vector, uint64_t *out_streams,
                                struct rn_error *err)
{
    struct unmasking u = {cell, cohort, vector, rn_mask_set_new_on(cell->kernel, RN_MASK_SET_MAX),
                          0};
    rn_result result = rn_ok();
    for (uint32_t i = 0; i < cell->members && rn_is_ok(result); i++) {
        if (rn_mask_set_count(u.masks) + cell->members > RN_MASK_SET_MAX) {
            result = flush(&u, err);
        }
        if (rn_is_ok(result)) {
            result = take_off_member(&u, i, err);
        }
    }
    if (rn_is_ok(result)) {
        result = flush(&u, err);
    }
    rn_sa_vector_reduce(vector);
    rn_mask_set_free(u.masks);
    *out_streams = u.streams;
    return result;
}

/* One upload holds all the masks that remain in the sum, so that the replay must end with zeros. */
struct replay {
    struct rn_sa_vector *vector;
    const uint8_t *first; /* packed chunks of that upload, one after the other */
    const uint8_t *other; /* a packed chunk of each other upload */
    uint32_t survivors;
};

static rn_result add_part(void *job, uint32_t part, uint32_t parts, struct rn_mask_set *masks)
{
    const struct replay *replay = job;
    const struct rn_sa_layout *layout = &replay->vector->layout;
    (void)masks;
    for (uint32_t chunk = part; chunk < layout->chunks; chunk += parts) {
        const size_t size = rn_sa_layout_chunk_bytes(layout, chunk);
        const uint8_t *first = replay->first + chunk * rn_sa_layout_chunk_bytes(layout, 0);
        RN_TRY(rn_sa_vector_add(replay->vector, chunk, rn_view_of(first, size), NULL));
        for (uint32_t u = 1; u < replay->survivors; u++) {
            RN_TRY(rn_sa_vector_add(replay->vector, chunk, rn_view_of(replay->other, size), NULL));
        }
    }
    return rn_ok();
}

/* vector = -vector, packed; vector is zero afterwards. */
static uint8_t *packed_negative(struct rn_sa_vector *vector)
{
    const struct rn_sa_layout *layout = &vector->layout;
    uint8_t *packed = rn_alloc((size_t)layout->chunks, rn_sa_layout_chunk_bytes(layout, 0));
    for (uint64_t i = 0; i < layout->lanes; i++) {
        if (layout->lane_bytes == 4) {
            uint32_t *lane = (uint32_t *)vector->lanes + i;
            *lane = 0 - *lane;
        } else {
            uint64_t *lane = (uint64_t *)vector->lanes + i;
            *lane = 0 - *lane;
        }
    }
    for (uint32_t chunk = 0; chunk < layout->chunks; chunk++) {
        rn_sa_vector_pack(vector, chunk, packed + chunk * rn_sa_layout_chunk_bytes(layout, 0));
    }
    memset(vector->lanes, 0, (size_t)layout->lanes * layout->lane_bytes);
    return packed;
}

/* Adds what the range check of a good sum takes to both times. */
static rn_result replayed(const struct rn_secagg_cell *cell, const struct cohort *cohort,
                          struct rn_sa_vector *vector, struct rn_secagg_server *out,
                          struct rn_error *err)
{
    const struct rn_sa_layout *layout = &cohort->layout;
    uint8_t *RN_CLEANUP(rn_free_cleanup) first = packed_negative(vector);
    uint8_t *RN_CLEANUP(rn_free_cleanup) other = rn_alloc(rn_sa_layout_chunk_bytes(layout, 0), 1);
    struct replay replay = {vector, first, other, cell->members - cell->lost};
    RN_CLEANUP(rn_mask_set_free_cleanup) struct rn_mask_set *none = rn_mask_set_new(0);
    uint64_t streams = 0;
    const double begun = seconds_now(cell->threads);
    RN_TRY(in_parts(add_part, &replay, none, cell->threads, err));
    RN_TRY(take_masks_off(cell, cohort, vector, &streams, err));
    const double taken_off = seconds_now(cell->threads);
    const bool zero = rn_sa_vector_in_range(vector, 0);
    const double checked = seconds_now(cell->threads);
    out->replay_seconds = checked - begun;
    out->unmask_seconds += checked - taken_off;
    RN_ENSURE(zero, err, RN_E_INTERNAL, "the replayed sum is not the sum: masks do not cancel");
    return rn_ok();
}

void rn_secagg_sizes(uint32_t members, struct rn_sa_graph_sizes *out)
{
    const uint32_t tenth = members / 10;
    const rn_result planned = rn_sa_graph_plan(members, tenth == 0 ? 1 : tenth, tenth, out, NULL);
    RN_BUG_IF(!rn_is_ok(planned));
    if (out->complete) {
        out->threshold = (members + members / 3) / 2 + 1;
    }
}

/* Each member's secret from as many shares as the threshold asks for. In a ring each has holders of
 * its own, and weights with them. */
static rn_result combine(const struct rn_secagg_cell *cell, const struct cohort *cohort,
                         double *out_seconds, struct rn_error *err)
{
    static const struct rn_secret32 key = {{8}};
    uint32_t holders[RN_SA_MEMBERS_MAX];
    struct rn_scalar shares[RN_SA_MEMBERS_MAX];
    struct rn_scalar weights[RN_SA_MEMBERS_MAX];
    struct rn_scalar secret;
    struct rn_stream stream;
    struct rn_sa_graph_sizes sizes;
    rn_secagg_sizes(cell->members, &sizes);
    const uint32_t circle = sizes.degree + 1;
    rn_stream_init(&stream, &key);
    for (uint32_t i = 0; i < cell->members; i++) {
        for (uint32_t k = 0; k < circle; k++) {
            holders[k] = sizes.complete ? k : (i + k) % cell->members;
        }
        RN_TRY(rn_shamir_share(&cohort->secrets[i], sizes.threshold, holders, circle, &stream,
                               shares, err));
        const double begun = seconds_now(1);
        if (i == 0 || !sizes.complete) {
            RN_TRY(rn_shamir_weights(holders, sizes.threshold, weights, err));
        }
        rn_shamir_combine(weights, shares, sizes.threshold, &secret);
        *out_seconds += seconds_now(1) - begun;
        RN_ENSURE(rn_scalar_equal(&secret, &cohort->secrets[i]), err, RN_E_INTERNAL,
                  "shares do not give the secret back");
    }
    return rn_ok();
}

rn_result rn_secagg_server_measure(const struct rn_secagg_cell *cell, struct rn_secagg_server *out,
                                   struct rn_error *err)
{
    RN_CLEANUP(cohort_clear) struct cohort cohort;
    RN_CLEANUP(rn_sa_vector_clear) struct rn_sa_vector vector;
    double before = 0;
    double after = 0;
    uint64_t streams = 0;
    cohort_init(&cohort, cell);
    rn_sa_vector_init(&vector, &cohort.layout);
    RN_TRY(cipher_rate(&before, err));
    for (unsigned turn = 0; turn < turns_of(cell); turn++) {
        memset(vector.lanes, 0, (size_t)cohort.layout.lanes * cohort.layout.lane_bytes);
        const double begun = seconds_now(cell->threads);
        RN_TRY(take_masks_off(cell, &cohort, &vector, &streams, err));
        const double took = seconds_now(cell->threads) - begun;
        out->unmask_seconds = turn == 0 || took < out->unmask_seconds ? took : out->unmask_seconds;
    }
    out->stream_bytes = streams * cohort.layout.lanes * cohort.layout.lane_bytes;
    RN_TRY(replayed(cell, &cohort, &vector, out, err));
    out->combine_seconds = 0;
    RN_TRY(combine(cell, &cohort, &out->combine_seconds, err));
    RN_TRY(cipher_rate(&after, err));
    out->cipher_rate = (before + after) / 2;
    return rn_ok();
}
