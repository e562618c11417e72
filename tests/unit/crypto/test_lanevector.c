/* SPDX-License-Identifier: Apache-2.0
 *
 * Vectors of lanes: the masks of a session cancel in every ring Z_2^b, a sum may be taken apart by
 * ranges of elements and by groups of members, and what is wrong with a part is seen in the whole.
 */
#include "base/alloc.h"
#include "crypto/random.h"
#include "crypto/secagg/lanevector.h"
#include "tests/unit/crypto/vectors.h"

#define MEMBERS 9
#define CHUNK 700
#define ELEMENTS 2001 /* two whole chunks and a part of a third */
#define CHUNKS 3
#define ALL ((1u << MEMBERS) - 1)

static struct rn_sa_layout layout_of(uint32_t bits, uint32_t lane_bytes)
{
    return (struct rn_sa_layout){.elements = ELEMENTS,
                                 .chunk_elements = CHUNK,
                                 .chunks = CHUNKS,
                                 .bits = bits,
                                 .lane_bytes = lane_bytes,
                                 .lanes = ELEMENTS + CHUNKS * RN_SA_CANARIES};
}

/* Element e of member m's vector; the sum over all members stays below 2^(b-1) where it can. */
static uint64_t value_of(const struct rn_sa_layout *layout, unsigned m, uint64_t e)
{
    const uint64_t most = (UINT64_MAX >> (64 - layout->bits)) / (2 * MEMBERS);
    return most == 0 ? 0 : (e * UINT64_C(0x9e3779b97f4a7c15) + m * 7919) % (most + 1);
}

static uint64_t largest_of(const struct rn_sa_layout *layout)
{
    return (UINT64_MAX >> (64 - layout->bits)) / (2 * MEMBERS) * MEMBERS;
}

static void insert(struct rn_mask_set *set, unsigned i, unsigned j, int sign)
{
    const struct rn_secret32 key = key_of(i < j ? 16 * i + j : 16 * j + i);
    assert_ok(rn_mask_set_insert(set, &key, sign, NULL));
}

/* What member m adds: its own mask (i = j = m) and one with every other. */
static struct rn_mask_set *masks_of(unsigned m)
{
    struct rn_mask_set *set = rn_mask_set_new(MEMBERS);
    for (unsigned j = 0; j < MEMBERS; j++) {
        insert(set, m, j, m <= j ? 1 : -1);
    }
    return set;
}

/* What has to come off a sum over `survivors`. */
static struct rn_mask_set *left_over(unsigned survivors)
{
    struct rn_mask_set *set = rn_mask_set_new(MEMBERS * MEMBERS);
    for (unsigned m = 0; m < MEMBERS; m++) {
        for (unsigned j = 0; (survivors >> m & 1) != 0 && j < MEMBERS; j++) {
            if (j == m || (survivors >> j & 1) == 0) {
                insert(set, m, j, m <= j ? -1 : 1);
            }
        }
    }
    return set;
}

/* The packed chunks of one vector, one after the other. */
static uint8_t *packed_new(const struct rn_sa_layout *layout)
{
    return rn_alloc(CHUNKS, rn_sa_layout_chunk_bytes(layout, 0));
}

static uint8_t *packed_at(const struct rn_sa_layout *layout, uint8_t *packed, uint32_t chunk)
{
    return packed + chunk * rn_sa_layout_chunk_bytes(layout, 0);
}

static uint8_t *upload_of(const struct rn_sa_layout *layout, unsigned m)
{
    uint8_t *packed = packed_new(layout);
    RN_CLEANUP(rn_mask_set_free_cleanup) struct rn_mask_set *masks = masks_of(m);
    for (uint32_t chunk = 0; chunk < CHUNKS; chunk++) {
        uint64_t values[CHUNK];
        const uint32_t count = rn_sa_layout_chunk_elements(layout, chunk);
        for (uint32_t i = 0; i < count; i++) {
            values[i] = value_of(layout, m, (uint64_t)chunk * CHUNK + i);
        }
        assert_ok(
            rn_sa_chunk_mask(layout, chunk, values, masks, packed_at(layout, packed, chunk), NULL));
    }
    return packed;
}

