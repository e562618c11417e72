/* SPDX-License-Identifier: Apache-2.0
 *
 * posix_spawn, signals and waiting.
 */
#include "services/cli/kit/child.h"

#include "base/clock.h"
#include "base/guard.h"
#include "services/cli/kit/stopflag.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_BYTES_MAX ((size_t)64 << 20)
#define POLL_MS 20

extern char **environ;

rn_result rn_program_beside(const char *program, char out[static RN_PATH_MAX], struct rn_error *err)
{
    char self[RN_PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    RN_ENSURE(length > 0, err, RN_E_SYSTEM, "cannot find the folder of this program: %s",
              strerror(errno));
    self[length] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    return rn_path_join(out, self, program, err);
}

static rn_result spawn(const char *path, char *const *arguments, const char *output,
                       struct rn_child *out, struct rn_error *err)
{
    posix_spawn_file_actions_t actions;
    RN_ENSURE(posix_spawn_file_actions_init(&actions) == 0, err, RN_E_SYSTEM, "cannot spawn");
    int failed = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    failed |=
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0600);
    failed |= posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t pid = 0;
    if (failed == 0) {
        failed = posix_spawn(&pid, path, &actions, NULL, arguments, environ);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    RN_ENSURE(failed == 0, err, RN_E_SYSTEM, "%s: cannot start: %s", path, strerror(failed));
    out->pid = pid;
    return rn_ok();
}

rn_result rn_child_start(const char *program, const char *const *arguments, const char *output,
                         struct rn_child *out, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    union {
        const char *constant[RN_CHILD_ARGUMENTS_MAX + 2];
        char *plain[RN_CHILD_ARGUMENTS_MAX + 2];
    } list = {{NULL}};
    RN_TRY(rn_program_beside(program, path, err));
    list.constant[0] = path;
    size_t count = 0;
    for (; arguments[count] != NULL; count++) {
        RN_BUG_IF(count >= RN_CHILD_ARGUMENTS_MAX);
        list.constant[count + 1] = arguments[count];
    }
    memset(out, 0, sizeof(*out));
    RN_ENSURE(rn_text_format(out->output, sizeof(out->output), "%s", output), err, RN_E_USAGE,
              "path too long");
    return spawn(path, list.plain, output, out, err);
}

static bool collect(struct rn_child *child, int flags)
{
    int status = 0;
    if (child->pid == 0) {
        return true;
    }
    pid_t got = -1;
    do {
        got = waitpid(child->pid, &status, flags);
    } while (got < 0 && errno == EINTR);
    if (got == 0) {
        return false;
    }
    child->pid = 0;
    if (got < 0) {
        child->exit_code = RN_CHILD_UNKNOWN;
    } else {
        child->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return true;
}

bool rn_child_running(struct rn_child *child)
{
    return !collect(child, WNOHANG);
}

/* stoppable: a signal to this process ends the wait too. */
static bool wait_until(struct rn_child *child, uint64_t limit_ms, bool stoppable)
{
    const uint64_t start = rn_clock_monotonic_ms();
    while (rn_child_running(child)) {
        if (rn_clock_monotonic_ms() - start > limit_ms || (stoppable && rn_stopped())) {
            return false;
        }
        (void)usleep(POLL_MS * 1000);
    }
    return true;
}

void rn_child_stop(struct rn_child *child, int signal_number, uint64_t wait_ms)
{
    if (child->pid == 0) {
        return;
    }
    (void)kill(child->pid, signal_number);
    if (!wait_until(child, wait_ms, false)) {
        (void)kill(child->pid, SIGKILL);
        (void)collect(child, 0);
    }
}

void rn_child_last_line(const char *output, char *out, size_t capacity)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    out[0] = '\0';
    if (!rn_is_ok(rn_file_read(output, OUTPUT_BYTES_MAX, &text, NULL))) {
        return;
    }
    size_t end = text.length;
    while (end > 0 && (text.data[end - 1] == '\n' || text.data[end - 1] == ' ')) {
        end--;
    }
    size_t start = end;
    while (start > 0 && text.data[start - 1] != '\n') {
        start--;
    }
    (void)rn_text_format(out, capacity, "%.*s", (int)(end - start), rn_buffer_text(&text) + start);
}

rn_result rn_child_run(const char *program, const char *const *arguments, const char *output,
                       uint64_t limit_ms, struct rn_error *err)
{
    struct rn_child child;
    char line[RN_ERROR_TEXT_MAX / 2];
    RN_TRY(rn_child_start(program, arguments, output, &child, err));
    if (!wait_until(&child, limit_ms, true)) {
        rn_child_stop(&child, SIGKILL, 0);
        RN_ENSURE(!rn_stopped(), err, RN_E_ROUND_ABORTED, "stopped by a signal");
        return rn_fail(err, RN_E_TIMEOUT, "%s %s did not end within %u s", program, arguments[0],
                       (unsigned)(limit_ms / 1000));
    }
    rn_child_last_line(output, line, sizeof(line));
    RN_ENSURE(child.exit_code == 0, err, RN_E_INCOMPLETE, "%s %s failed (exit %d): %s", program,
              arguments[0], child.exit_code, line);
    return rn_ok();
}
