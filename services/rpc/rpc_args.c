/* SPDX-License-Identifier: Apache-2.0
 *
 * Every channel argument in one place: core ignores a misspelt one silently, so nothing is set
 * anywhere else, and the effects are looked for in tests/unit/services/test_rpc_refuse.c (sizes,
 * compression, quota, shared port) and test_rpc_endure.c (keepalive, many uploads).
 */
#include <grpc/compression.h>
#include <string.h>

#include "services/rpc/rpc_args.h"

static void put(struct rn_rpc_args *args, grpc_arg arg)
{
    RN_BUG_IF(args->list.num_args == RN_RPC_ARGS_MAX);
    args->items[args->list.num_args++] = arg;
}

static void put_number(struct rn_rpc_args *args, const char *key, int value)
{
    grpc_arg arg;
    memset(&arg, 0, sizeof(arg));
    arg.type = GRPC_ARG_INTEGER;
    arg.key = (char *)(uintptr_t)key; /* core copies it and never writes */
    arg.value.integer = value;
    put(args, arg);
}

/* Whatever arrives, from either side. */
static void put_common(const struct rn_rpc *rpc, struct rn_rpc_args *args)
{
    memset(args, 0, sizeof(*args));
    args->list.args = args->items;
    grpc_arg quota;
    memset(&quota, 0, sizeof(quota));
    quota.type = GRPC_ARG_POINTER;
    quota.key = (char *)(uintptr_t)GRPC_ARG_RESOURCE_QUOTA;
    quota.value.pointer.p = rpc->quota;
    quota.value.pointer.vtable = grpc_resource_quota_arg_vtable();
    put(args, quota); /* the only bound on the memory of a hostile message */
    put_number(args, GRPC_ARG_HTTP2_BDP_PROBE, 0); /* else the quota kills honest streams */
    put_number(args, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)RN_RPC_MESSAGE_MAX);
    put_number(args, GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, (int)RN_RPC_MESSAGE_MAX);
    /* identity alone: an inflating message is not stopped by the quota */
    put_number(args, GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE);
    put_number(args, GRPC_ARG_MAX_METADATA_SIZE, 4096);
    put_number(args, GRPC_ARG_KEEPALIVE_TIME_MS, (int)rpc->config.keepalive_ms);
    /* above 5 s, or a peer that is busy between polls is cut */
    put_number(args, GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
               rpc->config.keepalive_ms < 20000 ? 6000 : 20000);
    put_number(args, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    put_number(args, GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
}

void rn_rpc_args_server(const struct rn_rpc *rpc, struct rn_rpc_args *out)
{
    put_common(rpc, out);
    put_number(out, GRPC_ARG_MAX_CONCURRENT_STREAMS, 8);
    put_number(out, GRPC_ARG_ALLOW_REUSEPORT, 0); /* a second process must not share the port */
    put_number(out, GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10000);
    put_number(out, GRPC_ARG_MAX_CONNECTION_AGE_MS, 3600 * 1000);
    put_number(out, GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, 900 * 1000);
    put_number(out, GRPC_ARG_MAX_CONNECTION_IDLE_MS, 600 * 1000);
    put_number(out, GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
               (int)(rpc->config.keepalive_ms / 2));
}

void rn_rpc_args_client(const struct rn_rpc *rpc, struct rn_rpc_args *out)
{
    put_common(rpc, out);
    const int backoff = (int)rpc->config.backoff_ms;
    put_number(out, GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, backoff);
    put_number(out, GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000); /* limit of one attempt */
    put_number(out, GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 20 * backoff);
    put_number(out, GRPC_ARG_ENABLE_RETRIES, 0);
    put_number(out, GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    put_number(out, GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
}
