/* SPDX-License-Identifier: Apache-2.0
 *
 * Masks: AES-256-CTR as published, any range equals the slice of the whole, pairs cancel for every
 * width of the group, and keys differ for everything they are bound to.
 */
#include "base/alloc.h"
#include "crypto/maskkey.h"
#include "crypto/maskstream.h"
#include "crypto/pack.h"
#include "tests/unit/crypto/vectors.h"

#include <stdio.h>
#include <stdlib.h>

#define LENGTH 9001 /* several pieces of 16 KiB in both lane widths, and no multiple of a block */

/* case 34. E(0, counter) for counters 0, 1, 2 as they appear in the GCM specification (McGrew and
 * Viega), test cases 13 and 14: the hash key, the tag over nothing, and the ciphertext of zeros. */
static void aes256_known_answers(void **state)
{
    (void)state;
    const struct rn_secret32 zero = {{0}};
    uint32_t lanes[12] = {0};
    assert_ok(rn_mask_add_u32(lanes, 0, 12, &zero, 1, NULL));
    uint8_t bytes[48];
    struct rn_writer writer = rn_writer_to(bytes, sizeof(bytes));
    for (unsigned k = 0; k < 12; k++) {
        rn_write_u32(&writer, lanes[k]);
    }
    assert_hex(bytes, "dc95c078a2408989ad48a21492842087530f8afbc74536b9a963b4f1c4cb738b"
                      "cea7403d4d606b6e074ec5d3baf39d18");
    uint64_t wide[6] = {0};
    assert_ok(rn_mask_add_u64(wide, 0, 6, &zero, 1, NULL));
    for (unsigned k = 0; k < 6; k++) {
        assert_true(wide[k] == (lanes[2 * k] | (uint64_t)lanes[2 * k + 1] << 32));
    }
}

/* case 33: any range equals the slice of the whole. */
static void ranges_are_slices(void **state)
{
    (void)state;
    const struct rn_secret32 key = key_of(1);
    uint32_t *whole = rn_alloc(LENGTH, sizeof(*whole));
    uint64_t *whole_wide = rn_alloc(LENGTH, sizeof(*whole_wide));
    assert_ok(rn_mask_add_u32(whole, 0, LENGTH, &key, 1, NULL));
    assert_ok(rn_mask_add_u64(whole_wide, 0, LENGTH, &key, 1, NULL));
    for (size_t from = 0; from < LENGTH; from += from < 40 ? 1 : 367) {
        for (size_t count = 0; from + count <= LENGTH; count += count < 40 ? 1 : 1501) {
            uint32_t *part = rn_alloc(count, sizeof(*part));
            uint64_t *part_wide = rn_alloc(count, sizeof(*part_wide));
            assert_ok(rn_mask_add_u32(part, from, count, &key, 1, NULL));
            assert_ok(rn_mask_add_u64(part_wide, from, count, &key, 1, NULL));
            assert_memory_equal(part, whole + from, count * sizeof(*part));
            assert_memory_equal(part_wide, whole_wide + from, count * sizeof(*part_wide));
            rn_free(part);
            rn_free(part_wide);
        }
    }
    rn_free(whole);
    rn_free(whole_wide);
}

static void set_equals_one_by_one(void **state)
{
    (void)state;
    static const uint64_t starts[] = {0, 1, 5, 4096, 4099, 1000000};
    struct rn_mask_set *set = rn_mask_set_new(5);
    for (unsigned k = 0; k < 5; k++) {
        const struct rn_secret32 key = key_of(10 * k);
        assert_ok(rn_mask_set_insert(set, &key, k % 2 == 0 ? 1 : -1, NULL));
    }
    assert_int_equal(rn_mask_set_count(set), 5);
    uint32_t *together = rn_alloc(LENGTH, sizeof(*together));
    uint32_t *single = rn_alloc(LENGTH, sizeof(*single));
    uint64_t *together_wide = rn_alloc(LENGTH, sizeof(*together_wide));
    uint64_t *single_wide = rn_alloc(LENGTH, sizeof(*single_wide));
    for (size_t s = 0; s < RN_ARRAY_LENGTH(starts); s++) {
        struct rn_mask_set *copy = NULL;
        assert_ok(rn_mask_set_copy(set, &copy, NULL));
        assert_int_equal(rn_mask_set_count(copy), 5);
        assert_ok(rn_mask_set_add_u32(copy, together, starts[s], LENGTH, NULL));
        assert_ok(rn_mask_set_add_u64(set, together_wide, starts[s], LENGTH, NULL));
        rn_mask_set_free(copy);
        for (unsigned k = 0; k < 5; k++) {
            const struct rn_secret32 key = key_of(10 * k);
            const int sign = k % 2 == 0 ? 1 : -1;
            assert_ok(rn_mask_add_u32(single, starts[s], LENGTH, &key, sign, NULL));
            assert_ok(rn_mask_add_u64(single_wide, starts[s], LENGTH, &key, sign, NULL));
        }
        assert_memory_equal(together, single, LENGTH * sizeof(*single));
        assert_memory_equal(together_wide, single_wide, LENGTH * sizeof(*single_wide));
    }
    rn_free(together);
    rn_free(single);
    rn_free(together_wide);
    rn_free(single_wide);
    rn_mask_set_free(set);
    rn_mask_set_free(NULL);
}

