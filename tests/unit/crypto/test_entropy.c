/* SPDX-License-Identifier: Apache-2.0
 *
 * case 48. The system's randomness when it is interrupted, comes in pieces, or does not come: an
 * error, and nothing that could be taken for a key (this program is linked with --wrap).
 */
#include "crypto/random.h"
#include "tests/unit/crypto/vectors.h"

#include <errno.h>
#include <sys/types.h>

/* What the next calls do: a positive number of bytes, 0, or an errno that is negative. */
static const int *plan;
static size_t calls;

ssize_t __wrap_getrandom(void *out, size_t length, unsigned flags);
ssize_t __wrap_getrandom(void *out, size_t length, unsigned flags)
{
    (void)flags;
    const int next = plan[calls++];
    if (next < 0) {
        errno = -next;
        return -1;
    }
    const size_t given = (size_t)next < length ? (size_t)next : length;
    memset(out, 0xab, given);
    return (ssize_t)given;
}

/* case 48 */
static void interruptions_and_pieces(void **state)
{
    (void)state;
    static const int pieces[] = {-EINTR, 5, -EINTR, -EINTR, 1, 26, 99};
    uint8_t bytes[33] = {0};
    uint8_t wanted[33] = {0};
    plan = pieces;
    calls = 0;
    memset(wanted, 0xab, 32);
    assert_ok(rn_random_bytes(bytes, 32, NULL));
    assert_int_equal(calls, 6);
    assert_memory_equal(bytes, wanted, sizeof bytes); /* 32 of them, and none beyond */
}

/* case 48 */
static void no_randomness_is_an_error(void **state)
{
    (void)state;
    static const int failures[][3] = {{-ENOSYS}, {0}, {31, -EIO}, {31, 0}, {-EINTR, 1, -EPERM}};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(failures); k++) {
        uint8_t bytes[32];
        static const uint8_t nothing[32] = {0};
        plan = failures[k];
        calls = 0;
        memset(bytes, 0x11, sizeof bytes);
        assert_code(rn_random_bytes(bytes, sizeof bytes, NULL), RN_E_SYSTEM);
        assert_memory_equal(bytes, nothing, sizeof bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interruptions_and_pieces),
        cmocka_unit_test(no_randomness_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
