/* SPDX-License-Identifier: Apache-2.0
 *
 * Setup, secret memory, randomness and streams.
 */
#include "crypto/random.h"
#include "crypto/setup.h"
#include "tests/unit/crypto/vectors.h"

#include <sys/resource.h>

static void setup_forbids_core_dumps(void **state)
{
    (void)state;
    struct rn_error err = {""};
    assert_ok(rn_crypto_setup(&err));
    assert_ok(rn_crypto_setup(NULL)); /* again is harmless */
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
    assert_int_equal(limit.rlim_max, 0);
}

/* case 48. A user without privileges whose limit is 0 gets a refusal that names the limit. */
static void setup_refuses_without_locked_memory(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* sanitisers replace mlock by nothing */
#endif
    (void)fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        struct rn_error err = {""};
        const bool ready =
            setrlimit(RLIMIT_MEMLOCK, &none) == 0 && (geteuid() != 0 || setuid(65534) == 0);
        const rn_result result = rn_crypto_setup(&err);
        _exit(ready && result.code == RN_E_SYSTEM && strstr(err.text, "ulimit -l") != NULL ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void secret_memory_is_zeroed_and_aligned(void **state)
{
    (void)state;
    rn_secret_free(NULL);
    for (size_t size = 0; size < 70; size++) {
        uint8_t *memory = rn_secret_alloc(size);
        assert_int_equal((uintptr_t)memory % 16, 0);
        assert_true(rn_secret_is_zero(memory, size));
        memset(memory, 0xff, size);
        assert_true(size == 0 || !rn_secret_is_zero(memory, size));
        rn_secret_wipe(memory, size);
        assert_true(rn_secret_is_zero(memory, size));
        rn_secret_free(memory);
    }
    RN_CLEANUP(rn_secret_free_cleanup) struct rn_secret32 *held = rn_secret_alloc(sizeof(*held));
    *held = key_of(1);
    rn_secret32_clear(held);
    assert_true(rn_secret_is_zero(held, sizeof(*held)));
}

static void equality(void **state)
{
    (void)state;
    struct rn_secret32 a = key_of(3);
    struct rn_secret32 b = key_of(3);
    assert_true(rn_secret_equal(&a, &b, sizeof(a)));
    assert_true(rn_secret_equal(&a, &b, 0));
    for (unsigned bit = 0; bit < 256; bit++) {
        b.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(rn_secret_equal(&a, &b, sizeof(a)));
        b.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void system_randomness(void **state)
{
    (void)state;
    uint8_t a[1000] = {0};
    uint8_t b[1000] = {0};
    assert_ok(rn_random_bytes(a, sizeof(a), NULL)); /* getrandom gives at most 256 uninterrupted */
    assert_ok(rn_random_bytes(b, sizeof(b), NULL));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_false(rn_secret_is_zero(a + 900, 100));
    assert_ok(rn_random_bytes(a, 0, NULL));
}

/* case 34. D. J. Bernstein's original ChaCha20 with an all-zero key and nonce (the values are also
 * RFC 8439, A.1, vectors 1 and 2, where the counter is as small). */
static void stream_known_answer(void **state)
{
    (void)state;
    const struct rn_secret32 zero = {{0}};
    struct rn_stream stream;
    rn_stream_init(&stream, &zero);
    uint8_t out[128];
    rn_stream_read(&stream, out, sizeof(out));
    assert_hex(out, "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
                    "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586");
    assert_hex(out + 64, "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
                         "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f");
    rn_stream_clear(&stream);
    assert_true(rn_secret_is_zero(&stream, sizeof(stream)));
}

static void stream_is_seekable(void **state)
{
    (void)state;
    const struct rn_secret32 key = key_of(7);
    struct rn_stream stream;
    uint8_t whole[400];
    rn_stream_init(&stream, &key);
    rn_stream_read(&stream, whole, sizeof(whole));
    for (size_t from = 0; from < 200; from++) {
        for (size_t length = 0; length < 200; length += 7) {
            uint8_t part[200];
            rn_stream_seek(&stream, from);
            rn_stream_read(&stream, part, length / 2);
            rn_stream_read(&stream, part + length / 2, length - length / 2);
            assert_memory_equal(part, whole + from, length);
            assert_int_equal(stream.position, from + length);
        }
    }
    uint64_t words[2];
    rn_stream_seek(&stream, 8);
    rn_stream_words(&stream, words, 2);
    rn_stream_seek(&stream, 16);
    assert_true(rn_stream_u64(&stream) == words[1]);
    for (unsigned k = 0; k < 8; k++) {
        assert_int_equal((words[0] >> (8 * k)) & 255, whole[8 + k]);
    }
}

static void below_is_in_range_and_even(void **state)
{
    (void)state;
    const struct rn_secret32 key = key_of(9);
    struct rn_stream stream;
    rn_stream_init(&stream, &key);
    unsigned seen[6] = {0};
    for (unsigned k = 0; k < 60000; k++) {
        seen[rn_stream_below(&stream, 6)]++;
    }
    for (unsigned k = 0; k < 6; k++) { /* standard deviation is 91 */
        assert_in_range(seen[k], 10000 - 500, 10000 + 500);
    }
    assert_int_equal(rn_stream_below(&stream, 1), 0);
    for (unsigned k = 0; k < 100; k++) {
        assert_true(rn_stream_below(&stream, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setup_forbids_core_dumps),
        cmocka_unit_test(setup_refuses_without_locked_memory),
        cmocka_unit_test(secret_memory_is_zeroed_and_aligned),
        cmocka_unit_test(equality),
        cmocka_unit_test(system_randomness),
        cmocka_unit_test(stream_known_answer),
        cmocka_unit_test(stream_is_seekable),
        cmocka_unit_test(below_is_in_range_and_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
