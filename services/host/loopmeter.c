/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/loopmeter.h"

#include "base/alloc.h"
#include "base/clock.h"

static void note(struct rn_loopmeter *meter, uint64_t began_ns)
{
    const uint64_t took = rn_clock_monotonic_ns() - began_ns;
    if (took > atomic_load(&meter->max_ns)) { /* the loop alone writes */
        atomic_store(&meter->max_ns, took);
    }
}

static rn_result authorize(void *user, const struct rn_peer *peer, enum rn_rpc_kind kind,
                           bool renewal)
{
    struct rn_loopmeter *meter = user;
    const uint64_t began = rn_clock_monotonic_ns();
    const rn_result result = meter->inner.authorize(meter->inner.user, peer, kind, renewal);
    note(meter, began);
    return result;
}

static void on_open(void *user, struct rn_rpc_stream *stream)
{
    struct rn_loopmeter *meter = user;
    const uint64_t began = rn_clock_monotonic_ns();
    meter->inner.on_open(meter->inner.user, stream);
    note(meter, began);
}

static void on_message(void *user, struct rn_rpc_stream *stream, struct rn_view message)
{
    struct rn_loopmeter *meter = user;
    const uint64_t began = rn_clock_monotonic_ns();
    meter->inner.on_message(meter->inner.user, stream, message);
    note(meter, began);
}

static void on_writable(void *user, struct rn_rpc_stream *stream)
{
    struct rn_loopmeter *meter = user;
    const uint64_t began = rn_clock_monotonic_ns();
    meter->inner.on_writable(meter->inner.user, stream);
    note(meter, began);
}

static void on_closed(void *user, struct rn_rpc_stream *stream, const struct rn_rpc_end *end)
{
    struct rn_loopmeter *meter = user;
    const uint64_t began = rn_clock_monotonic_ns();
    meter->inner.on_closed(meter->inner.user, stream, end);
    note(meter, began);
}

static void on_link_down(void *user, struct rn_rpc_link *link, const struct rn_rpc_end *end)
{
    struct rn_loopmeter *meter = user;
    const uint64_t began = rn_clock_monotonic_ns();
    meter->inner.on_link_down(meter->inner.user, link, end);
    note(meter, began);
}

static bool is_serving(void *user)
{
    struct rn_loopmeter *meter = user;
    return meter->inner.is_serving(meter->inner.user); /* reads a flag */
}

static rn_result admin(void *user, struct rn_view request, struct rn_buffer *answer)
{
    struct rn_loopmeter *meter = user;
    const uint64_t began = rn_clock_monotonic_ns();
    const rn_result result = meter->inner.admin(meter->inner.user, request, answer);
    note(meter, began);
    return result;
}

void rn_loopmeter_wrap(struct rn_loopmeter *meter, struct rn_rpc_callbacks *callbacks)
{
    meter->inner = *callbacks;
    *callbacks = (struct rn_rpc_callbacks){
        .user = meter,
        .authorize = authorize,
        .on_open = on_open,
        .on_message = on_message,
        .on_writable = on_writable,
        .on_closed = on_closed,
        .on_link_down = on_link_down,
        .is_serving = is_serving,
        .admin = admin,
    };
}

struct posted {
    struct rn_loopmeter *meter;
    rn_rpc_function function;
    void *argument;
};

static void run(void *argument)
{
    struct posted *posted = argument;
    const uint64_t began = rn_clock_monotonic_ns();
    posted->function(posted->argument);
    note(posted->meter, began);
    rn_free(posted);
}

bool rn_loopmeter_post(struct rn_loopmeter *meter, struct rn_rpc *rpc, rn_rpc_function function,
                       void *argument)
{
    struct posted *posted = rn_alloc(1, sizeof(*posted));
    *posted = (struct posted){meter, function, argument};
    const bool taken = rn_rpc_post(rpc, run, posted);
    if (!taken) {
        rn_free(posted);
    }
    return taken;
}

uint64_t rn_loopmeter_max_ms(const struct rn_loopmeter *meter)
{
    return (atomic_load(&meter->max_ns) + 999999) / 1000000;
}
