/* SPDX-License-Identifier: Apache-2.0
 *
 * A seeded world for secure aggregation: real member and aggregator machines, a network that drops,
 * duplicates, delays and reorders, journals that survive crashes, and a tap on every wire that
 * checks the protocol's invariants. Time is a number; a schedule is repeated from its seed.
 */
#ifndef RN_TESTS_SIMULATOR_H
#define RN_TESTS_SIMULATOR_H

#include "crypto/identity.h"
#include "crypto/roster.h"
#include "crypto/secagg/aggregator.h"
#include "crypto/secagg/envelope.h"
#include "crypto/secagg/evidence.h"
#include "crypto/secagg/member.h"
#include "crypto/secagg/spent.h"
#include "tests/simulation/memoryspool.h"

#define SIM_MEMBERS RN_SA_MEMBERS_MAX
#define SIM_COORDINATOR SIM_MEMBERS
#define SIM_NEVER UINT64_MAX

struct sim;

/* Changes a message on its way: false drops it. from or to is SIM_COORDINATOR. */
typedef bool sim_tamper(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message);

struct sim_options {
    uint32_t members;
    uint32_t colluding;
    uint32_t losses;
    uint32_t honest;         /* 0: 2 */
    uint64_t value_max;      /* 0: 65534 */
    uint32_t elements;       /* 0: 11 */
    uint32_t chunk_elements; /* 0: 4 */
    bool blind;              /* the coordinator is blind; the group key is sim->group */
    uint64_t seed;
    uint32_t drop_percent, duplicate_percent;
    uint64_t delay_ms;                  /* most; 0: none */
    const struct rn_parallel *parallel; /* of all machines */
    sim_tamper *tamper;
    void *tamper_context;
};

struct sim_node {
    bool up;
    bool silent;         /* its messages are lost from now on */
    uint64_t actions;    /* executed so far */
    uint64_t crash_at;   /* before the action with this number; SIM_NEVER */
    uint64_t restart_ms; /* after a crash; SIM_NEVER: stays down */
    uint64_t restart_at;
    enum rn_sa_type silent_from; /* falls silent instead of sending its first such message; 0 */
    struct rn_buffer *journal;
    size_t records;
    bool resumed;
    bool summed, finished, aborted, certified, following;
    enum rn_sa_reason reason;
    struct rn_sa_set survivors;
    struct rn_sa_set blamed;
    struct rn_sa_set fell_silent; /* of the coordinator */
    uint32_t contributors;
    uint8_t sum_hash[RN_HASH_BYTES];
    uint32_t evidence;
    struct rn_sa_evidence proof; /* the newest */
    struct rn_buffer document;   /* of it */
    uint64_t input_at;           /* training ends */
    uint64_t vector;             /* names the member's values */
    /* tap */
    uint8_t vote[RN_SA_VOTE_BYTES];
    bool voted;
    uint8_t *reveal;
    size_t reveal_length;
    uint32_t done_count; /* Dones that it sent, repeats too, in all sessions */
};

struct sim_packet {
    uint64_t at;
    uint64_t order;
    uint32_t from, to;
    struct rn_buffer bytes;
};

struct sim {
    struct sim_options options;
    struct rn_sa_params params;
    struct rn_sa_context context;
    struct rn_roster roster;
    struct rn_secret32 group; /* of a blind job */
    struct rn_identity *identities[SIM_MEMBERS + 1];
    struct rn_sa_member *members[SIM_MEMBERS];
    struct rn_sa_spent *spent[SIM_MEMBERS];
    struct rn_sa_aggregator *aggregator;
    struct sim_node nodes[SIM_MEMBERS + 1];
    struct sim_packet *packets; /* a heap: the next one to deliver first */
    size_t packet_count, packet_capacity;
    uint64_t random;
    uint64_t now;
    uint64_t order;
    uint32_t refused; /* messages that a machine returned an error for */
    bool quiet_tap;   /* a test that forges messages does its own checks */
    uint8_t votes_t2[SIM_MEMBERS][RN_HASH_BYTES];
    bool votes_survivors[SIM_MEMBERS];
    uint32_t quorum;
    struct memory_spool spool; /* outlives the coordinator's process, as its disk does */
    struct rn_sa_set excluded; /* what the aggregator is told of earlier sessions */
};

/* RONDO_LONG is set: more schedules, larger cohorts. */
bool sim_is_long(void);

uint64_t sim_random(struct sim *sim);
uint32_t sim_below(struct sim *sim, uint32_t bound);

/* Builds roster and machines; nothing runs yet. sim is zeroed by it. */
void sim_init(struct sim *sim, const struct sim_options *options);
void sim_clear(struct sim *sim);
/* The same on the heap. */
struct sim *sim_new(const struct sim_options *options);
/* On a quiet network, with a liar on the wire; the seed follows from the cohort. */
struct sim *sim_tampered(uint32_t members, uint32_t colluding, uint32_t losses, sim_tamper *tamper,
                         void *context);
void sim_free(struct sim *sim);
/* Another attempt or round with the same members, ledgers and journals. */
void sim_next_session(struct sim *sim, uint64_t round, uint32_t attempt);
/* Starts the aggregator (if it is not running) and lets time pass until all live nodes are done, or
 * limit_ms. */
void sim_run(struct sim *sim, uint64_t limit_ms);

/* Value e of member i's update. */
uint64_t sim_value(const struct sim *sim, uint32_t member, uint64_t element);
/* Asserts on every node that has a sum: equal to the plain sum over the survivors it names. Returns
 * how many members have it. */
uint32_t sim_check_sums(struct sim *sim);

/* For tests that lie. */
struct rn_sa_message sim_parse(const struct rn_buffer *bytes);
/* The message with another body and transcript hash (NULL: the old one), signed by the one whom it
 * names as sender. */
void sim_sign_again(struct sim *sim, const struct rn_sa_message *m, struct rn_view body,
                    const uint8_t *hash, const uint8_t *body_hash, struct rn_buffer *out);
/* What a machine gave as evidence convinces whoever has the roster. */
struct rn_sa_evidence sim_prove(const struct sim *sim, const struct rn_sa_action *action);
/* Hands bytes to the machine; it must refuse them, do nothing, and blame the other side. */
void sim_expect_refused(struct sim *sim, uint32_t from, uint32_t to, struct rn_view bytes);

#endif