/* case 33: the fused kernel against OpenSSL's, which needs no more than the published answers
 * above; ranges that begin and end anywhere, both widths, both signs, sets and copies of sets. */
static void add_with(enum rn_mask_kernel kernel, void *lanes, bool wide, uint64_t first,
                     size_t count)
{
    RN_CLEANUP(rn_mask_set_free_cleanup)
    struct rn_mask_set *set = rn_mask_set_new_on(kernel, 4);
    RN_CLEANUP(rn_mask_set_free_cleanup) struct rn_mask_set *copy = NULL;
    for (unsigned k = 0; k < 3; k++) {
        const struct rn_secret32 key = key_of(50 * k);
        assert_ok(rn_mask_set_insert(set, &key, k == 1 ? -1 : 1, NULL));
    }
    assert_ok(rn_mask_set_copy(set, &copy, NULL));
    if (wide) {
        assert_ok(rn_mask_set_add_u64(set, lanes, first, count, NULL));
        assert_ok(rn_mask_set_add_u64(copy, lanes, first, count, NULL));
    } else {
        assert_ok(rn_mask_set_add_u32(set, lanes, first, count, NULL));
        assert_ok(rn_mask_set_add_u32(copy, lanes, first, count, NULL));
    }
}

/* case 33 */
static void kernels_give_the_same_bits(void **state)
{
    (void)state;
    static uint64_t wanted[LENGTH];
    static uint64_t got[LENGTH];
    static const uint64_t starts[] = {0, 1, 2, 3, 4, 63, 64, 65, 4095, 1000001, (1u << 28) + 7};
    static const size_t counts[] = {0,  1,  2,   3,   4,    5,    31,   32,    33,
                                    63, 64, 127, 129, 4096, 4101, 8191, LENGTH};
    if (!rn_mask_kernel_here(RN_MASK_VAES)) {
        (void)printf("this processor has no AVX2 with VAES: the fused kernel is not tested\n");
        skip();
    }
    assert_int_equal(rn_mask_kernel_best(), RN_MASK_VAES);
    for (unsigned wide = 0; wide < 2; wide++) {
        for (size_t s = 0; s < RN_ARRAY_LENGTH(starts); s++) {
            for (size_t c = 0; c < RN_ARRAY_LENGTH(counts); c++) {
                memset(wanted, 0x5a, sizeof(wanted));
                memset(got, 0x5a, sizeof(got));
                add_with(RN_MASK_EVP, wanted, wide, starts[s], counts[c]);
                add_with(RN_MASK_VAES, got, wide, starts[s], counts[c]);
                assert_memory_equal(got, wanted, sizeof(got));
            }
        }
    }
}

/* case 34 for each kernel: counters 0, 1 and 2 under the key of zeros, as above. */
static void known_answers_of_each_kernel(void **state)
{
    (void)state;
    const struct rn_secret32 zero = {{0}};
    for (unsigned kernel = RN_MASK_EVP; kernel <= RN_MASK_VAES; kernel++) {
        uint32_t lanes[12] = {0};
        if (!rn_mask_kernel_here(kernel)) {
            continue;
        }
        RN_CLEANUP(rn_mask_set_free_cleanup)
        struct rn_mask_set *set = rn_mask_set_new_on(kernel, 1);
        assert_ok(rn_mask_set_insert(set, &zero, 1, NULL));
        assert_ok(rn_mask_set_add_u32(set, lanes, 0, 12, NULL));
        assert_hex(lanes, "dc95c078a2408989ad48a21492842087530f8afbc74536b9a963b4f1c4cb738b"
                          "cea7403d4d606b6e074ec5d3baf39d18");
    }
}

static void empty_set_changes_nothing(void **state)
{
    (void)state;
    RN_CLEANUP(rn_mask_set_free_cleanup) struct rn_mask_set *set = rn_mask_set_new(0);
    uint32_t lanes[3] = {1, 2, 3};
    assert_ok(rn_mask_set_add_u32(set, lanes, 0, 3, NULL));
    assert_int_equal(lanes[2], 3);
}

