/* SPDX-License-Identifier: Apache-2.0 */
#include "base/logqueue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/guard.h"
#include "base/thread.h"

#define EXIT_WAIT_MS 1000

struct line {
    struct rn_buffer text;
    enum rn_logqueue_target target;
};

/* The log is the one thing of a process that is global by its nature. */
static struct {
    pthread_mutex_t lock;
    pthread_once_t once;
    pthread_cond_t wake, idle;
    bool started;
    bool writing; /* the thread holds a line */
    struct line lines[RN_LOG_QUEUE_LINES];
    size_t first, count, bytes;
    uint64_t dropped;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};

static struct {
    pthread_mutex_t lock; /* held while the disk works: not taken by those who log */
    int number;           /* -1: none */
    size_t bytes;
    char path[RN_PATH_MAX];
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER, .number = -1};

/* ---- Writing */

static void write_all(int file, const struct rn_buffer *text)
{
    size_t done = 0;
    while (done < text->length) {
        const ssize_t written = write(file, text->data + done, text->length - done);
        if (written < 0 && errno != EINTR) {
            return; /* a full disk or a closed pipe must not stop the program */
        }
        done += written > 0 ? (size_t)written : 0;
    }
}

static int open_file(const char *path, size_t *out_bytes)
{
    const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    struct stat facts;
    *out_bytes = file >= 0 && fstat(file, &facts) == 0 ? (size_t)facts.st_size : 0;
    return file;
}

static void write_file(const struct rn_buffer *text)
{
    char old[RN_PATH_MAX + 8];
    (void)pthread_mutex_lock(&sink.lock);
    if (sink.number >= 0 && sink.bytes >= RN_LOG_FILE_BYTES &&
        rn_text_format(old, sizeof(old), "%s.old", sink.path)) {
        (void)close(sink.number);
        (void)rename(sink.path, old);
        sink.number = open_file(sink.path, &sink.bytes);
    }
    if (sink.number >= 0) {
        write_all(sink.number, text);
        sink.bytes += text->length;
    }
    (void)pthread_mutex_unlock(&sink.lock);
}

static void take(struct line *out)
{
    *out = queue.lines[queue.first];
    queue.lines[queue.first] = (struct line){0};
    queue.first = (queue.first + 1) % RN_LOG_QUEUE_LINES;
    queue.count--;
    queue.bytes -= out->text.length;
}

static void *write_lines(void *argument)
{
    (void)argument;
    (void)pthread_mutex_lock(&queue.lock);
    for (;;) {
        while (queue.count == 0) {
            queue.writing = false;
            (void)pthread_cond_broadcast(&queue.idle);
            (void)pthread_cond_wait(&queue.wake, &queue.lock);
        }
        struct line line;
        take(&line);
        queue.writing = true;
        (void)pthread_mutex_unlock(&queue.lock);
        if (line.target == RN_LOGQUEUE_FILE) {
            write_file(&line.text);
        } else {
            write_all(STDERR_FILENO, &line.text);
        }
        rn_buffer_clear(&line.text);
        (void)pthread_mutex_lock(&queue.lock);
    }
    return NULL;
}

/* ---- The thread's life */

static void flush_at_exit(void)
{
    (void)rn_logqueue_flush(EXIT_WAIT_MS);
}

static void before_fork(void)
{
    (void)pthread_mutex_lock(&queue.lock);
}

static void after_fork(void)
{
    (void)pthread_mutex_unlock(&queue.lock);
}

/* Lines of the parent are the parent's to write. */
static void after_fork_in_child(void)
{
    while (queue.count > 0) {
        struct line line;
        take(&line);
        rn_buffer_clear(&line.text);
    }
    queue.started = queue.writing = false;
    rn_condition_init(&queue.wake);
    rn_condition_init(&queue.idle);
    (void)pthread_mutex_unlock(&queue.lock);
}

static void prepare(void)
{
    rn_condition_init(&queue.wake);
    rn_condition_init(&queue.idle);
    (void)atexit(flush_at_exit);
    (void)pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

/* Under the lock. */
static void start(void)
{
    pthread_t thread;
    if (!queue.started && rn_is_ok(rn_thread_start(&thread, write_lines, NULL, NULL))) {
        (void)pthread_detach(thread);
        queue.started = true;
    }
}

/* ---- The way in */

uint64_t rn_logqueue_put(struct rn_buffer *line, enum rn_logqueue_target target)
{
    uint64_t dropped = 0;
    (void)pthread_once(&queue.once, prepare);
    (void)pthread_mutex_lock(&queue.lock);
    start();
    if (queue.count < RN_LOG_QUEUE_LINES && line->length <= RN_LOG_QUEUE_BYTES - queue.bytes) {
        queue.lines[(queue.first + queue.count) % RN_LOG_QUEUE_LINES] =
            (struct line){*line, target};
        queue.count++;
        queue.bytes += line->length;
        *line = (struct rn_buffer){0};
        dropped = queue.dropped;
        queue.dropped = 0;
        (void)pthread_cond_signal(&queue.wake);
    } else {
        queue.dropped++;
    }
    (void)pthread_mutex_unlock(&queue.lock);
    return dropped;
}

rn_result rn_logqueue_file(const char *path, struct rn_error *err)
{
    size_t bytes = 0;
    const int file = open_file(path, &bytes);
    RN_ENSURE(file >= 0, err, RN_E_IO, "%s: cannot be opened: %s", path, strerror(errno));
    (void)pthread_mutex_lock(&sink.lock);
    if (sink.number >= 0) {
        (void)close(sink.number);
    }
    sink.number = file;
    sink.bytes = bytes;
    (void)rn_text_format(sink.path, sizeof(sink.path), "%s", path);
    (void)pthread_mutex_unlock(&sink.lock);
    return rn_ok();
}

bool rn_logqueue_flush(uint32_t wait_ms)
{
    const uint64_t until = rn_clock_monotonic_ms() + wait_ms;
    (void)pthread_once(&queue.once, prepare);
    (void)pthread_mutex_lock(&queue.lock);
    while (queue.started && (queue.count > 0 || queue.writing) &&
           rn_condition_wait_until(&queue.idle, &queue.lock, until)) {
    }
    const bool empty = queue.count == 0 && !queue.writing;
    (void)pthread_mutex_unlock(&queue.lock);
    return empty;
}
