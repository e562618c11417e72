/* SPDX-License-Identifier: Apache-2.0
 *
 * How long the event loop was ever kept from its work by one call of ours: the callbacks of rpc and
 * what is posted through it are timed. gRPC core needs the loop for keepalive, so this
 * must stay far below a second whatever the size of the model and the speed of the disk.
 */
#ifndef RN_SERVICES_HOST_LOOPMETER_H
#define RN_SERVICES_HOST_LOOPMETER_H

#include <stdatomic.h>

#include "services/rpc/rpc.h"

/* Zero-initialise; outlives the rpc. */
struct rn_loopmeter {
    struct rn_rpc_callbacks inner;
    _Atomic uint64_t max_ns;
};

/* Puts the meter between rpc and the callbacks. */
void rn_loopmeter_wrap(struct rn_loopmeter *meter, struct rn_rpc_callbacks *callbacks);
/* rn_rpc_post of a function that is timed. False: it will not run. */
bool rn_loopmeter_post(struct rn_loopmeter *meter, struct rn_rpc *rpc, rn_rpc_function function,
                       void *argument);
/* The longest so far, in milliseconds, rounded up. Any thread. */
uint64_t rn_loopmeter_max_ms(const struct rn_loopmeter *meter);

#endif
