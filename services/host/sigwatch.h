/* SPDX-License-Identifier: Apache-2.0
 *
 * SIGTERM and SIGINT as a call on the event loop: the first asks to drain, later ones to stop now.
 * SIGHUP (files have changed; a terminal went away) as another: it never ends the process.
 *
 * A handler and a pipe, not blocked signals and sigwait: numerical libraries start threads before
 * main, which block nothing and would take the signal's default action.
 */
#ifndef RN_SERVICES_HOST_SIGWATCH_H
#define RN_SERVICES_HOST_SIGWATCH_H

#include "base/result.h"

struct rn_rpc;
struct rn_sigwatch;

/* Catches the signals from here on: first thing in main. */
RN_MUST rn_result rn_sigwatch_setup(struct rn_error *err);

/* fn(context, count) runs on the loop for the count-th signal, from 1. One watch at a time. */
RN_MUST rn_result rn_sigwatch_new(struct rn_rpc *rpc, void (*fn)(void *context, unsigned count),
                                  void *context, struct rn_sigwatch **out, struct rn_error *err);
/* fn(context) runs on the loop for each SIGHUP from here on; without it the signal does nothing. On
 * the loop's thread, or before it runs. */
void rn_sigwatch_on_hangup(struct rn_sigwatch *watch, void (*fn)(void *context), void *context);
/* Ends the thread; what it posted may still run. NULL is fine. A signal that comes later is left to
 * the next watch. */
void rn_sigwatch_stop(struct rn_sigwatch *watch);
/* After rn_sigwatch_stop: how many SIGTERM and SIGINT this watch took, those too that came when the
 * loop had ended already, so that fn was never called. */
unsigned rn_sigwatch_taken(const struct rn_sigwatch *watch);
/* After rn_rpc_close. NULL is fine. */
void rn_sigwatch_free(struct rn_sigwatch *watch);

#endif
