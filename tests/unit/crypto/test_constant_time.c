/* SPDX-License-Identifier: Apache-2.0
 *
 * No secret reaches a branch or an address (the method of Langley's ctgrind): secrets are marked as
 * uninitialised memory, and valgrind's memcheck reports every jump and every index that depends on
 * them. Outcomes that are public by design (a verdict such as "the scalar is not canonical") are
 * listed one by one in constant_time.supp.
 *
 * The program starts itself under valgrind. It is skipped where valgrind, its headers or a plain
 * (unsanitised) build are missing.
 */
#include "crypto/channel.h"
#include "crypto/feldman.h"
#include "crypto/identity.h"
#include "crypto/kdf.h"
#include "crypto/maskkey.h"
#include "crypto/maskstream.h"
#include "crypto/maskvaes.h"
#include "crypto/pack.h"
#include "crypto/quantise.h"
#include "crypto/setup.h"
#include "crypto/shamir.h"
#include "tests/unit/crypto/vectors.h"

#define SKIPPED 77
#define SUPPRESSIONS RN_SOURCE_DIR "/tests/unit/crypto/constant_time.supp"

#if !defined(__has_include)
#define MISSING "the compiler cannot tell whether valgrind's headers are installed"
#elif !__has_include(<valgrind/memcheck.h>)
#define MISSING "valgrind/memcheck.h was not installed when this test was built"
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MISSING "sanitised programs do not run under valgrind"
#endif

#ifdef MISSING

int main(void)
{
    (void)printf("skipped: %s\n", MISSING);
    return SKIPPED;
}

#else

#include <valgrind/memcheck.h>

#define HIDE(object) (void)VALGRIND_MAKE_MEM_UNDEFINED(&(object), sizeof(object))
#define SHOW(object) (void)VALGRIND_MAKE_MEM_DEFINED(&(object), sizeof(object))

static struct rn_secret32 hidden_key(unsigned fill)
{
    struct rn_secret32 key = key_of(fill);
    HIDE(key);
    return key;
}

static struct rn_scalar hidden_scalar(unsigned fill)
{
    const struct rn_secret32 key = hidden_key(fill);
    struct rn_stream stream;
    struct rn_scalar scalar;
    rn_stream_init(&stream, &key);
    rn_scalar_draw(&stream, &scalar);
    return scalar;
}

static struct rn_point public_point(unsigned fill)
{
    struct rn_scalar scalar = hidden_scalar(fill);
    struct rn_point point;
    rn_point_of_scalar(&scalar, &point);
    SHOW(point);
    return point;
}

static void comparison(void)
{
    struct rn_secret32 a = hidden_key(1);
    struct rn_secret32 b = hidden_key(1);
    bool same = rn_secret_equal(&a, &b, sizeof(a));
    bool zero = rn_secret_is_zero(&a, sizeof(a));
    SHOW(same);
    SHOW(zero);
    assert_true(same);
    assert_false(zero);
    rn_secret32_clear(&a);
}

static void scalars(void)
{
    const struct rn_scalar a = hidden_scalar(1);
    const struct rn_scalar b = hidden_scalar(2);
    struct rn_scalar c;
    rn_scalar_add(&a, &b, &c);
    rn_scalar_sub(&c, &a, &c);
    rn_scalar_mul(&c, &a, &c);
    rn_scalar_invert(&c, &c);
    bool same = rn_scalar_equal(&c, &a);
    SHOW(same);
    assert_false(same);
    assert_ok(rn_scalar_parse(a.bytes, false, &c, NULL));
}

static void group(void)
{
    const struct rn_point peer = public_point(3);
    const struct rn_scalar own = hidden_scalar(4);
    struct rn_secret32 shared;
    assert_ok(rn_point_agree(&own, &peer, &shared, NULL));
}

static void sharing(void)
{
    static const uint32_t holders[5] = {0, 4, 2, 9, 77};
    const struct rn_secret32 key = hidden_key(5);
    struct rn_scalar secret = hidden_scalar(6);
    struct rn_scalar shares[5];
    struct rn_scalar rebuilt;
    struct rn_stream stream;
    rn_stream_init(&stream, &key);
    assert_ok(rn_shamir_share(&secret, 3, holders, 5, &stream, shares, NULL));
    assert_ok(rn_shamir_reconstruct(holders + 1, shares + 1, 3, &rebuilt, NULL));
    bool same = rn_scalar_equal(&secret, &rebuilt);
    SHOW(same);
    assert_true(same);
    struct rn_scalar coefficients[3];
    struct rn_point commitments[2];
    struct rn_point constant;
    struct rn_point expected;
    rn_shamir_draw(&secret, 3, &stream, coefficients);
    rn_feldman_commit(coefficients, 3, commitments);
    rn_point_commit(&secret, &constant);
    SHOW(commitments);
    SHOW(constant);
    for (unsigned k = 0; k < 5; k++) {
        rn_shamir_evaluate(coefficients, 3, holders[k], &shares[k]);
        assert_ok(rn_feldman_evaluate(&constant, rn_view_of(commitments, sizeof(commitments)),
                                      holders[k], &expected, NULL));
        bool fits = rn_feldman_matches(&expected, &shares[k]);
        SHOW(fits);
        assert_true(fits);
    }
}

static void masks(void)
{
    const struct rn_mask_context context = {{1}, {2}};
    const struct rn_point peer = public_point(7);
    const struct rn_scalar own = hidden_scalar(8);
    struct rn_secret32 key;
    uint32_t lanes[100] = {0};
    HIDE(lanes);
    assert_ok(rn_mask_key_pair(&context, &own, 1, &peer, 2, &key, NULL));
    assert_ok(rn_mask_add_u32(lanes, 3, RN_ARRAY_LENGTH(lanes), &key, -1, NULL));
    rn_mask_key_self(&context, &own, 1, &key);
    assert_ok(rn_mask_add_u32(lanes, 3, RN_ARRAY_LENGTH(lanes), &key, 1, NULL));
}