/* case 33. Three members, every pair masked, every width: after packing to b bits and adding in the
 * lane, the sum of the masked vectors is the sum of the plain ones modulo 2^b. */
#define MEMBERS 3
#define ELEMENTS 37

static struct rn_secret32 pair_key(unsigned i, unsigned j)
{
    return key_of(i < j ? 16 * i + j : 16 * j + i);
}

static void masked_vector(unsigned member, unsigned bits, bool wide, uint64_t *out)
{
    uint32_t narrow[ELEMENTS] = {0};
    uint64_t lanes[ELEMENTS] = {0};
    uint8_t packed[ELEMENTS * 8];
    for (unsigned j = 0; j < MEMBERS; j++) {
        if (j == member) {
            continue;
        }
        const struct rn_secret32 key = pair_key(member, j);
        const int sign = rn_mask_sign(member, j);
        if (wide) {
            assert_ok(rn_mask_add_u64(lanes, 5, ELEMENTS, &key, sign, NULL));
        } else {
            assert_ok(rn_mask_add_u32(narrow, 5, ELEMENTS, &key, sign, NULL));
        }
    }
    for (unsigned e = 0; e < ELEMENTS; e++) {
        lanes[e] += member * 1000 + e; /* the plain value */
        narrow[e] += member * 1000 + e;
    }
    const size_t size = rn_pack_size(ELEMENTS, bits);
    if (wide) {
        rn_pack_u64(packed, bits, lanes, ELEMENTS);
    } else {
        rn_pack_u32(packed, bits, narrow, ELEMENTS);
    }
    assert_ok(rn_unpack_u64(rn_view_of(packed, size), bits, out, ELEMENTS, NULL));
}

/* case 33 */
static void pairs_cancel_for_every_width(void **state)
{
    (void)state;
    for (unsigned wide = 0; wide < 2; wide++) {
        for (unsigned bits = 1; bits <= (wide ? 64 : 32); bits++) {
            const uint64_t mask = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
            uint64_t sum[ELEMENTS] = {0};
            for (unsigned member = 0; member < MEMBERS; member++) {
                uint64_t vector[ELEMENTS];
                masked_vector(member, bits, wide, vector);
                for (unsigned e = 0; e < ELEMENTS; e++) {
                    sum[e] = (sum[e] + vector[e]) & mask;
                }
            }
            for (unsigned e = 0; e < ELEMENTS; e++) {
                assert_true(sum[e] == ((3000 + 3 * e) & mask));
            }
        }
    }
}

static void last_elements_of_a_key(void **state)
{
    (void)state;
    const struct rn_secret32 key = key_of(1);
    uint32_t narrow[4] = {0};
    uint64_t wide[2] = {0};
    assert_ok(rn_mask_add_u32(narrow, RN_MASK_ELEMENTS_MAX_U32 - 4, 4, &key, 1, NULL));
    assert_ok(rn_mask_add_u64(wide, RN_MASK_ELEMENTS_MAX_U64 - 2, 2, &key, 1, NULL));
    assert_memory_equal(narrow, wide, sizeof(wide)); /* the same, last, block of the key */
}

static void beyond_u32(void)
{
    const struct rn_secret32 key = key_of(1);
    uint32_t lanes[5] = {0};
    (void)!rn_is_ok(rn_mask_add_u32(lanes, RN_MASK_ELEMENTS_MAX_U32 - 4, 5, &key, 1, NULL));
}
static void beyond_u64(void)
{
    const struct rn_secret32 key = key_of(1);
    uint64_t lanes[3] = {0};
    (void)!rn_is_ok(rn_mask_add_u64(lanes, RN_MASK_ELEMENTS_MAX_U64 - 2, 3, &key, 1, NULL));
}
static void wrapping_range(void)
{
    const struct rn_secret32 key = key_of(1);
    uint32_t lanes[1] = {0};
    (void)!rn_is_ok(rn_mask_add_u32(lanes, UINT64_MAX, 1, &key, 1, NULL));
}
static void no_sign(void)
{
    const struct rn_secret32 key = key_of(1);
    uint32_t lanes[1] = {0};
    (void)!rn_is_ok(rn_mask_add_u32(lanes, 0, 1, &key, 0, NULL));
}

static void misuse_aborts(void **state)
{
    (void)state;
    assert_aborts(beyond_u32);
    assert_aborts(beyond_u64);
    assert_aborts(wrapping_range);
    assert_aborts(no_sign);
}

