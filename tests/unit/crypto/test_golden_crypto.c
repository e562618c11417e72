/* SPDX-License-Identifier: Apache-2.0
 *
 * One small session of three members, end to end over the primitives, against golden_crypto.txt,
 * which golden_crypto.py computes from the standards without any of our libraries. Every build and
 * every machine must give these bytes.
 */
#include "base/file.h"
#include "crypto/channel.h"
#include "crypto/feldman.h"
#include "crypto/maskkey.h"
#include "crypto/maskstream.h"
#include "crypto/pack.h"
#include "crypto/quantise.h"
#include "crypto/shamir.h"
#include "tests/unit/crypto/vectors.h"

#define GOLDEN RN_SOURCE_DIR "/tests/unit/crypto/golden_crypto.txt"
#define GOLDEN_BYTES_MAX 65536
#define MEMBERS 3
#define COUNT 40
#define FIRST 4090 /* the range crosses the border of a 16 KiB piece */
#define BITS_U32 19
#define BITS_U64 45

static const uint32_t places[MEMBERS] = {0, 3, 7};
static const struct rn_quantiser quantiser = {16, -3};

static struct rn_buffer golden;

static int read_golden(void **state)
{
    (void)state;
    return rn_is_ok(rn_file_read(GOLDEN, GOLDEN_BYTES_MAX, &golden, NULL)) ? 0 : -1;
}
static int clear_golden(void **state)
{
    (void)state;
    rn_buffer_clear(&golden);
    return 0;
}

/* The bytes of the line `name hex`, which must be exactly length many. */
static void golden_bytes(const char *name, void *out, size_t length)
{
    char wanted[64];
    char hex[2 * 4 * COUNT * 2 + 1];
    assert_true(rn_text_format(wanted, sizeof(wanted), "\n%s ", name));
    const char *line = strstr(rn_buffer_text(&golden), wanted);
    assert_non_null(line);
    line += strlen(wanted);
    const size_t digits = strcspn(line, "\n");
    assert_int_equal(digits, 2 * length);
    assert_true(digits < sizeof(hex));
    memcpy(hex, line, digits);
    hex[digits] = '\0';
    assert_true(rn_hex_decode(out, length, hex));
}

static void assert_golden(const char *name, const void *bytes, size_t length)
{
    uint8_t wanted[512];
    assert_true(length <= sizeof(wanted));
    golden_bytes(name, wanted, length);
    assert_memory_equal(bytes, wanted, length);
}

/* The line `name.index`. */
static void assert_golden_of(const char *name, unsigned index, const void *bytes, size_t length)
{
    char full[64];
    assert_true(rn_text_format(full, sizeof(full), "%s.%u", name, index));
    assert_golden(full, bytes, length);
}

/* What one member knows. */
struct member {
    struct rn_scalar mask_secret;
    struct rn_scalar self_seed;
    struct rn_point mask_public;
};

static struct rn_mask_context mask_context(void)
{
    struct rn_mask_context context;
    memset(context.session, 0x51, sizeof(context.session));
    memset(context.transcript, 0x71, sizeof(context.transcript));
    return context;
}

static void make_members(struct member out[static MEMBERS])
{
    for (unsigned m = 0; m < MEMBERS; m++) {
        const struct rn_secret32 key = key_of(10 * m + 1);
        struct rn_stream stream;
        rn_stream_init(&stream, &key);
        rn_scalar_draw(&stream, &out[m].mask_secret);
        rn_scalar_draw(&stream, &out[m].self_seed);
        rn_point_of_scalar(&out[m].mask_secret, &out[m].mask_public);
    }
}

/* Every mask of member m, in one set; compares the keys on the way. */
static struct rn_mask_set *masks_of(const struct member *members, unsigned m)
{
    const struct rn_mask_context context = mask_context();
    struct rn_mask_set *set = rn_mask_set_new(MEMBERS);
    struct rn_secret32 key;
    rn_mask_key_self(&context, &members[m].self_seed, places[m], &key);
    assert_golden_of("self_key", m, key.bytes, sizeof(key.bytes));
    assert_ok(rn_mask_set_insert(set, &key, 1, NULL));
    for (unsigned j = 0; j < MEMBERS; j++) {
        if (j == m) {
            continue;
        }
        char name[64];
        assert_ok(rn_mask_key_pair(&context, &members[m].mask_secret, places[m],
                                   &members[j].mask_public, places[j], &key, NULL));
        assert_true(
            rn_text_format(name, sizeof(name), "pair_key.%u.%u", j < m ? j : m, j < m ? m : j));
        assert_golden(name, key.bytes, sizeof(key.bytes));
        assert_ok(rn_mask_set_insert(set, &key, rn_mask_sign(places[m], places[j]), NULL));
    }
    return set;
}