/* The fused kernel's key schedule. Its rounds are one straight line of instructions that valgrind
 * does not know: valgrind's processor has no VAES, so that the masks above are OpenSSL's. */
static void mask_schedule(void)
{
#if defined(__x86_64__)
    const struct rn_secret32 key = hidden_key(12);
    struct rn_mask_schedule schedule;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("aes")) {
        rn_mask_vaes_schedule(&key, &schedule);
        rn_secret_wipe(&schedule, sizeof(schedule));
    }
#endif
}

/* An update on its way out and a masked sum on its way in; bits that whole words do not hold too.
 */
static void update(void)
{
    static const unsigned widths[] = {21, 32, 61};
    static const struct rn_quantiser quantiser = {16, -3};
    const struct rn_secret32 key = hidden_key(13);
    float values[101] = {0.01f, -0.3f};
    uint64_t lanes[RN_ARRAY_LENGTH(values)];
    uint8_t packed[sizeof(lanes)];
    uint64_t clipped = 0;
    HIDE(values);
    assert_ok(rn_quantise_look(&quantiser, values, 5, RN_ARRAY_LENGTH(values), &clipped, NULL));
    assert_ok(rn_quantise_u64(&quantiser, &key, values, 5, RN_ARRAY_LENGTH(values), lanes, &clipped,
                              NULL));
    assert_ok(rn_mask_add_u64(lanes, 3, RN_ARRAY_LENGTH(lanes), &key, 1, NULL));
    for (size_t w = 0; w < RN_ARRAY_LENGTH(widths); w++) {
        rn_pack_u64(packed, widths[w], lanes, RN_ARRAY_LENGTH(lanes));
    }
}

static void channel(void)
{
    const struct rn_channel_context context = {{1}, {2}, 3, 4};
    struct rn_secret32 a = hidden_key(9);
    struct rn_secret32 b = hidden_key(10);
    struct rn_channel_public big_a;
    struct rn_channel_public big_b;
    uint8_t plain[100] = {0};
    uint8_t sealed[sizeof(plain) + RN_CHANNEL_OVERHEAD];
    rn_channel_public_of(&a, &big_a);
    rn_channel_public_of(&b, &big_b);
    SHOW(big_a);
    SHOW(big_b);
    HIDE(plain);
    const struct rn_view view = rn_view_of(plain, sizeof(plain));
    assert_ok(rn_channel_seal(&a, &big_b, &context, view, sealed, NULL));
    SHOW(sealed);
    assert_ok(
        rn_channel_open(&b, &big_a, &context, rn_view_of(sealed, sizeof(sealed)), plain, NULL));
}

static void signing(void)
{
    struct rn_secret32 seed = hidden_key(11);
    uint8_t signature[RN_SIGNATURE_BYTES];
    RN_CLEANUP(rn_identity_free_cleanup)
    struct rn_identity *identity = rn_identity_from_seed(&seed);
    rn_identity_sign(identity, "rondo/v1 test", rn_view_text("message"), signature);
}

/* What a fault would look like: the search for the first zero byte stops early. */
static void control(void)
{
    const struct rn_secret32 key = hidden_key(1);
    volatile unsigned found = 0;
    for (unsigned k = 0; k < sizeof(key.bytes) && found == 0; k++) {
        if (key.bytes[k] == 5) {
            found = k;
        }
    }
}

/* Runs body and returns how many dependences memcheck saw. */
static unsigned faults_of(void (*body)(void))
{
    const unsigned before = (unsigned)VALGRIND_COUNT_ERRORS;
    body();
    return (unsigned)VALGRIND_COUNT_ERRORS - before;
}

#define CONSTANT_TIME(name)                           \
    static void name##_is_constant_time(void **state) \
    {                                                 \
        (void)state;                                  \
        assert_int_equal(faults_of(name), 0);         \
    }
CONSTANT_TIME(comparison)
CONSTANT_TIME(scalars)
CONSTANT_TIME(group)
CONSTANT_TIME(sharing)
CONSTANT_TIME(masks)
CONSTANT_TIME(mask_schedule)
CONSTANT_TIME(update)
CONSTANT_TIME(channel)
CONSTANT_TIME(signing)

/* case 40 */
static void a_fault_is_seen(void **state)
{
    (void)state;
    (void)fprintf(stderr, "the reports that follow, of `control`, are expected:\n");
    assert_true(faults_of(control) > 0);
}

static int start_under_valgrind(const char *self)
{
    const char *const arguments[] = {"valgrind", "--quiet", "--suppressions=" SUPPRESSIONS, self,
                                     NULL};
    char *copies[RN_ARRAY_LENGTH(arguments)];
    memcpy(copies, arguments, sizeof(arguments));
    (void)execvp("valgrind", copies);
    (void)printf("skipped: valgrind is not installed\n");
    return SKIPPED;
}

int main(int argc, char **argv)
{
    (void)argc;
    if (!RUNNING_ON_VALGRIND) {
        return start_under_valgrind(argv[0]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparison_is_constant_time),
        cmocka_unit_test(scalars_is_constant_time),
        cmocka_unit_test(group_is_constant_time),
        cmocka_unit_test(sharing_is_constant_time),
        cmocka_unit_test(masks_is_constant_time),
        cmocka_unit_test(mask_schedule_is_constant_time),
        cmocka_unit_test(update_is_constant_time),
        cmocka_unit_test(channel_is_constant_time),
        cmocka_unit_test(signing_is_constant_time),
        cmocka_unit_test(a_fault_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
