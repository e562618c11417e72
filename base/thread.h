/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting a thread. Signals belong to the main thread: one that is started here blocks them all.
 */
#ifndef RN_BASE_THREAD_H
#define RN_BASE_THREAD_H

#include <pthread.h>

#include "base/result.h"

RN_MUST rn_result rn_thread_start(pthread_t *out_thread, void *(*run)(void *argument),
                                  void *argument, struct rn_error *err);

/* A condition whose timed waits are on the monotonic clock, and a wait until a time of it; false
 * when that time came first. */
void rn_condition_init(pthread_cond_t *out_condition);
bool rn_condition_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock,
                             uint64_t monotonic_ms);

#endif
