/* SPDX-License-Identifier: Apache-2.0 */
#include "services/session/sigwatch.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "services/rpc/rpc.h"

struct rn_sigwatch {
    struct rn_rpc *rpc;
    pthread_t thread;
    atomic_bool ending;
    unsigned count; /* loop's thread */
    void (*fn)(void *context, unsigned count);
    void *context;
};

/* SIGUSR2 is for ending the watching thread; nobody else uses it. */
static sigset_t watched(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGUSR2);
    return set;
}

void rn_sigwatch_block(void)
{
    const sigset_t set = watched();
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void tell(void *argument)
{
    struct rn_sigwatch *watch = argument;
    watch->fn(watch->context, ++watch->count);
}

static void *watch_signals(void *argument)
{
    struct rn_sigwatch *watch = argument;
    const sigset_t set = watched();
    for (;;) {
        int number = 0;
        if (sigwait(&set, &number) != 0 || atomic_load(&watch->ending)) {
            return NULL;
        }
        if (number != SIGUSR2) {
            (void)rn_rpc_post(watch->rpc, tell, watch);
        }
    }
}

rn_result rn_sigwatch_new(struct rn_rpc *rpc, void (*fn)(void *context, unsigned count),
                          void *context, struct rn_sigwatch **out, struct rn_error *err)
{
    struct rn_sigwatch *watch = rn_alloc(1, sizeof(*watch));
    watch->rpc = rpc;
    watch->fn = fn;
    watch->context = context;
    const int status = pthread_create(&watch->thread, NULL, watch_signals, watch);
    if (status != 0) {
        rn_free(watch);
        return rn_fail(err, RN_E_SYSTEM, "cannot start a thread: %s", strerror(status));
    }
    *out = watch;
    return rn_ok();
}

void rn_sigwatch_free(struct rn_sigwatch *watch)
{
    if (watch == NULL) {
        return;
    }
    atomic_store(&watch->ending, true);
    (void)pthread_kill(watch->thread, SIGUSR2);
    (void)pthread_join(watch->thread, NULL);
    rn_free(watch);
}
