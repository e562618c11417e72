/* SPDX-License-Identifier: Apache-2.0
 *
 * The methods that this service answers, as a table: registration, arming and limits come from it.
 */
#ifndef RN_SERVICES_RPC_METHODS_H
#define RN_SERVICES_RPC_METHODS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rn_rpc_handler {
    RN_RPC_ON_SESSION,
    RN_RPC_ON_BULK,
    RN_RPC_ON_HEALTH,
    RN_RPC_ON_ADMIN,
};

struct rn_rpc_method {
    const char *path;
    enum rn_rpc_handler handler;
    bool streaming;
    bool remote;          /* reachable with a certificate */
    bool local;           /* reachable through the unix socket */
    size_t message_max;   /* request bytes */
    unsigned slots;       /* calls armed at once */
    uint32_t seconds_max; /* a longer call is cut */
};

#define RN_RPC_METHODS 4 /* by handler */
extern const struct rn_rpc_method rn_rpc_methods[RN_RPC_METHODS];

#endif
