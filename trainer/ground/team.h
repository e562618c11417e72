/* SPDX-License-Identifier: Apache-2.0
 *
 * A fixed team of threads that run one function together. The caller is worker 0. Also the turn
 * taker with which workers commit results in the order of the work, whatever order it was done in.
 */
#ifndef RN_TRAINER_TEAM_H
#define RN_TRAINER_TEAM_H

#include "base/result.h"

#include <stdint.h>

struct rn_team;
typedef void (*rn_team_fn)(void *context, uint32_t worker);

/* workers >= 1, the caller included. */
RN_MUST rn_result rn_team_new(uint32_t workers, struct rn_team **out, struct rn_error *err);
void rn_team_free(struct rn_team *team); /* accepts NULL */
/* Runs fn(context, worker) once per worker and returns when all have returned. */
void rn_team_run(struct rn_team *team, rn_team_fn fn, void *context);

/* Work items 0, 1, 2, ... inside one rn_team_run. Reset before the run by the caller. */
void rn_team_queue_reset(struct rn_team *team);
/* The next item; each is handed out once, in rising order. */
uint32_t rn_team_queue_next(struct rn_team *team);
/* Waits until all items below item are committed. Every item handed out must be committed. */
void rn_team_commit_begin(struct rn_team *team, uint32_t item);
void rn_team_commit_end(struct rn_team *team, uint32_t item);

#endif
