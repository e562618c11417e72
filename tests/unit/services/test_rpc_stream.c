/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams between honest ends: both dial directions, bulk data, orderly ends, backpressure.
 */
#include "services/rpc/rpc_core.h"
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

#define CHUNKS 64U

/* Sends what the queue takes; the chunk number is in every byte. */
static void push_chunks(struct rn_rpc_stream *stream, unsigned *next, const uint8_t *chunks)
{
    while (*next < CHUNKS) {
        const struct rn_view body = rn_view_of(chunks + (size_t)*next * 4096, RN_RPC_CHUNK_MAX);
        const rn_result sent = rn_rpc_stream_send2(stream, rn_view_of(next, sizeof(*next)), body);
        if (!rn_is_ok(sent)) {
            assert_int_equal(sent.code, RN_E_BUSY);
            return;
        }
        (*next)++;
    }
}

/* 64 MiB from one end to the other; the queue's limit throttles the sender. */
static void bulk_transfer(bool from_server)
{
    struct end server = {0};
    struct end client = {0};
    end_serve(&server, "coordinator", 0);
    end_open(&client, "alpha");
    end_dial(&client, server.port, COORDINATOR, true);
    WAIT_FOR(&server, &client, client.bulk != NULL && server.bulk != NULL);
    assert_int_equal(server.opened, 2);
    assert_ptr_equal(rn_rpc_stream_link(client.bulk), client.link);
    assert_null(rn_rpc_stream_link(server.bulk));

    const size_t length = RN_RPC_CHUNK_MAX + (size_t)CHUNKS * 4096;
    uint8_t *chunks = rn_alloc(length, 1);
    uint64_t expected = 0;
    for (size_t i = 0; i < length; i++) {
        chunks[i] = (uint8_t)(i * 2654435761U >> 24);
    }
    for (unsigned n = 0; n < CHUNKS; n++) {
        expected += n;
        for (size_t i = 0; i < RN_RPC_CHUNK_MAX; i++) {
            expected += chunks[(size_t)n * 4096 + i];
        }
    }
    struct end *sender = from_server ? &server : &client;
    struct end *receiver = from_server ? &client : &server;
    unsigned next = 0;
    const uint64_t patience = rn_clock_monotonic_ms() + PATIENCE_MS;
    while (receiver->messages < CHUNKS && rn_clock_monotonic_ms() < patience) {
        push_chunks(sender->bulk, &next, chunks);
        step_both(&server, &client);
    }
    rn_free(chunks);
    assert_int_equal(receiver->messages, CHUNKS);
    assert_int_equal(receiver->bytes, (size_t)CHUNKS * (RN_RPC_CHUNK_MAX + sizeof(next)));
    assert_int_equal(receiver->sum, expected);
    assert_true(sender->writable > 0);
    uint64_t sent = 0;
    uint64_t received = 0;
    WAIT_FOR(&server, &client,
             (rn_rpc_stream_traffic(sender->bulk, &sent, &received), sent == receiver->bytes));
    rn_rpc_stream_traffic(receiver->bulk, &sent, &received);
    assert_int_equal(received, receiver->bytes);
    both_close(&client, &server);
}

static void test_bulk_up(void **state)
{
    (void)state;
    bulk_transfer(false);
}

static void test_bulk_down(void **state)
{
    (void)state;
    bulk_transfer(true);
}

static void pair_open(struct end *server, struct end *client)
{
    memset(server, 0, sizeof(*server));
    end_serve(server, "coordinator", 0);
    end_open(client, "alpha");
    end_dial(client, server->port, COORDINATOR, false);
    WAIT_FOR(server, client, client->session != NULL && server->session != NULL);
}

/* A message at the limit arrives, one beyond it is refused where it is sent. */
static void test_message_limit(void **state)
{
    (void)state;
    struct end server;
    struct end client;
    pair_open(&server, &client);
    uint8_t *message = rn_alloc(RN_RPC_MESSAGE_MAX + 1, 1);
    assert_true(
        rn_is_ok(rn_rpc_stream_send(client.session, rn_view_of(message, RN_RPC_MESSAGE_MAX))));
    assert_int_equal(
        rn_rpc_stream_send(client.session, rn_view_of(message, RN_RPC_MESSAGE_MAX + 1)).code,
        RN_E_PEER_LIMIT);
    assert_int_equal(rn_rpc_stream_send2(client.session, rn_view_of(message, 1),
                                         rn_view_of(message, RN_RPC_MESSAGE_MAX))
                         .code,
                     RN_E_PEER_LIMIT);
    rn_free(message);
    WAIT_FOR(&server, &client, server.messages == 1);
    assert_int_equal(server.bytes, RN_RPC_MESSAGE_MAX);
    both_close(&client, &server);
}