static struct rn_scalar scalar_drawn(unsigned fill)
{
    const struct rn_secret32 key = key_of(fill);
    struct rn_stream stream;
    struct rn_scalar scalar;
    rn_stream_init(&stream, &key);
    rn_scalar_draw(&stream, &scalar);
    return scalar;
}

static void pair_keys_agree_and_are_bound(void **state)
{
    (void)state;
    struct rn_mask_context context = {{1}, {2}};
    const struct rn_scalar si = scalar_drawn(1);
    const struct rn_scalar sj = scalar_drawn(2);
    struct rn_point pi;
    struct rn_point pj;
    struct rn_secret32 ij;
    struct rn_secret32 other;
    rn_point_of_scalar(&si, &pi);
    rn_point_of_scalar(&sj, &pj);
    assert_ok(rn_mask_key_pair(&context, &si, 3, &pj, 7, &ij, NULL));
    assert_ok(rn_mask_key_pair(&context, &sj, 7, &pi, 3, &other, NULL));
    assert_true(rn_secret_equal(&ij, &other, sizeof(ij)));
    assert_int_equal(rn_mask_sign(3, 7), 1);
    assert_int_equal(rn_mask_sign(7, 3), -1);

    assert_ok(rn_mask_key_pair(&context, &si, 3, &pj, 8, &other, NULL));
    assert_false(rn_secret_equal(&ij, &other, sizeof(ij)));
    context.session[31] = 1;
    assert_ok(rn_mask_key_pair(&context, &si, 3, &pj, 7, &other, NULL));
    assert_false(rn_secret_equal(&ij, &other, sizeof(ij)));
    context.session[31] = 0;
    context.transcript[31] = 1;
    assert_ok(rn_mask_key_pair(&context, &si, 3, &pj, 7, &other, NULL));
    assert_false(rn_secret_equal(&ij, &other, sizeof(ij)));

    const struct rn_point identity = {{0}};
    assert_code(rn_mask_key_pair(&context, &si, 3, &identity, 7, &other, NULL), RN_E_PEER_FORMAT);
}

static void self_keys_are_bound(void **state)
{
    (void)state;
    struct rn_mask_context context = {{1}, {2}};
    const struct rn_scalar seed = scalar_drawn(1);
    struct rn_secret32 key;
    struct rn_secret32 other;
    rn_mask_key_self(&context, &seed, 3, &key);
    rn_mask_key_self(&context, &seed, 3, &other);
    assert_true(rn_secret_equal(&key, &other, sizeof(key)));
    rn_mask_key_self(&context, &seed, 4, &other);
    assert_false(rn_secret_equal(&key, &other, sizeof(key)));
    context.transcript[0] ^= 1;
    rn_mask_key_self(&context, &seed, 3, &other);
    assert_false(rn_secret_equal(&key, &other, sizeof(key)));
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct rn_secret32));
}

/* case 41: a thousand rounds of three members derive no stream key twice. */
static void no_key_twice(void **state)
{
    (void)state;
    enum { ROUNDS = 1000, KEYS = 6 };
    static struct rn_secret32 keys[ROUNDS * KEYS];
    struct rn_scalar secrets[3];
    struct rn_point points[3];
    size_t count = 0;
    for (unsigned m = 0; m < 3; m++) {
        secrets[m] = scalar_drawn(m + 1);
        rn_point_of_scalar(&secrets[m], &points[m]);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct rn_mask_context context = {{(uint8_t)round, (uint8_t)(round >> 8)}, {2}};
        for (unsigned m = 0; m < 3; m++) {
            rn_mask_key_self(&context, &secrets[m], m, &keys[count++]);
            assert_ok(rn_mask_key_pair(&context, &secrets[m], m, &points[(m + 1) % 3], (m + 1) % 3,
                                       &keys[count++], NULL));
        }
    }
    qsort(keys, count, sizeof(keys[0]), by_bytes);
    for (size_t k = 1; k < count; k++) {
        assert_memory_not_equal(&keys[k - 1], &keys[k], sizeof(keys[0]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aes256_known_answers),
        cmocka_unit_test(ranges_are_slices),
        cmocka_unit_test(set_equals_one_by_one),
        cmocka_unit_test(kernels_give_the_same_bits),
        cmocka_unit_test(known_answers_of_each_kernel),
        cmocka_unit_test(empty_set_changes_nothing),
        cmocka_unit_test(pairs_cancel_for_every_width),
        cmocka_unit_test(last_elements_of_a_key),
        cmocka_unit_test(misuse_aborts),
        cmocka_unit_test(pair_keys_agree_and_are_bound),
        cmocka_unit_test(self_keys_are_bound),
        cmocka_unit_test(no_key_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