static void add_packed(struct rn_sa_vector *to, uint8_t *packed)
{
    const struct rn_sa_layout *layout = &to->layout;
    for (uint32_t chunk = 0; chunk < CHUNKS; chunk++) {
        const size_t size = rn_sa_layout_chunk_bytes(layout, chunk);
        assert_ok(
            rn_sa_vector_add(to, chunk, rn_view_of(packed_at(layout, packed, chunk), size), NULL));
    }
}

static uint8_t *packed_of(const struct rn_sa_vector *vector)
{
    uint8_t *packed = packed_new(&vector->layout);
    for (uint32_t chunk = 0; chunk < CHUNKS; chunk++) {
        rn_sa_vector_pack(vector, chunk, packed_at(&vector->layout, packed, chunk));
    }
    return packed;
}

static void vector_zero(struct rn_sa_vector *vector, const struct rn_sa_layout *layout)
{
    rn_sa_vector_init(vector, layout);
    memset(vector->lanes, 0, layout->lanes * layout->lane_bytes);
}

static void add_uploads(struct rn_sa_vector *to, unsigned members)
{
    for (unsigned m = 0; m < MEMBERS; m++) {
        if ((members >> m & 1) != 0) {
            uint8_t *packed = upload_of(&to->layout, m);
            add_packed(to, packed);
            rn_free(packed);
        }
    }
}

/* Takes off what the survivors' masks leave; true when the range check passes. */
static bool opened(struct rn_sa_vector *vector, unsigned survivors)
{
    RN_CLEANUP(rn_mask_set_free_cleanup) struct rn_mask_set *masks = left_over(survivors);
    assert_ok(rn_sa_vector_mask(vector, masks, NULL));
    rn_sa_vector_reduce(vector);
    return rn_sa_vector_in_range(vector, largest_of(&vector->layout));
}

static void assert_sum(const struct rn_sa_vector *vector, unsigned survivors)
{
    static uint64_t sum[ELEMENTS];
    rn_sa_vector_read(vector, 0, ELEMENTS, sum);
    for (uint64_t e = 0; e < ELEMENTS; e++) {
        uint64_t wanted = 0;
        for (unsigned m = 0; m < MEMBERS; m++) {
            wanted += (survivors >> m & 1) != 0 ? value_of(&vector->layout, m, e) : 0;
        }
        assert_true(sum[e] == wanted);
    }
}

/* case 33: b = 1 to 64, in u32 lanes where the ring fits them and in u64 lanes. */
static void masks_cancel_in_every_ring(void **state)
{
    (void)state;
    for (uint32_t bits = 1; bits <= 64; bits++) {
        for (uint32_t lane_bytes = bits <= 32 ? 4 : 8; lane_bytes <= 8; lane_bytes += 4) {
            const struct rn_sa_layout layout = layout_of(bits, lane_bytes);
            const unsigned survivors = ALL & ~(1u << bits % MEMBERS);
            struct rn_sa_vector vector;
            vector_zero(&vector, &layout);
            add_uploads(&vector, survivors);
            assert_true(opened(&vector, survivors));
            assert_sum(&vector, survivors);
            rn_sa_vector_clear(&vector);
        }
    }
}

/* case 28, case 36: every member's element is the largest one that the ring of b bits still holds.
 */
static void the_largest_sum_fits_exactly(void **state)
{
    (void)state;
    for (uint32_t bits = 5; bits <= 64; bits++) {
        const struct rn_sa_layout layout = layout_of(bits, bits <= 32 ? 4 : 8);
        const uint64_t most = (UINT64_MAX >> (64 - bits)) / MEMBERS;
        uint64_t values[CHUNK];
        struct rn_sa_vector vector;
        RN_CLEANUP(rn_mask_set_free_cleanup) struct rn_mask_set *none = rn_mask_set_new(0);
        uint8_t *packed = packed_new(&layout);
        vector_zero(&vector, &layout);
        for (unsigned i = 0; i < CHUNK; i++) {
            values[i] = most;
        }
        assert_ok(rn_sa_chunk_mask(&layout, 0, values, none, packed, NULL));
        for (unsigned m = 0; m < MEMBERS; m++) {
            const size_t size = rn_sa_layout_chunk_bytes(&layout, 0);
            assert_ok(rn_sa_vector_add(&vector, 0, rn_view_of(packed, size), NULL));
        }
        rn_sa_vector_reduce(&vector);
        assert_true(rn_sa_vector_in_range(&vector, MEMBERS * most));
        assert_false(rn_sa_vector_in_range(&vector, MEMBERS * most - 1));
        rn_sa_vector_read(&vector, 0, CHUNK, values);
        assert_true(values[0] == MEMBERS * most && values[CHUNK - 1] == MEMBERS * most);
        rn_free(packed);
        rn_sa_vector_clear(&vector);
    }
}