static void test_queue_limits(void **state)
{
    (void)state;
    struct end server;
    struct end client;
    pair_open(&server, &client);
    size_t messages = 0;
    size_t bytes = 0;
    for (unsigned i = 0; i < RN_RPC_QUEUE_MESSAGES_MAX; i++) {
        assert_true(rn_is_ok(rn_rpc_stream_send(client.session, rn_view_text("x"))));
    }
    rn_rpc_stream_queued(client.session, &messages, &bytes);
    assert_int_equal(messages, RN_RPC_QUEUE_MESSAGES_MAX);
    assert_int_equal(rn_rpc_stream_send(client.session, rn_view_text("x")).code, RN_E_BUSY);
    WAIT_FOR(&server, &client, server.messages == RN_RPC_QUEUE_MESSAGES_MAX);
    WAIT_FOR(&server, &client, client.writable == 1);

    uint8_t *message = rn_alloc(RN_RPC_CHUNK_MAX, 1);
    const unsigned fit = (unsigned)(RN_RPC_QUEUE_BYTES_MAX / RN_RPC_CHUNK_MAX);
    for (unsigned i = 0; i < fit; i++) {
        assert_true(
            rn_is_ok(rn_rpc_stream_send(client.session, rn_view_of(message, RN_RPC_CHUNK_MAX))));
    }
    assert_int_equal(rn_rpc_stream_send(client.session, rn_view_of(message, 1)).code, RN_E_BUSY);
    rn_free(message);
    WAIT_FOR(&server, &client, server.messages == RN_RPC_QUEUE_MESSAGES_MAX + fit);
    both_close(&client, &server);
}

/* A reader that does not read stalls the sender; nothing is lost. */
static void test_pause(void **state)
{
    (void)state;
    struct end server;
    struct end client;
    memset(&server, 0, sizeof(server));
    end_open(&server, "coordinator");
    server.pause = true;
    end_serve(&server, "coordinator", 0);
    end_open(&client, "alpha");
    end_dial(&client, server.port, COORDINATOR, false);
    WAIT_FOR(&server, &client, client.session != NULL && server.session != NULL);
    uint8_t *message = rn_alloc(RN_RPC_CHUNK_MAX, 1);
    unsigned sent = 0;
    for (unsigned i = 0; i < 100; i++) {
        while (
            rn_is_ok(rn_rpc_stream_send(client.session, rn_view_of(message, RN_RPC_CHUNK_MAX)))) {
            sent++;
        }
        step_both(&server, &client);
    }
    rn_free(message);
    assert_int_equal(server.messages, 0);
    assert_true(sent < 32); /* the queue plus a few messages of window */
    rn_rpc_stream_resume(server.session);
    WAIT_FOR(&server, &client, server.messages == sent);
    both_close(&client, &server);
}

/* Who closes in order sends what is queued; both see a clean end. */
static void orderly_end(bool by_server)
{
    struct end server;
    struct end client;
    pair_open(&server, &client);
    struct end *closer = by_server ? &server : &client;
    struct end *other = by_server ? &client : &server;
    rn_rpc_link_set_user(client.link, &client);
    assert_ptr_equal(rn_rpc_link_user(client.link), &client);
    for (unsigned i = 0; i < 20; i++) {
        assert_true(rn_is_ok(rn_rpc_stream_send(closer->session, rn_view_text("last words"))));
    }
    rn_rpc_stream_close(closer->session, rn_ok());
    assert_int_equal(rn_rpc_stream_send(closer->session, rn_view_text("too late")).code,
                     RN_E_UNAVAILABLE);
    assert_int_equal(closer->closed, 0); /* not from inside the call */
    WAIT_FOR(&server, &client, server.closed == 1 && client.closed >= 1);
    assert_int_equal(other->messages, 20);
    assert_true(server.ended.clean);
    assert_true(client.ended.clean);
    assert_true(rn_is_ok(server.ended.result));
    assert_true(rn_is_ok(client.ended.result));
    assert_int_equal(closer->ended.local, true);
    assert_int_equal(other->ended.local, false);
    /* A link brings the session back. */
    WAIT_FOR(&server, &client, server.opened == 2 && client.opened == 2);
    rn_rpc_link_drop(client.link);
    WAIT_FOR(&server, &client, server.closed == 2 && client.closed == 2);
    assert_false(server.ended.clean);
    both_close(&client, &server);
}