static void upload_of_member(const struct member *members, unsigned m, uint64_t *sums)
{
    char name[64];
    uint8_t raw[4 * COUNT];
    float values[COUNT];
    uint32_t narrow[COUNT];
    uint64_t wide[COUNT];
    uint8_t packed[8 * COUNT];
    const struct rn_secret32 key = key_of(100 + m);
    assert_golden_of("point", m, members[m].mask_public.bytes, RN_POINT_BYTES);
    assert_true(rn_text_format(name, sizeof(name), "values.%u", m));
    golden_bytes(name, raw, sizeof(raw));
    struct rn_reader reader = rn_reader_of(rn_view_of(raw, sizeof(raw)));
    for (unsigned e = 0; e < COUNT; e++) {
        const uint32_t bits = rn_read_u32(&reader);
        memcpy(&values[e], &bits, sizeof(bits));
    }
    assert_ok(rn_quantise_u32(&quantiser, &key, values, FIRST, COUNT, narrow, NULL, NULL));
    rn_pack_u32(packed, 32, narrow, COUNT);
    assert_golden_of("quantised", m, packed, 4 * COUNT);
    for (unsigned e = 0; e < COUNT; e++) {
        wide[e] = narrow[e];
        sums[e] += narrow[e];
    }
    RN_CLEANUP(rn_mask_set_free_cleanup) struct rn_mask_set *set = masks_of(members, m);
    assert_ok(rn_mask_set_add_u32(set, narrow, FIRST, COUNT, NULL));
    assert_ok(rn_mask_set_add_u64(set, wide, FIRST, COUNT, NULL));
    rn_pack_u32(packed, BITS_U32, narrow, COUNT);
    assert_golden_of("masked_u32", m, packed, rn_pack_size(COUNT, BITS_U32));
    rn_pack_u64(packed, BITS_U64, wide, COUNT);
    assert_golden_of("masked_u64", m, packed, rn_pack_size(COUNT, BITS_U64));
}

/* case 34 */
static void masking_session(void **state)
{
    (void)state;
    struct member members[MEMBERS];
    uint64_t sums[COUNT] = {0};
    float mean[COUNT];
    uint8_t packed[4 * COUNT];
    uint64_t bits[COUNT];
    make_members(members);
    for (unsigned m = 0; m < MEMBERS; m++) {
        upload_of_member(members, m, sums);
    }
    rn_pack_u64(packed, 32, sums, COUNT);
    assert_golden("sum", packed, sizeof(packed));
    assert_ok(rn_quantise_mean(&quantiser, sums, COUNT, MEMBERS, mean, NULL));
    for (unsigned e = 0; e < COUNT; e++) {
        uint32_t word = 0;
        memcpy(&word, &mean[e], sizeof(word));
        bits[e] = word;
    }
    rn_pack_u64(packed, 32, bits, COUNT);
    assert_golden("mean", packed, sizeof(packed));
}

/* case 34 */
static void sharing(void **state)
{
    (void)state;
    static const uint32_t holders[4] = {0, 3, 7, 1023};
    const struct rn_secret32 key = key_of(200);
    struct member members[MEMBERS];
    struct rn_stream stream;
    struct rn_scalar shares[4];
    make_members(members);
    rn_stream_init(&stream, &key);
    assert_ok(rn_shamir_share(&members[0].mask_secret, 3, holders, 4, &stream, shares, NULL));
    struct rn_scalar coefficients[3];
    struct rn_point commitments[2];
    struct rn_point constant;
    rn_stream_init(&stream, &key);
    rn_shamir_draw(&members[0].mask_secret, 3, &stream, coefficients);
    rn_feldman_commit(coefficients, 3, commitments);
    rn_point_of_scalar(&members[0].mask_secret, &constant);
    for (unsigned k = 0; k < 2; k++) {
        assert_golden_of("coefficient", k + 1, commitments[k].bytes, RN_POINT_BYTES);
    }
    for (unsigned k = 0; k < 4; k++) {
        struct rn_point expected;
        assert_golden_of("share", holders[k], shares[k].bytes, RN_SCALAR_BYTES);
        assert_ok(rn_feldman_evaluate(&constant, rn_view_of(commitments, sizeof(commitments)),
                                      holders[k], &expected, NULL));
        assert_golden_of("share_point", holders[k], expected.bytes, RN_POINT_BYTES);
    }
}

/* case 34 */
static void channel(void **state)
{
    (void)state;
    static const char plain[] = "two shares and their places";
    struct rn_channel_context context = {{0}, {0}, 0, 3};
    memset(context.session, 0x51, sizeof(context.session));
    memset(context.transcript, 0x70, sizeof(context.transcript));
    struct rn_secret32 secrets[2];
    struct rn_channel_public publics[2];
    for (unsigned k = 0; k < 2; k++) {
        const struct rn_secret32 key = key_of(50 + k);
        struct rn_stream stream;
        rn_stream_init(&stream, &key);
        rn_channel_generate(&stream, &secrets[k], &publics[k]);
    }
    assert_golden("channel_public", publics[1].bytes, RN_CHANNEL_PUBLIC_BYTES);
    uint8_t sealed[sizeof(plain) - 1 + RN_CHANNEL_OVERHEAD];
    assert_ok(
        rn_channel_seal(&secrets[0], &publics[1], &context, rn_view_text(plain), sealed, NULL));
    assert_golden("sealed", sealed, sizeof(sealed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masking_session),
        cmocka_unit_test(sharing),
        cmocka_unit_test(channel),
    };
    return cmocka_run_group_tests(tests, read_golden, clear_golden);
}
