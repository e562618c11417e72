/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the hostile coordinator: what an attack is, the session that is under attack, and what
 * attacks are made of. hostilecoordinator.c holds the table and stands between machine and service;
 * each other file is one kind of attack.
 */
#ifndef RN_TESTS_SCENARIO_HOSTILE_H
#define RN_TESTS_SCENARIO_HOSTILE_H

#include "crypto/secagg/aggregator_state.h"

/* How long an attack waits for what no member should send: nothing that an honest one does is cut
 * short by it. */
#define PATIENCE_MS 2000u

/* Every function but act may be missing. */
struct attack {
    const char *name;
    /* Before the machine starts. */
    void (*prepare)(struct rn_sa_aggregator *a, uint64_t now_ms, struct rn_sa_actions *actions);
    /* A member's message, before the machine sees it; true: the machine shall not see it. */
    bool (*hear)(struct rn_sa_aggregator *a, struct rn_view message, struct rn_sa_actions *actions);
    /* After each call: what the machine wants done now is items[from ...] of the list. */
    void (*act)(struct rn_sa_aggregator *a, struct rn_sa_actions *actions, size_t from);
    /* The sum, before anything of it is announced or kept. */
    void (*sum)(struct rn_sa_vector *sum);
    /* The session is over: frees what the attack holds. */
    void (*leave)(void);
};

/* hostilecohorts.c */
extern const struct attack attack_shrink, attack_split;
/* hostilefaces.c */
extern const struct attack attack_faces;
/* hostileflood.c */
extern const struct attack attack_flood;
/* hostilelog.c */
extern const struct attack attack_loglies;
/* hostilesums.c */
extern const struct attack attack_forged, attack_twosums;

/* The session that is under attack. */
struct attacked {
    const struct attack *attack; /* NULL: none */
    struct rn_sa_aggregator *machine;
    uint32_t floor; /* what it takes for F; 0: the true one */
    bool won;
};
extern struct attacked attacked;

/* The log says that the attack has begun, or has got what it was made for; once a session. */
void struck(void);
void won(void);

/* The first (0) or the second half of the roster. */
struct rn_sa_set half_of(const struct rn_sa_aggregator *a, uint32_t which);
/* Is it a message of this type? */
bool is_of_type(struct rn_view bytes, enum rn_sa_type type, struct rn_sa_message *out);
/* A signed broadcast under the hash that the transcript ends with. */
void write_broadcast(const struct rn_sa_aggregator *a, const struct rn_sa_transcript *t,
                     enum rn_sa_type type, struct rn_view body, struct rn_buffer *out);
void send_to(struct rn_sa_actions *actions, const struct rn_sa_set *to, struct rn_view message);

/* The machine's own functions. */
void __real_rn_sa_aggregator_start(struct rn_sa_aggregator *a, uint64_t now_ms,
                                   struct rn_sa_actions *out_actions);
void __real_rn_sa_aggregator_free(struct rn_sa_aggregator *a);
rn_result __real_rn_sa_aggregator_receive(struct rn_sa_aggregator *a, uint32_t from,
                                          struct rn_view message, uint64_t now_ms,
                                          struct rn_sa_actions *out_actions, struct rn_error *err);
void __real_rn_sa_aggregator_tick(struct rn_sa_aggregator *a, uint64_t now_ms,
                                  struct rn_sa_actions *out_actions);
void __real_rn_sa_aggregator_sum_root(const struct rn_sa_aggregator *a,
                                      uint8_t out[static RN_HASH_BYTES]);

#endif
