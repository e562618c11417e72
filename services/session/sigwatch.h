/* SPDX-License-Identifier: Apache-2.0
 *
 * SIGTERM and SIGINT as a call on the event loop: the first asks to drain, later ones to stop now.
 */
#ifndef RN_SERVICES_SESSION_SIGWATCH_H
#define RN_SERVICES_SESSION_SIGWATCH_H

#include "base/result.h"

struct rn_rpc;
struct rn_sigwatch;

/* Blocks the signals for every thread that starts later: first thing in main. */
void rn_sigwatch_block(void);

/* fn(context, count) runs on the loop for the count-th signal, from 1. */
RN_MUST rn_result rn_sigwatch_new(struct rn_rpc *rpc, void (*fn)(void *context, unsigned count),
                                  void *context, struct rn_sigwatch **out, struct rn_error *err);
/* NULL is fine. */
void rn_sigwatch_free(struct rn_sigwatch *watch);

#endif
