/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams between honest ends: both dial directions, bulk data, orderly ends, backpressure.
 */
#include "tests/unit/services/rpc_fixture.h"

/* The server's and the client's part in one test, whoever is the coordinator. */
static void echo_between(const char *server_name, const char *server_id, const char *client_name,
                         const char *client_id)
{
    struct end server = {0};
    struct end client = {0};
    end_serve(&server, server_name, 0);
    server.echo = true;
    end_open(&client, client_name);
    end_dial(&client, server.port, server_id, false);
    WAIT_FOR(&server, &client, client.session != NULL && server.session != NULL);
    assert_string_equal(server.peer.id, client_id);
    assert_string_equal(client.peer.id, server_id);
    assert_true(server.peer.not_after_ms > rn_clock_wall_ms());
    assert_int_equal(server.authorized, 1);
    assert_int_equal(client.authorized, 1);

    assert_true(rn_is_ok(rn_rpc_stream_send(client.session, rn_view_text("hello"))));
    assert_true(rn_is_ok(rn_rpc_stream_send(client.session, rn_view_of("", 0))));
    assert_true(
        rn_is_ok(rn_rpc_stream_send2(client.session, rn_view_text("two "), rn_view_text("parts"))));
    WAIT_FOR(&server, &client, client.messages == 3);
    assert_int_equal(client.bytes, 5 + 0 + 9);
    assert_memory_equal(client.last, "two parts", 9);

    /* The dialled side speaks first just as well. */
    assert_true(rn_is_ok(rn_rpc_stream_send(server.session, rn_view_text("from the server"))));
    WAIT_FOR(&server, &client, client.messages == 4);
    assert_memory_equal(client.last, "from the server", 15);
    both_close(&client, &server);
}

static void test_echo_member_dials(void **state)
{
    (void)state;
    echo_between("coordinator", COORDINATOR, "alpha", ALPHA);
}

static void test_echo_coordinator_dials(void **state)
{
    (void)state;
    echo_between("alpha", ALPHA, "coordinator", COORDINATOR);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_echo_member_dials),
    cmocka_unit_test(test_echo_coordinator_dials),
};

int main(void)
{
    if (!rn_is_ok(rn_rpc_setup(NULL))) {
        return 1;
    }
    if (!certs_make()) {
        return 77;
    }
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    certs_remove();
    return failed;
}