static void test_end_by_client(void **state)
{
    (void)state;
    orderly_end(false);
}

static void test_end_by_server(void **state)
{
    (void)state;
    orderly_end(true);
}

/* The dialled side's reason reaches the peer by name, and its class decides what to do next. */
static void test_reason_travels(void **state)
{
    (void)state;
    static const struct {
        enum rn_code said;
        enum rn_code means;
    } rows[] = {
        {RN_E_PEER_FORMAT, RN_E_BUSY},        {RN_E_PEER_AUTH, RN_E_PERMISSION},
        {RN_E_PEER_REPLAY, RN_E_BUSY},        {RN_E_ROUND_STALE, RN_E_ROUND_STALE},
        {RN_E_UNAVAILABLE, RN_E_UNAVAILABLE}, {RN_E_UNSUPPORTED, RN_E_UNSUPPORTED},
        {RN_E_INTERNAL, RN_E_UNAVAILABLE},    {RN_E_REFUSED, RN_E_REFUSED},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        struct end server;
        struct end client;
        pair_open(&server, &client);
        rn_rpc_stream_close(server.session, (rn_result){rows[i].said});
        WAIT_FOR(&server, &client, client.closed == 1 && server.closed == 1);
        assert_false(client.ended.clean);
        assert_int_equal(client.ended.peer_said, rows[i].said);
        assert_int_equal(client.ended.result.code, rows[i].means);
        assert_int_equal(server.ended.result.code, rows[i].said);
        assert_true(server.ended.local);
        both_close(&client, &server);
    }
}

/* The dialling side's refusal reaches the other as a broken stream. */
static void test_client_fails_stream(void **state)
{
    (void)state;
    struct end server;
    struct end client;
    pair_open(&server, &client);
    rn_rpc_stream_close(client.session, (rn_result){RN_E_PEER_PROTOCOL});
    WAIT_FOR(&server, &client, client.closed == 1 && server.closed == 1);
    assert_false(server.ended.clean);
    assert_false(server.ended.local);
    assert_int_equal(server.ended.result.code, RN_E_UNAVAILABLE);
    assert_int_equal(client.ended.result.code, RN_E_PEER_PROTOCOL);
    both_close(&client, &server);
}

/* The server's process restarts under an open session; the client comes back by itself. */
static void test_restart(void **state)
{
    (void)state;
    struct end server;
    struct end client;
    pair_open(&server, &client);
    const uint16_t port = server.port;
    rn_rpc_close(server.rpc);
    memset(&server, 0, sizeof(server));
    WAIT_FOR(&client, NULL, client.closed == 1);
    assert_false(client.ended.clean);
    assert_int_equal(rn_class_of(client.ended.result), RN_CLASS_RETRY);
    WAIT_FOR(&client, NULL, client.links_down >= 2); /* nobody there for a while */
    assert_int_equal(rn_class_of(client.down.result), RN_CLASS_RETRY);
    end_serve(&server, "coordinator", port);
    server.echo = true;
    WAIT_FOR(&server, &client, client.opened == 2 && client.session != NULL);
    assert_true(rn_is_ok(rn_rpc_stream_send(client.session, rn_view_text("again"))));
    WAIT_FOR(&server, &client, client.messages == 1);
    both_close(&client, &server);
}

/* Shutdown leaves open streams their grace, and says not serving at once. */
static void test_shutdown_in_flight(void **state)
{
    (void)state;
    struct end server;
    struct end client;
    pair_open(&server, &client);
    server.echo = true;
    rn_rpc_stop(server.rpc, 60000);
    WAIT_FOR(&server, &client, rn_rpc_is_stopping(server.rpc));
    assert_true(rn_is_ok(rn_rpc_stream_send(client.session, rn_view_text("still there?"))));
    WAIT_FOR(&server, &client, client.messages == 1);
    /* A late comer is turned away. */
    struct end late;
    end_open(&late, "beta");
    end_dial(&late, server.port, COORDINATOR, false);
    WAIT_FOR(&server, &late, late.links_down > 0);
    assert_int_equal(rn_class_of(late.down.result), RN_CLASS_RETRY);
    end_close(&late);
    /* The second stop shortens the grace. */
    rn_rpc_stop(server.rpc, 0);
    WAIT_FOR(&client, &server, !rn_rpc_step(server.rpc, 0));
    assert_int_equal(server.closed, 1);
    assert_true(server.ended.local);
    assert_int_equal(rn_rpc_live_calls(server.rpc), 0);
    end_close(&server);
    WAIT_FOR(&client, NULL, client.closed == 1);
    assert_int_equal(rn_class_of(client.ended.result), RN_CLASS_RETRY);
    end_close(&client);
}

