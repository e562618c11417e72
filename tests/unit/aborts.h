/* SPDX-License-Identifier: Apache-2.0
 *
 * A check that a call aborts, and cmocka with its includes.
 */
#ifndef RN_TESTS_UNIT_ABORTS_H
#define RN_TESTS_UNIT_ABORTS_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

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
