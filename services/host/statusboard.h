/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the executor leaves a snapshot of its state, as text, and the loop reads it without waiting
 * for a step.
 */
#ifndef RN_SERVICES_HOST_STATUSBOARD_H
#define RN_SERVICES_HOST_STATUSBOARD_H

#include <pthread.h>

#include "base/bytes.h"

struct rn_statusboard {
    pthread_mutex_t lock;
    struct rn_buffer text;
    uint64_t made_ms; /* monotonic */
};

static inline void rn_statusboard_init(struct rn_statusboard *board)
{
    *board = (struct rn_statusboard){.text = {0}};
    (void)pthread_mutex_init(&board->lock, NULL);
}

static inline void rn_statusboard_clear(struct rn_statusboard *board)
{
    rn_buffer_clear(&board->text);
    (void)pthread_mutex_destroy(&board->lock);
}

/* Takes the text over; its place gets the one before, to be used again. */
static inline void rn_statusboard_swap(struct rn_statusboard *board, struct rn_buffer *text,
                                       uint64_t now_ms)
{
    (void)pthread_mutex_lock(&board->lock);
    const struct rn_buffer old = board->text;
    board->text = *text;
    board->made_ms = now_ms;
    (void)pthread_mutex_unlock(&board->lock);
    *text = old;
}

/* Appends the newest text; *out_made_ms is when it was made. */
static inline void rn_statusboard_read(struct rn_statusboard *board, struct rn_buffer *out,
                                       uint64_t *out_made_ms)
{
    (void)pthread_mutex_lock(&board->lock);
    rn_buffer_append(out, board->text.data, board->text.length);
    *out_made_ms = board->made_ms;
    (void)pthread_mutex_unlock(&board->lock);
}

#endif