/* One shard: its lanes of a vector, with its own copy of the keys. */
static void unmask_shard(struct rn_sa_vector *vector, const struct rn_mask_set *masks,
                         unsigned shard, unsigned shards)
{
    const uint64_t lanes = vector->layout.lanes;
    const uint64_t from = lanes * shard / shards;
    const uint64_t to = lanes * (shard + 1) / shards;
    struct rn_mask_set *copy = NULL;
    assert_ok(rn_mask_set_copy(masks, &copy, NULL));
    assert_ok(rn_sa_vector_mask_range(vector, from, to - from, copy, NULL));
    rn_mask_set_free(copy);
}

/* case 47: whatever the number of shards and their order; a shard that died is done again from the
 * masked sum. */
static void shards_give_the_same_bytes(void **state)
{
    (void)state;
    static const unsigned counts[] = {1, 3, 16};
    const unsigned survivors = ALL & ~5u;
    for (uint32_t bits = 21; bits <= 40; bits += 19) {
        const struct rn_sa_layout layout = layout_of(bits, bits <= 32 ? 4 : 8);
        const size_t size = layout.lanes * layout.lane_bytes;
        struct rn_sa_vector whole;
        struct rn_sa_vector masked;
        RN_CLEANUP(rn_mask_set_free_cleanup) struct rn_mask_set *masks = left_over(survivors);
        vector_zero(&whole, &layout);
        vector_zero(&masked, &layout);
        add_uploads(&whole, survivors);
        add_uploads(&masked, survivors);
        assert_true(opened(&whole, survivors));
        for (size_t c = 0; c < RN_ARRAY_LENGTH(counts); c++) {
            struct rn_sa_vector sharded;
            const unsigned dead = counts[c] / 2;
            const uint64_t from = layout.lanes * dead / counts[c];
            const uint64_t to = layout.lanes * (dead + 1) / counts[c];
            vector_zero(&sharded, &layout);
            memcpy(sharded.lanes, masked.lanes, size);
            for (unsigned shard = counts[c]; shard-- > 0;) {
                unmask_shard(&sharded, masks, shard, counts[c]);
            }
            memcpy((uint8_t *)sharded.lanes + from * layout.lane_bytes,
                   (const uint8_t *)masked.lanes + from * layout.lane_bytes,
                   (to - from) * layout.lane_bytes);
            unmask_shard(&sharded, masks, dead, counts[c]);
            rn_sa_vector_reduce(&sharded);
            assert_memory_equal(sharded.lanes, whole.lanes, size);
            rn_sa_vector_clear(&sharded);
        }
        rn_sa_vector_clear(&whole);
        rn_sa_vector_clear(&masked);
    }
}

/* ---- Relays: the lower ones add three members each, the upper two or one of the lower ---- */

struct tree {
    struct rn_sa_layout layout;
    unsigned dropped;    /* members whose upload a relay leaves out without saying so */
    unsigned dead;       /* a lower relay that dies, its members go to the next one; 3: none */
    uint64_t garbage_at; /* lane to which a relay adds 1; UINT64_MAX: none */
};

static uint8_t *lower_relay(const struct tree *tree, unsigned relay)
{
    unsigned members = 7u << (3 * relay);
    struct rn_sa_vector partial;
    if (relay == tree->dead) {
        members = 0;
    } else if (tree->dead < 3 && relay == (tree->dead + 1) % 3) {
        members |= 7u << (3 * tree->dead);
    }
    vector_zero(&partial, &tree->layout);
    add_uploads(&partial, members & ~tree->dropped);
    if (relay == 1 && tree->garbage_at != UINT64_MAX) {
        ((uint32_t *)partial.lanes)[tree->garbage_at] += 1u << (tree->layout.bits - 1);
    }
    uint8_t *packed = packed_of(&partial);
    rn_sa_vector_clear(&partial);
    return packed;
}

