/* SPDX-License-Identifier: Apache-2.0
 *
 * case 29. Vectors of 10^8 elements and of as many as there may be: where every chunk lies, what
 * the mask streams are there, and whole sums, chunk by chunk, of updates that are quantised, masked
 * and packed. In memory is one chunk of each member. RONDO_LONG=1 computes every chunk instead of
 * those at the ends and in the middle.
 */
#include "base/alloc.h"
#include "crypto/maskstream.h"
#include "crypto/pack.h"
#include "crypto/quantise.h"
#include "crypto/roster.h"
#include "crypto/secagg/lanevector.h"
#include "tests/unit/crypto/vectors.h"

#include <stdlib.h>

#define MILLIONS_100 UINT64_C(100000000)
#define MEMBERS 3u
#define LOST 2u /* it dealt, and uploads nothing */
#define CHUNK RN_SA_CHUNK_ELEMENTS_MAX
#define LANES (CHUNK + RN_SA_CANARIES)

static struct rn_sa_layout layout_of(uint64_t elements, uint32_t chunk_elements, uint64_t value_max)
{
    static struct rn_roster roster;
    struct rn_sa_layout layout;
    const struct rn_sa_timeout time = {1, 1};
    const struct rn_sa_params params = {.members = MEMBERS,
                                        .colluding = 1,
                                        .honest = 2,
                                        .value_max = value_max,
                                        .chunk_elements = chunk_elements,
                                        .ready = time,
                                        .shares = time,
                                        .acks = time,
                                        .upload = time,
                                        .vote = time,
                                        .unmask = time,
                                        .receipts = time};
    const struct rn_sa_context context = {.roster = &roster, .attempt = 1, .elements = elements};
    roster.count = MEMBERS;
    assert_ok(rn_sa_params_check(&params, NULL));
    assert_ok(rn_sa_context_check(&params, &context, NULL));
    rn_sa_layout_init(&layout, &params, &context);
    return layout;
}

/* The chunks lie one behind the other: no lane twice, none between them, none lost at the end. */
static void chunks_fill_the_vector(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {MILLIONS_100, RN_SA_ELEMENTS_MAX};
    static const uint32_t chunks[] = {8192, 8193, 100003, CHUNK - 1, CHUNK};
    static const uint64_t largest[] = {1, 65534, (uint64_t)1 << 50}; /* b = 3, 19 and 53 */
    for (size_t k = 0; k < RN_ARRAY_LENGTH(lengths) * RN_ARRAY_LENGTH(chunks) * 3; k++) {
        const struct rn_sa_layout layout =
            layout_of(lengths[k % 2], chunks[k / 2 % 5], largest[k / 10]);
        unsigned __int128 bytes = 0;
        uint64_t lane = 0;
        uint64_t elements = 0;
        for (uint32_t c = 0; c < layout.chunks; c++) {
            const uint32_t count = rn_sa_layout_chunk_elements(&layout, c);
            assert_true(count > 0 && count <= layout.chunk_elements);
            assert_true(rn_sa_layout_chunk_lane(&layout, c) == lane);
            lane += count + RN_SA_CANARIES;
            elements += count;
            bytes += ((unsigned __int128)(count + RN_SA_CANARIES) * layout.bits + 7) / 8;
        }
        assert_true(elements == layout.elements && lane == layout.lanes);
        assert_true(rn_sa_layout_vector_bytes(&layout) == bytes);
        assert_true(layout.lanes <= RN_MASK_ELEMENTS_MAX_U64);
    }
}

/* One element more, or one chunk more, is no vector. */
static void limits(void **state)
{
    (void)state;
    struct rn_roster roster = {.count = MEMBERS};
    struct rn_sa_params params = {.members = MEMBERS, .chunk_elements = 8192};
    struct rn_sa_context context = {
        .roster = &roster, .attempt = 1, .elements = RN_SA_ELEMENTS_MAX};
    assert_int_equal(RN_SA_ELEMENTS_MAX / 8192, RN_SA_CHUNKS_MAX);
    assert_ok(rn_sa_context_check(&params, &context, NULL));
    params.chunk_elements = 8191;
    assert_code(rn_sa_context_check(&params, &context, NULL), RN_E_CONFIG);
    params.chunk_elements = CHUNK;
    context.elements = RN_SA_ELEMENTS_MAX + 1;
    assert_code(rn_sa_context_check(&params, &context, NULL), RN_E_CONFIG);
}

