/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/guard.h"

rn_result rn_thread_start(pthread_t *out_thread, void *(*run)(void *argument), void *argument,
                          struct rn_error *err)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int status = pthread_create(out_thread, NULL, run, argument);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    RN_ENSURE(status == 0, err, RN_E_SYSTEM, "cannot start a thread: %s", strerror(status));
    return rn_ok();
}

void rn_condition_init(pthread_cond_t *out_condition)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(out_condition, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

bool rn_condition_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock,
                             uint64_t monotonic_ms)
{
    const struct timespec until = {.tv_sec = (time_t)(monotonic_ms / 1000),
                                   .tv_nsec = (long)(monotonic_ms % 1000) * 1000000};
    return pthread_cond_timedwait(condition, lock, &until) == 0;
}
