/* SPDX-License-Identifier: Apache-2.0
 *
 * The peers' streams: chunks on their way to a Bulk stream.
 */
#include "services/host/peerstreams.h"
#include "tests/unit/services/rpc_fixture.h"

static struct rn_peerstreams *streams;

static int find(void *context, const struct rn_peer *peer)
{
    (void)context;
    (void)peer;
    return 0;
}

static void on_open(void *user, struct rn_rpc_stream *stream)
{
    end_opened(user, stream);
    rn_peerstreams_opened(streams, stream);
}

static void on_message(void *user, struct rn_rpc_stream *stream, struct rn_view message)
{
    (void)user;
    rn_peerstreams_message(streams, stream, message);
}

static void on_writable(void *user, struct rn_rpc_stream *stream)
{
    (void)user;
    rn_peerstreams_writable(streams, stream);
}

static void on_closed(void *user, struct rn_rpc_stream *stream, const struct rn_rpc_end *end)
{
    end_closed(user, stream, end);
    rn_peerstreams_closed(streams, stream, end);
}

/* A member's end whose streams are those of its peerstreams. */
static void member_open(struct end *member)
{
    struct rn_rpc_config config = end_config(member);
    config.callbacks.on_open = on_open;
    config.callbacks.on_message = on_message;
    config.callbacks.on_writable = on_writable;
    config.callbacks.on_closed = on_closed;
    assert_true(rn_is_ok(end_open_with(member, &config, "alpha", "ca", NULL)));
    rn_peerstreams_set_rpc(streams, member->rpc);
}

static void give_chunk(uint32_t number, const char *text)
{
    struct rn_executor_chunk chunk = {.peer = RN_SA_COORDINATOR, .chunk = number};
    rn_buffer_append(&chunk.message, text, strlen(text));
    rn_peerstreams_chunk(streams, &chunk);
}

/* case 10. A chunk that cannot be put into a message must not hold those behind it for ever. */
static void a_chunk_that_cannot_go_holds_nobody(void **state)
{
    (void)state;
    struct rn_loopmeter meter = {0};
    struct end coordinator = {0};
    struct end member = {0};
    const struct rn_executor_config inbox = {.peers = 1};
    struct rn_executor *executor = rn_executor_new(&inbox);
    const struct rn_peerstreams_config config = {.executor = executor,
                                                 .meter = &meter,
                                                 .peers = 1,
                                                 .content = RN_WIRE_MASKED_INPUT,
                                                 .find = find};
    streams = rn_peerstreams_new(&config);
    end_serve(&coordinator, "coordinator", 0);
    member_open(&member);
    end_dial(&member, coordinator.port, COORDINATOR, true);
    WAIT_FOR(&coordinator, &member, member.bulk != NULL && coordinator.bulk != NULL);
    give_chunk(0, ""); /* no chunk is empty */
    give_chunk(1, "one");
    WAIT_FOR(&coordinator, &member, coordinator.messages == 1);
    struct rn_wire_chunk chunk;
    assert_true(rn_is_ok(
        rn_wire_chunk_decode(rn_view_of(coordinator.last, coordinator.last_length), &chunk, NULL)));
    assert_int_equal(chunk.first_element, 1);
    assert_true(rn_view_equal(chunk.data, rn_view_text("one")));
    both_close(&member, &coordinator);
    rn_peerstreams_free(streams);
    rn_executor_free(executor);
}

/* All bulk streams together hold 64 MiB and a chunk each, however many peers there are. */
static void windows_shrink_with_the_peers(void **state)
{
    (void)state;
    assert_int_equal(rn_peerstreams_window(1), RN_STREAM_BULK_WINDOW);
    assert_int_equal(rn_peerstreams_window(32), RN_STREAM_BULK_WINDOW);
    assert_true(rn_peerstreams_window(33) < RN_STREAM_BULK_WINDOW);
    for (uint32_t peers = 33; peers <= RN_SA_MEMBERS_MAX; peers++) {
        const size_t all = peers * rn_peerstreams_window(peers);
        assert_true(all <= RN_STREAM_BULK_BYTES && all + peers > RN_STREAM_BULK_BYTES);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_chunk_that_cannot_go_holds_nobody),
    cmocka_unit_test(windows_shrink_with_the_peers),
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