/* The key stream itself, by `openssl enc -aes-256-ctr` with the block's number for an IV: what the
 * members of a session would not notice is a position that is wrong alike for all of them. */
static void far_lanes_are_the_streams(void **state)
{
    (void)state;
    static const struct {
        uint64_t lane;
        uint64_t wanted; /* little-endian */
        bool wide;
    } rows[] = {
        {MILLIONS_100 - 1, 0x1a22a023, false},
        {RN_MASK_ELEMENTS_MAX_U32 - 1, 0x9976c2bc, false},
        {MILLIONS_100 - 1, 0x8d697ce5df504f71, true},
        {RN_SA_ELEMENTS_MAX - 1, 0x9deaa5552221eaed, true}, /* its last byte is 2^31 - 1 */
        {RN_SA_ELEMENTS_MAX + 1, 0x889bc84dad91b348, true},
        {RN_MASK_ELEMENTS_MAX_U64 - 1, 0x9976c2bc1605e962, true},
    };
    const struct rn_secret32 key = key_of(29);
    for (int kernel = RN_MASK_EVP; kernel <= RN_MASK_VAES; kernel++) {
        if (!rn_mask_kernel_here((enum rn_mask_kernel)kernel)) {
            continue;
        }
        RN_CLEANUP(rn_mask_set_free_cleanup)
        struct rn_mask_set *set = rn_mask_set_new_on((enum rn_mask_kernel)kernel, 1);
        assert_ok(rn_mask_set_insert(set, &key, 1, NULL));
        for (size_t k = 0; k < RN_ARRAY_LENGTH(rows); k++) {
            uint64_t wide[9] = {0}; /* from eight lanes before it on */
            uint32_t narrow[9] = {0};
            const uint64_t first = rows[k].lane - 8;
            if (rows[k].wide) {
                assert_ok(rn_mask_set_add_u64(set, wide, first, 9, NULL));
                assert_true(wide[8] == rows[k].wanted);
            } else {
                assert_ok(rn_mask_set_add_u32(set, narrow, first, 9, NULL));
                assert_true(narrow[8] == rows[k].wanted);
            }
        }
    }
}

/* ---- Sums */

/* What one chunk takes, for as long as a test. */
struct workshop {
    struct rn_sa_layout layout;
    struct rn_quantiser quantiser;
    struct rn_mask_set *masks[MEMBERS]; /* of the survivors */
    struct rn_mask_set *left;           /* what their sum still has on it */
    float *update;                      /* [CHUNK], as all below */
    uint64_t *values, *plain;
    void *lanes; /* [LANES] */
    uint8_t *packed;
};

static void insert(struct rn_mask_set *set, uint32_t i, uint32_t j, int sign)
{
    const struct rn_secret32 key = key_of(i < j ? 16 * i + j : 16 * j + i);
    assert_ok(rn_mask_set_insert(set, &key, sign, NULL));
}

static void workshop_open(struct workshop *w, uint64_t elements, uint32_t bits)
{
    *w = (struct workshop){.quantiser = {.bits = bits, .scale_exponent = -3}};
    w->layout = layout_of(elements, CHUNK, rn_quantiser_largest(&w->quantiser));
    w->left = rn_mask_set_new(2 * MEMBERS);
    for (uint32_t i = 0; i < LOST; i++) {
        w->masks[i] = rn_mask_set_new(MEMBERS);
        for (uint32_t j = 0; j < MEMBERS; j++) {
            insert(w->masks[i], i, j, i <= j ? 1 : -1);
        }
        insert(w->left, i, i, -1);
        insert(w->left, i, LOST, -1);
    }
    w->update = rn_alloc(CHUNK, sizeof *w->update);
    w->values = rn_alloc(CHUNK, sizeof *w->values);
    w->plain = rn_alloc(CHUNK, sizeof *w->plain);
    w->lanes = rn_alloc(LANES, sizeof(uint64_t));
    w->packed = rn_alloc(rn_sa_layout_chunk_bytes(&w->layout, 0), 1);
}

static void workshop_close(struct workshop *w)
{
    for (uint32_t i = 0; i < LOST; i++) {
        rn_mask_set_free(w->masks[i]);
    }
    rn_mask_set_free(w->left);
    rn_free(w->update);
    rn_free(w->values);
    rn_free(w->plain);
    rn_free(w->lanes);
    rn_free(w->packed);
}

