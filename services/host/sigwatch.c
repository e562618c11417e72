/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/sigwatch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "base/thread.h"
#include "services/rpc/rpc.h"

#define BYTE_SIGNAL 's'
#define BYTE_HANGUP 'h'
#define BYTE_END 'e'

struct rn_sigwatch {
    struct rn_rpc *rpc;
    pthread_t thread;
    bool joined;
    unsigned count; /* loop's thread */
    unsigned taken; /* the watch's thread; read when that is over */
    void (*fn)(void *context, unsigned count);
    void *context;
    void (*hangup)(void *context);
    void *hangup_context;
};

/* A signal handler has no argument: the pipe is the one thing that must be global. */
static int signal_pipe[2] = {-1, -1};

static void put(char byte)
{
    const ssize_t written = write(signal_pipe[1], &byte, 1);
    (void)written; /* a full pipe holds enough of them already */
}

static void on_signal(int number)
{
    const int before = errno;
    put(number == SIGHUP ? BYTE_HANGUP : BYTE_SIGNAL);
    errno = before;
}

rn_result rn_sigwatch_setup(struct rn_error *err)
{
    if (signal_pipe[0] >= 0) {
        return rn_ok();
    }
    RN_ENSURE(pipe2(signal_pipe, O_CLOEXEC) == 0, err, RN_E_SYSTEM, "cannot make a pipe: %s",
              strerror(errno));
    (void)fcntl(signal_pipe[1], F_SETFL, O_NONBLOCK);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    const bool set = sigaction(SIGTERM, &action, NULL) == 0 &&
                     sigaction(SIGINT, &action, NULL) == 0 && sigaction(SIGHUP, &action, NULL) == 0;
    RN_ENSURE(set, err, RN_E_SYSTEM, "cannot catch signals: %s", strerror(errno));
    return rn_ok();
}

static void tell(void *argument)
{
    struct rn_sigwatch *watch = argument;
    watch->fn(watch->context, ++watch->count);
}

static void tell_hangup(void *argument)
{
    const struct rn_sigwatch *watch = argument;
    if (watch->hangup != NULL) {
        watch->hangup(watch->hangup_context);
    }
}

static void *watch_signals(void *argument)
{
    struct rn_sigwatch *watch = argument;
    for (;;) {
        char byte = 0;
        const ssize_t got = read(signal_pipe[0], &byte, 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got != 1 || byte == BYTE_END) {
            return NULL;
        }
        watch->taken += byte == BYTE_SIGNAL;
        (void)rn_rpc_post(watch->rpc, byte == BYTE_HANGUP ? tell_hangup : tell, watch);
    }
}

rn_result rn_sigwatch_new(struct rn_rpc *rpc, void (*fn)(void *context, unsigned count),
                          void *context, struct rn_sigwatch **out, struct rn_error *err)
{
    RN_ENSURE(signal_pipe[0] >= 0, err, RN_E_USAGE, "rn_sigwatch_setup comes first");
    struct rn_sigwatch *watch = rn_alloc(1, sizeof(*watch));
    watch->rpc = rpc;
    watch->fn = fn;
    watch->context = context;
    const rn_result started = rn_thread_start(&watch->thread, watch_signals, watch, err);
    if (!rn_is_ok(started)) {
        rn_free(watch);
        return started;
    }
    *out = watch;
    return rn_ok();
}

void rn_sigwatch_on_hangup(struct rn_sigwatch *watch, void (*fn)(void *context), void *context)
{
    watch->hangup = fn;
    watch->hangup_context = context;
}

void rn_sigwatch_stop(struct rn_sigwatch *watch)
{
    if (watch == NULL || watch->joined) {
        return;
    }
    put(BYTE_END);
    (void)pthread_join(watch->thread, NULL);
    watch->joined = true;
}

unsigned rn_sigwatch_taken(const struct rn_sigwatch *watch)
{
    return watch->taken;
}

void rn_sigwatch_free(struct rn_sigwatch *watch)
{
    rn_sigwatch_stop(watch);
    rn_free(watch);
}
