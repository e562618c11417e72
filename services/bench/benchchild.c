/* SPDX-License-Identifier: Apache-2.0
 *
 * posix_spawn, a pipe, wait4.
 */
#include "services/bench/benchchild.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/guard.h"
#include "services/cli/kit/child.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_MS 50

extern char **environ;

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

void rn_bench_signals_catch(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(numbers); i++) {
        (void)sigaction(numbers[i], &action, NULL);
    }
}

bool rn_bench_stopped(void)
{
    return stopped != 0;
}

struct child {
    pid_t pid;
    int out; /* reading end, not blocking */
    char line[RN_BENCH_LINE_MAX];
    size_t filled;
    rn_bench_line_fn each;
    void *context;
};

/* Actions and attributes of the spawn; 0 or an error number. */
static int spawn_with(const char *const *argv, const char *error_path, int writing, pid_t *out)
{
    union {
        const char *const *constant;
        char *const *plain;
    } list = {argv};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t usual;
    int failed = posix_spawn_file_actions_init(&actions);
    failed |= posix_spawnattr_init(&attributes);
    failed |= posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    failed |= posix_spawn_file_actions_adddup2(&actions, writing, 1);
    failed |= posix_spawn_file_actions_addopen(&actions, 2, error_path,
                                               O_WRONLY | O_CREAT | O_TRUNC, 0600);
    (void)sigemptyset(&usual);
    (void)sigaddset(&usual, SIGINT);
    (void)sigaddset(&usual, SIGTERM);
    (void)sigaddset(&usual, SIGHUP);
    failed |= posix_spawnattr_setsigdefault(&attributes, &usual);
    failed |= posix_spawnattr_setpgroup(&attributes, 0);
    failed |= posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
    if (failed == 0) {
        failed = posix_spawnp(out, argv[0], &actions, &attributes, list.plain, environ);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return failed;
}

static rn_result start(struct child *child, const char *const *argv, const char *error_path,
                       struct rn_error *err)
{
    int ends[2];
    RN_ENSURE(pipe2(ends, O_CLOEXEC) == 0, err, RN_E_SYSTEM, "no pipe: %s", strerror(errno));
    const int failed = spawn_with(argv, error_path, ends[1], &child->pid);
    (void)close(ends[1]);
    if (failed != 0) {
        (void)close(ends[0]);
        return rn_fail(err, RN_E_UNAVAILABLE, "%s: cannot start: %s", argv[0], strerror(failed));
    }
    child->out = ends[0];
    (void)fcntl(child->out, F_SETFL, O_NONBLOCK);
    return rn_ok();
}

/* Whatever the pipe holds, cut into lines; what does not fit into a line is dropped. */
static void drain(struct child *child)
{
    char piece[1024];
    for (;;) {
        const ssize_t got = read(child->out, piece, sizeof(piece));
        if (got <= 0) {
            return;
        }
        for (ssize_t i = 0; i < got; i++) {
            if (piece[i] == '\n') {
                child->line[child->filled] = '\0';
                child->each(child->context, child->line);
                child->filled = 0;
            } else if (child->filled + 1 < sizeof(child->line)) {
                child->line[child->filled++] = piece[i];
            }
        }
    }
}

/* Waits for output or a tick; a closed pipe alone does not end the child. */
static void rest(const struct child *child)
{
    struct pollfd wait = {.fd = child->out, .events = POLLIN};
    if (poll(&wait, 1, TICK_MS) > 0 && (wait.revents & POLLIN) == 0) {
        (void)usleep(TICK_MS * 1000);
    }
}

static rn_result follow(struct child *child, const char *error_path, uint64_t limit_ms,
                        struct rusage *out_usage, struct rn_error *err)
{
    const uint64_t begun = rn_clock_monotonic_ms();
    char last[RN_ERROR_TEXT_MAX / 2];
    int status = 0;
    for (;;) {
        rest(child);
        drain(child);
        const pid_t got = wait4(child->pid, &status, WNOHANG, out_usage);
        if (got == child->pid || (got < 0 && errno != EINTR)) {
            break;
        }
        const bool late = rn_clock_monotonic_ms() - begun > limit_ms;
        if (late || rn_bench_stopped()) {
            (void)kill(-child->pid, SIGKILL);
            (void)wait4(child->pid, &status, 0, out_usage);
            return late ? rn_fail(err, RN_E_TIMEOUT, "no end within %u s",
                                  (unsigned)(limit_ms / 1000))
                        : rn_fail(err, RN_E_ROUND_ABORTED, "stopped by a signal");
        }
    }
    drain(child);
    (void)kill(-child->pid, SIGKILL); /* what it may have left behind */
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return rn_ok();
    }
    rn_child_last_line(error_path, last, sizeof(last));
    return WIFSIGNALED(status)
               ? rn_fail(err, RN_E_INCOMPLETE, "killed by signal %d (out of memory?) %s",
                         WTERMSIG(status), last)
               : rn_fail(err, RN_E_INCOMPLETE, "%s", last[0] != '\0' ? last : "it failed");
}

/* Seconds that all processors together were busy and had, since the machine started. */
static bool machine_time(double *out_busy, double *out_all)
{
    double part[8] = {0}; /* user nice system idle iowait irq softirq steal */
    const long hertz = sysconf(_SC_CLK_TCK);
    FILE *file = fopen("/proc/stat", "re");
    const int got = file == NULL
                        ? 0
                        : fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &part[0], &part[1],
                                 &part[2], &part[3], &part[4], &part[5], &part[6], &part[7]);
    if (file != NULL) {
        (void)fclose(file);
    }
    double sum = 0.0;
    for (int i = 0; i < 8; i++) {
        sum += part[i];
    }
    *out_all = sum / (double)hertz;
    *out_busy = (sum - part[3] - part[4]) / (double)hertz;
    return got == 8 && hertz > 0;
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

rn_result rn_bench_child_run(const char *const *argv, const char *error_path, uint64_t limit_ms,
                             rn_bench_line_fn each, void *context, struct rn_bench_use *out_use,
                             struct rn_error *err)
{
    double busy[2];
    double all[2];
    struct child child = {.each = each, .context = context};
    struct rusage usage = {0};
    const bool known = machine_time(&busy[0], &all[0]);
    RN_TRY(start(&child, argv, error_path, err));
    const rn_result result = follow(&child, error_path, limit_ms, &usage, err);
    (void)close(child.out);
    const bool still = machine_time(&busy[1], &all[1]);
    const double own = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
    *out_use = (struct rn_bench_use){
        .peak_bytes = (uint64_t)usage.ru_maxrss * 1024,
        .others = known && still && all[1] > all[0]
                      ? fmax(0.0, (busy[1] - busy[0] - own) / (all[1] - all[0]))
                      : (double)NAN};
    return result;
}
