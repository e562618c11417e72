/* SPDX-License-Identifier: Apache-2.0
 *
 * No signal is lost between two event loops of one process: one that the first loop was over for is
 * counted, a later one reaches the second.
 */
#include <signal.h>

#include "services/host/sigwatch.h"
#include "tests/unit/services/rpc_fixture.h"

static void on_signal(void *context, unsigned count)
{
    *(unsigned *)context = count;
}

static void open_loop(struct end *end)
{
    end_open(end, "coordinator");
}

static void test_between_loops(void **state)
{
    (void)state;
    struct end first = {0};
    struct end second = {0};
    struct rn_sigwatch *watch = NULL;
    unsigned told = 0;
    open_loop(&first);
    assert_true(rn_is_ok(rn_sigwatch_new(first.rpc, on_signal, &told, &watch, NULL)));
    rn_rpc_stop(first.rpc, 0);
    rn_rpc_run(first.rpc);
    assert_int_equal(raise(SIGTERM), 0);
    rn_sigwatch_stop(watch);
    assert_int_equal(told, 0);
    assert_int_equal(rn_sigwatch_taken(watch), 1);
    assert_int_equal(raise(SIGHUP), 0);
    assert_int_equal(raise(SIGINT), 0);
    end_close(&first);
    rn_sigwatch_free(watch);
    open_loop(&second);
    assert_true(rn_is_ok(rn_sigwatch_new(second.rpc, on_signal, &told, &watch, NULL)));
    WAIT_FOR(&second, NULL, told == 1);
    rn_sigwatch_stop(watch);
    assert_int_equal(rn_sigwatch_taken(watch), 1);
    end_close(&second);
    rn_sigwatch_free(watch);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(test_between_loops)};

int main(void)
{
    if (!rn_is_ok(rn_sigwatch_setup(NULL)) || !rn_is_ok(rn_rpc_setup(NULL))) {
        return 1;
    }
    if (!certs_make()) {
        return 77;
    }
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    certs_remove();
    return failed;
}
