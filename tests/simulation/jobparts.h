/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the files of the job simulator.
 */
#ifndef RN_TESTS_JOBPARTS_H
#define RN_TESTS_JOBPARTS_H

#include "tests/simulation/jobsim.h"

/* ---- jobworld.c: what is computed */
void job_world_init(struct job *job);
void job_world_clear(struct job *job);
/* The adapter of the start, into a fresh model. */
void job_model_init(struct job *job, struct rn_round_model *model);
/* What `member` makes of the adapter in the round: a function of all three. */
void job_train(struct job *job, uint32_t member, const struct rn_train_order *order, float *after,
               float *local_head);

/* ---- jobmeasure.c: federated evaluation */
/* What the member's development set says of the adapter after `round`. */
struct rn_round_measure job_measure(const struct job *job, uint32_t member, uint32_t round);
/* The first summed round before `round` that has this adapter; 0: the start. */
uint32_t job_start_of(const struct job *job, const uint8_t before[static RN_HASH_BYTES],
                      uint32_t round);
/* A round has got its sum, over these members (bits); its truth is known but for the measure. */
void job_measure_truth(struct job *job, uint32_t round, uint32_t members);
void job_measure_check(struct job_node *node, const struct rn_job_result *result);
void job_measure_check_order(struct job_node *node, const struct rn_train_order *order);
void job_measure_check_best(struct job_node *node, const struct rn_publish_order *order);
void job_measure_check_offer(struct job *job, uint32_t round);
void job_measure_check_end(const struct job *job);

/* ---- jobnode.c: one node's process and store */
void job_node_init(struct job *job, uint32_t place);
void job_node_clear(struct job_node *node);
void job_node_stop(struct job_node *node);
void job_node_input(struct job_node *node, struct rn_input input);
/* What is due at this moment. */
void job_node_due(struct job_node *node);
uint64_t job_node_next(const struct job_node *node);
void job_node_tick(struct job_node *node);
struct rn_now job_now(const struct job_node *node);

/* ---- jobnet.c: connections */
void job_net_send(struct job_node *from, uint64_t number, bool bulk, struct rn_view bytes);
void job_net_close(struct job_node *from, uint64_t number);
void job_net_lose(struct job *job, uint32_t member, uint64_t member_notices,
                  uint64_t coordinator_notices, uint64_t dial_in);
void job_net_node_down(struct job_node *node, bool in_order);
void job_net_due(struct job *job);
uint64_t job_net_next(const struct job *job);
bool job_net_stands(const struct job *job, uint32_t member);
/* The member at the other end; JOB's `members`: the connection is gone. */
uint32_t job_net_member(const struct job *job, uint64_t number);

/* ---- jobsign.c: the plan's signatures at each site */
void job_sign_init(struct job *job);
/* Its disk has them from here on. */
void job_keep(struct job_node *node, struct rn_view text);
/* For the machine that is built: what is on its disk. */
void job_held(const struct job_node *node, struct rn_plan_signatures *out);

/* ---- jobdraw.c: the drawing of the share graph */
/* What leaves for `to`, checked; false: it is lost. A member that alters its reveal does so here.
 */
bool job_epoch_say(struct job_node *from, uint64_t connection, struct rn_buffer *bytes);
/* Does its disk hold the graph that the plan needs? */
bool job_epoch_has(struct job_node *node);

/* ---- jobcheck.c: what must hold */
void job_check_said(struct job_node *from, struct rn_view secagg);
void job_check_heard(struct job_node *to, struct rn_view secagg);
void job_check_durable(struct job_node *node);
void job_check_publish(struct job_node *node, const struct rn_publish_order *order);
/* Whether the message is lost on its way, or its sender down behind it, for few are to be left. */
bool job_few_vote_is_lost(struct job *job, uint32_t member, struct rn_view secagg);
void job_check_encoding(struct job *job); /* whose step runs; NULL: none */
void job_trace(const struct job_node *node, const char *format, ...) RN_PRINTF(2, 3);

#endif