/* --- renewal ---------------------------------------------------------------------------------- */

/* Between the whole and the whole less the named part, both reached, and not always the same. */
static void test_jitter(void **state)
{
    (void)state;
    for (uint64_t i = 0; i <= 250; i++) {
        assert_int_equal(rn_rpc_jittered(1000, 25, i), 1000 - i);
    }
    assert_int_equal(rn_rpc_jittered(1000, 25, 251), 1000);
    assert_int_equal(rn_rpc_jittered(1000, 0, UINT64_MAX), 1000);
    assert_in_range(rn_rpc_jittered(2700000, RN_RPC_RENEWAL_JITTER_PERCENT, UINT64_MAX), 2025000,
                    2700000);
    unsigned differ = 0;
    const uint64_t first = rn_rpc_jitter(2700000, RN_RPC_RENEWAL_JITTER_PERCENT);
    for (unsigned i = 0; i < 1000; i++) {
        const uint64_t drawn = rn_rpc_jitter(2700000, RN_RPC_RENEWAL_JITTER_PERCENT);
        assert_in_range(drawn, 2025000, 2700000);
        differ += drawn != first ? 1U : 0U;
    }
    assert_true(differ > 900);
}

/* A client whose sessions have lived their time after a second. */
static void short_lived(struct end *server, struct end *client)
{
    struct rn_rpc_config config = end_config(client);
    config.stream_seconds = 1;
    memset(server, 0, sizeof(*server));
    end_serve(server, "coordinator", 0);
    assert_true(rn_is_ok(end_open_with(client, &config, "alpha", "ca", NULL)));
    end_dial(client, server->port, COORDINATOR, true);
    WAIT_FOR(server, client, client->bulk != NULL && server->bulk != NULL);
}

/* A session without traffic makes place for the next one, which stands at once. */
static void test_renewed_when_idle(void **state)
{
    (void)state;
    struct end server;
    struct end client;
    short_lived(&server, &client);
    WAIT_FOR(&server, &client, client.opened >= 4 && client.closed >= 2 && server.closed >= 2);
    assert_int_equal(client.links_down, 0);
    both_close(&client, &server);
}

/* Whether an upload that its receiver holds up for longer than the session's time arrives before
 * the session is renewed. */
static bool upload_outlives_session(void)
{
    struct end server;
    struct end client;
    short_lived(&server, &client);
    rn_rpc_stream_pause(server.bulk);
    uint8_t *chunk = rn_alloc(RN_RPC_CHUNK_MAX, 1);
    unsigned sent = 0;
    while (rn_is_ok(rn_rpc_stream_send(client.bulk, rn_view_of(chunk, RN_RPC_CHUNK_MAX)))) {
        sent++;
    }
    const uint64_t until = rn_clock_monotonic_ms() + 2500; /* session's time: one second */
    WAIT_FOR(&server, &client, rn_clock_monotonic_ms() > until);
    if (client.closed == 0) {
        rn_rpc_stream_resume(server.bulk);
        WAIT_FOR(&server, &client, server.messages == sent || client.closed > 0);
    }
    const bool whole = client.closed == 0;
    WAIT_FOR(&server, &client, client.opened >= 3); /* now it rests, and is renewed */
    rn_free(chunk);
    both_close(&client, &server);
    return whole;
}

/* On a machine that is busy enough the session's time is over before the upload begins, or the
 * receiver is so late that the sender seems to rest: not each time. */
static void test_not_renewed_in_upload(void **state)
{
    (void)state;
    bool whole = false;
    for (unsigned i = 0; i < 5 && !whole; i++) {
        whole = upload_outlives_session();
    }
    assert_true(whole);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_echo_member_dials),
    cmocka_unit_test(test_echo_coordinator_dials),
    cmocka_unit_test(test_bulk_up),
    cmocka_unit_test(test_bulk_down),
    cmocka_unit_test(test_message_limit),
    cmocka_unit_test(test_queue_limits),
    cmocka_unit_test(test_pause),
    cmocka_unit_test(test_end_by_client),
    cmocka_unit_test(test_end_by_server),
    cmocka_unit_test(test_reason_travels),
    cmocka_unit_test(test_client_fails_stream),
    cmocka_unit_test(test_restart),
    cmocka_unit_test(test_shutdown_in_flight),
    cmocka_unit_test(test_jitter),
    cmocka_unit_test(test_renewed_when_idle),
    cmocka_unit_test(test_not_renewed_in_upload),
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