/* Element e of a member's update, from beyond -c to beyond c. */
static float delta_of(uint32_t member, uint64_t element)
{
    const uint64_t z = (element + 1) * UINT64_C(0x9e3779b97f4a7c15) + member * UINT64_C(0x51ed27);
    return (float)((double)(z >> 40) / (1 << 24) - 0.5) * 0.3f;
}

static void upload_chunk(struct workshop *w, uint32_t member, uint32_t chunk)
{
    const uint32_t count = rn_sa_layout_chunk_elements(&w->layout, chunk);
    const uint64_t first = (uint64_t)chunk * CHUNK;
    const struct rn_secret32 key = key_of(100 + member);
    for (uint32_t e = 0; e < count; e++) {
        w->update[e] = delta_of(member, first + e);
    }
    assert_ok(rn_quantise_u64(&w->quantiser, &key, w->update, first, count, w->values, NULL, NULL));
    assert_ok(rn_sa_chunk_mask(&w->layout, chunk, w->values, w->masks[member], w->packed, NULL));
    for (uint32_t e = 0; e < count; e++) {
        w->plain[e] += w->values[e];
    }
    const size_t lanes = (size_t)count + RN_SA_CANARIES;
    const struct rn_view packed =
        rn_view_of(w->packed, rn_sa_layout_chunk_bytes(&w->layout, chunk));
    assert_ok(w->layout.lane_bytes == 4
                  ? rn_unpack_add_u32(packed, w->layout.bits, w->lanes, lanes, NULL)
                  : rn_unpack_add_u64(packed, w->layout.bits, w->lanes, lanes, NULL));
}

/* The survivors' sum of a chunk is the plain one, and its canaries are 0. */
static void sum_chunk(struct workshop *w, uint32_t chunk)
{
    const struct rn_sa_layout *layout = &w->layout;
    const uint32_t count = rn_sa_layout_chunk_elements(layout, chunk);
    const uint64_t lane = rn_sa_layout_chunk_lane(layout, chunk);
    const size_t lanes = (size_t)count + RN_SA_CANARIES;
    const uint64_t mask = UINT64_MAX >> (64 - layout->bits);
    memset(w->lanes, 0, lanes * layout->lane_bytes);
    memset(w->plain, 0, count * sizeof *w->plain);
    for (uint32_t i = 0; i < LOST; i++) {
        upload_chunk(w, i, chunk);
    }
    assert_ok(layout->lane_bytes == 4 ? rn_mask_set_add_u32(w->left, w->lanes, lane, lanes, NULL)
                                      : rn_mask_set_add_u64(w->left, w->lanes, lane, lanes, NULL));
    bool equal = true;
    for (size_t e = 0; e < lanes; e++) {
        const uint64_t got =
            (layout->lane_bytes == 4 ? ((uint32_t *)w->lanes)[e] : ((uint64_t *)w->lanes)[e]) &
            mask;
        equal = equal && got == (e < count ? w->plain[e] : 0);
    }
    assert_true(equal);
}

static void sum_vector(uint64_t elements, uint32_t bits)
{
    struct workshop w;
    workshop_open(&w, elements, bits);
    const uint32_t last = w.layout.chunks - 1;
    for (uint32_t c = 0; c <= last; c++) {
        if (c < 2 || c + 2 > last || c == last / 2 || getenv("RONDO_LONG") != NULL) {
            sum_chunk(&w, c);
        }
    }
    workshop_close(&w);
}

/* 382 chunks, of which the last has 123,136 elements; in u32 and in u64 lanes. */
static void sums_of_a_hundred_million(void **state)
{
    (void)state;
    sum_vector(MILLIONS_100, 16);
    sum_vector(MILLIONS_100, 30);
}

/* The lanes of its last chunk lie beyond byte 2^31 of the mask streams. */
static void sums_of_the_longest_vector(void **state)
{
    (void)state;
    sum_vector(RN_SA_ELEMENTS_MAX, 30);
    sum_vector(RN_SA_ELEMENTS_MAX - 1, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_fill_the_vector),     cmocka_unit_test(limits),
        cmocka_unit_test(far_lanes_are_the_streams),  cmocka_unit_test(sums_of_a_hundred_million),
        cmocka_unit_test(sums_of_the_longest_vector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
