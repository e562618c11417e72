/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of crypto share: cmocka with its includes, hex literals, fixed keys, and a check
 * that a call aborts.
 */
#ifndef RN_TESTS_UNIT_CRYPTO_VECTORS_H
#define RN_TESTS_UNIT_CRYPTO_VECTORS_H

#include "base/bytes.h"
#include "base/guard.h"
#include "crypto/secret.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define assert_ok(call) assert_int_equal((call).code, RN_OK)
#define assert_code(call, wanted) assert_int_equal((call).code, (wanted))

/* Decodes a hex literal into out; returns its length. */
__attribute__((unused)) static size_t from_hex(void *out, const char *hex)
{
    const size_t length = strlen(hex) / 2;
    assert_true(rn_hex_decode(out, length, hex));
    return length;
}

__attribute__((unused)) static void assert_hex(const void *bytes, const char *hex)
{
    uint8_t wanted[256];
    assert_true(strlen(hex) <= 2 * sizeof(wanted));
    assert_memory_equal(bytes, wanted, from_hex(wanted, hex));
}

/* The key whose bytes are fill, fill + 1, ... */
__attribute__((unused)) static struct rn_secret32 key_of(unsigned fill)
{
    struct rn_secret32 key;
    for (unsigned k = 0; k < sizeof(key.bytes); k++) {
        key.bytes[k] = (uint8_t)(fill + k);
    }
    return key;
}

/* Runs body in a child and demands that it is ended by SIGABRT. */
__attribute__((unused)) static void assert_aborts(void (*body)(void))
{
    (void)fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        body();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

#endif
