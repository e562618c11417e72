/* SPDX-License-Identifier: Apache-2.0 */
#include "base/logqueue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/guard.h"
#include "base/thread.h"

#define EXIT_WAIT_MS 1000
#define TARGETS 2

/* One for each target, so that a stderr that stands still does not keep lines from the file. */
struct queue {
    pthread_cond_t wake, idle;
    bool started;
    bool writing; /* the thread holds a line */
    struct rn_buffer lines[RN_LOG_QUEUE_LINES];
    size_t first, count, bytes;
    uint64_t dropped;
};

/* The log is the one thing of a process that is global by its nature. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all queues */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct queue queues[TARGETS];

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

static void take(struct queue *queue, struct rn_buffer *out)
{
    *out = queue->lines[queue->first];
    queue->lines[queue->first] = (struct rn_buffer){0};
    queue->first = (queue->first + 1) % RN_LOG_QUEUE_LINES;
    queue->count--;
    queue->bytes -= out->length;
}

static void *write_lines(void *argument)
{
    struct queue *queue = argument;
    (void)pthread_mutex_lock(&lock);
    for (;;) {
        while (queue->count == 0) {
            queue->writing = false;
            (void)pthread_cond_broadcast(&queue->idle);
            (void)pthread_cond_wait(&queue->wake, &lock);
        }
        struct rn_buffer line;
        take(queue, &line);
        queue->writing = true;
        (void)pthread_mutex_unlock(&lock);
        if (queue == &queues[RN_LOGQUEUE_FILE]) {
            write_file(&line);
        } else {
            write_all(STDERR_FILENO, &line);
        }
        rn_buffer_clear(&line);
        (void)pthread_mutex_lock(&lock);
    }
    return NULL;
}

/* ---- The threads' life */

static void flush_at_exit(void)
{
    (void)rn_logqueue_flush(EXIT_WAIT_MS);
}

static void before_fork(void)
{
    (void)pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
    (void)pthread_mutex_unlock(&lock);
}

/* Lines of the parent are the parent's to write. */
static void after_fork_in_child(void)
{
    for (size_t i = 0; i < TARGETS; i++) {
        struct queue *queue = &queues[i];
        while (queue->count > 0) {
            struct rn_buffer line;
            take(queue, &line);
            rn_buffer_clear(&line);
        }
        queue->started = queue->writing = false;
        rn_condition_init(&queue->wake);
        rn_condition_init(&queue->idle);
    }
    (void)pthread_mutex_unlock(&lock);
}

static void prepare(void)
{
    for (size_t i = 0; i < TARGETS; i++) {
        rn_condition_init(&queues[i].wake);
        rn_condition_init(&queues[i].idle);
    }
    (void)atexit(flush_at_exit);
    (void)pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

/* Under the lock. */
static void start(struct queue *queue)
{
    pthread_t thread;
    if (!queue->started && rn_is_ok(rn_thread_start(&thread, write_lines, queue, NULL))) {
        (void)pthread_detach(thread);
        queue->started = true;
    }
}

/* ---- The way in */

uint64_t rn_logqueue_put(struct rn_buffer *line, enum rn_logqueue_target target)
{
    struct queue *queue = &queues[target];
    uint64_t dropped = 0;
    (void)pthread_once(&once, prepare);
    (void)pthread_mutex_lock(&lock);
    start(queue);
    if (queue->count < RN_LOG_QUEUE_LINES && line->length <= RN_LOG_QUEUE_BYTES - queue->bytes) {
        queue->lines[(queue->first + queue->count) % RN_LOG_QUEUE_LINES] = *line;
        queue->count++;
        queue->bytes += line->length;
        *line = (struct rn_buffer){0};
        dropped = queue->dropped;
        queue->dropped = 0;
        (void)pthread_cond_signal(&queue->wake);
    } else {
        queue->dropped++;
    }
    (void)pthread_mutex_unlock(&lock);
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
    bool empty = true;
    (void)pthread_once(&once, prepare);
    (void)pthread_mutex_lock(&lock);
    for (size_t i = TARGETS; i-- > 0;) { /* the file first: stderr may stand still */
        struct queue *queue = &queues[i];
        while (queue->started && (queue->count > 0 || queue->writing) &&
               rn_condition_wait_until(&queue->idle, &lock, until)) {
        }
        empty = empty && queue->count == 0 && !queue->writing;
    }
    (void)pthread_mutex_unlock(&lock);
    return empty;
}