static void tree_sum(const struct tree *tree, struct rn_sa_vector *root)
{
    vector_zero(root, &tree->layout);
    for (unsigned upper = 0; upper < 2; upper++) {
        struct rn_sa_vector partial;
        vector_zero(&partial, &tree->layout);
        for (unsigned relay = 0; relay < 3; relay++) {
            if (relay / 2 == upper) {
                uint8_t *packed = lower_relay(tree, relay);
                add_packed(&partial, packed);
                rn_free(packed);
            }
        }
        uint8_t *packed = packed_of(&partial);
        add_packed(root, packed);
        rn_free(packed);
        rn_sa_vector_clear(&partial);
    }
}

/* Does the root, which believes in these survivors, get a sum in range? */
static bool tree_opens(const struct tree *tree, unsigned survivors)
{
    struct rn_sa_vector root;
    tree_sum(tree, &root);
    const bool good = opened(&root, survivors);
    if (good) {
        assert_sum(&root, survivors);
    }
    rn_sa_vector_clear(&root);
    return good;
}

/* case 46 */
static void relays_add_masked_sums(void **state)
{
    (void)state;
    const struct rn_sa_layout layout = layout_of(21, 4);
    struct tree tree = {layout, 0, 3, UINT64_MAX};
    assert_true(tree_opens(&tree, ALL));
    for (tree.dead = 0; tree.dead < 3; tree.dead++) {
        assert_true(tree_opens(&tree, ALL));
    }
    for (uint64_t lane = 0; lane < layout.lanes; lane += 97) {
        tree.garbage_at = lane;
        assert_false(tree_opens(&tree, ALL));
    }
    tree.garbage_at = CHUNK; /* the first canary */
    assert_false(tree_opens(&tree, ALL));
    tree.garbage_at = UINT64_MAX;
    for (unsigned m = 0; m < MEMBERS; m++) {
        tree.dropped = 1u << m;
        assert_false(tree_opens(&tree, ALL));
        assert_true(tree_opens(&tree, ALL & ~tree.dropped)); /* said openly, it is a lost member */
    }
}

/* case 41: no lane of the mask stream serves two lanes of the vector. */
static void chunks_share_no_lane(void **state)
{
    (void)state;
    const struct rn_sa_layout layout = layout_of(21, 4);
    uint64_t next = 0;
    for (uint32_t chunk = 0; chunk < layout.chunks; chunk++) {
        assert_true(rn_sa_layout_chunk_lane(&layout, chunk) == next);
        next += rn_sa_layout_chunk_elements(&layout, chunk) + RN_SA_CANARIES;
    }
    assert_true(next == layout.lanes);
}

/* A chunk that is not what it should be changes nothing. */
static void a_bad_chunk_adds_nothing(void **state)
{
    (void)state;
    const struct rn_sa_layout layout = layout_of(21, 4);
    const size_t size = rn_sa_layout_chunk_bytes(&layout, 0);
    struct rn_sa_vector vector;
    uint8_t *packed = packed_new(&layout);
    memset(packed, 0xff, size); /* 708 lanes of 21 bits end within a byte: padding that is not 0 */
    vector_zero(&vector, &layout);
    assert_code(rn_sa_vector_add(&vector, 0, rn_view_of(packed, size), NULL), RN_E_PEER_FORMAT);
    assert_code(rn_sa_vector_add(&vector, 0, rn_view_of(packed, size - 1), NULL), RN_E_PEER_FORMAT);
    assert_true(rn_secret_is_zero(vector.lanes, layout.lanes * layout.lane_bytes));
    rn_free(packed);
    rn_sa_vector_clear(&vector);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_cancel_in_every_ring),
        cmocka_unit_test(the_largest_sum_fits_exactly),
        cmocka_unit_test(shards_give_the_same_bytes),
        cmocka_unit_test(relays_add_masked_sums),
        cmocka_unit_test(chunks_share_no_lane),
        cmocka_unit_test(a_bad_chunk_adds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
