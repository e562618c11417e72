/* SPDX-License-Identifier: Apache-2.0
 *
 * A seeded world for whole jobs: the coordination and the participation of the services, each with
 * a store that survives crashes, a network of connections that break, training and publishing as
 * functions, and an oracle that knows what every adapter must be. A schedule is repeated from its
 * seed. The drivers here do what services/host/executor.c does: effects in order, none behind a
 * commit that is not durable.
 *
 * What is checked while it runs (job_fail prints how to replay the test or the seed):
 *   - adapters: after each round every node has, bit for bit, the adapter that the plain sum of the
 *     contributors' integers gives; a round has one sum;
 *   - durable before said: Ready, Done, Vote, Reveal, Certificate, Result, ... stand in the durable
 *     records of their sender when they leave;
 *   - spent updates (rule A9): after Done no second session has an update of the same parts from
 *     the same adapter, unless an abort certificate for the first one was given to its member;
 *   - one Vote and one Reveal for each member and session;
 *   - whole vectors are pruned only when every member has a receipt;
 *   - final is published only by who arrived at that adapter, and is the newest one;
 *   - nothing is trained, and no protocol message said, by a member whose disk does not hold the
 *     signatures of the plan that its policy asks for;
 *   - who has a stop on its disk trains nothing, and says in a session what it said before, what it
 *     takes to follow it, and that it is to be called off;
 *   - where the plan needs a share graph: no protocol message by a member whose disk does not hold
 *     its documents; a reveal leaves when the set that it is under is on the disk, and a member
 *     reveals under one set an attempt and never in an earlier one; the coordinator's documents are
 *     durable when they leave, and there is one set an attempt;
 *   - of a blind job the coordinator publishes nothing and has no record of an adapter, and nobody
 *     takes part without the group key's document on its disk;
 *   - with federated evaluation: a measure is the mean of the members in its sum, of the adapter
 *     that the round started from; no member's measure of one adapter is in two sums; best round
 *     and early end are those of the true measures, and no round is summed after that end.
 */
#ifndef RN_TESTS_JOBSIM_H
#define RN_TESTS_JOBSIM_H

#include "services/federation/coordination.h"
#include "services/federation/epochmessage.h"
#include "services/federation/jobepoch.h"
#include "services/federation/participation.h"
#include "services/store/memorystore.h"
#include "tests/simulation/memoryspool.h"

#define JOB_MEMBERS_MAX 12u
#define JOB_NODES (JOB_MEMBERS_MAX + 1)
#define JOB_SEGMENTS 6u
#define JOB_ADAPTER_MAX 64u
#define JOB_VECTOR_MAX 128u
#define JOB_ROUNDS_MAX 16u
#define JOB_NEVER UINT64_MAX

struct job;

/* What a schedule may do to the job until `trouble_ms`; percentages are per opportunity. */
struct job_options {
    uint64_t seed;
    uint32_t members, losses, colluding, honest;
    enum rn_plan_method method;
    enum rn_plan_head head;
    enum rn_plan_weights weights;
    uint32_t rounds, attempts;
    bool evaluation, keep_best;
    uint32_t patience;
    uint64_t kept_bytes;    /* of whole vectors, for members away; 0: the default */
    uint64_t share_bytes;   /* of sets of shares under way; 0: the default */
    uint32_t delay_ms;      /* most, of one message */
    uint32_t commit_ms;     /* most, of one commit ... */
    uint32_t commit_min_ms; /* ... beyond this */
    uint32_t training_ms;   /* most */
    uint32_t publish_ms;    /* most */
    uint64_t trouble_ms;    /* from then on the network heals and everybody comes back */
    uint32_t break_percent; /* a connection breaks, per second */
    uint32_t crash_percent; /* a node crashes at its next effects, per second */
    uint32_t write_percent; /* a store's next write fails, per second */
    uint32_t jump_percent;  /* a node is suspended or its wall clock jumps, per second */
    uint32_t drain_percent; /* a node gets a signal, per second */
    uint32_t train_percent; /* a training fails */
    uint32_t still;         /* rounds, a bit each, in which training changes nothing */
    bool blind;             /* the coordinator is blind */
    bool hybrid;            /* its group key is sealed by X25519 and ML-KEM-768 */
    bool own_signatures;    /* members begin with theirs and the coordinator's alone */
    uint64_t collect_ms;    /* then the operator has them all; until then the coordinator's alone */
};

enum job_mood {
    JOB_WILLING = 0,
    JOB_NEVER_THERE,   /* its process is never started */
    JOB_REFUSES,       /* its policy wants more survivors than there can be */
    JOB_REFUSES_LATER, /* from the second start of its process on */
    JOB_LIES,          /* reveals false shares */
    JOB_COMPLAINS,     /* of member 0's shares, which are right */
    JOB_POISONS,       /* its vectors are none that a member's counts give */
};

/* A connection from a member to the coordinator. */
struct job_link {
    uint64_t number;   /* 0: none */
    uint64_t break_at; /* it ends in order, when what is on its way has arrived; JOB_NEVER */
    uint64_t dial_at;
    uint64_t last[2];    /* delivery times never go back: up, down */
    uint64_t gone;       /* number of the one that broke last */
    uint64_t gone_at[2]; /* when coordinator and member notice; JOB_NEVER */
    bool dropped;        /* a message found no room: LOST at the next tick */
};

struct job_pending {
    struct rn_effect effect;
    uint64_t after; /* the commit that must be durable before */
};

struct job_bulk {
    bool active;
    uint8_t session[RN_HASH_BYTES];
    uint32_t chunks;
    uint8_t wanted[512];
};

struct job_watch;

struct job_node {
    struct job *job;
    struct job_watch *watch; /* jobwatch.h */
    uint32_t place;          /* members first; JOB's `members` is the coordinator */
    enum job_mood mood;
    enum rn_sa_type withholds; /* such messages of it never leave; 0: all do */
    struct rn_identity *identity;
    struct rn_job_basis basis;
    struct rn_round_model model;
    struct rn_memory_disk *disk;
    struct memory_spool spool; /* of uploads; on the same disk */
    struct rn_store *store;    /* NULL while down */
    struct rn_coordination *coordination;
    struct rn_participation *participation;

    struct job_pending *queue;
    size_t queue_count, queue_capacity;
    uint64_t submitted, durable;
    uint64_t commit_at; /* when the oldest commit that waits is durable */

    bool ended; /* its last process ended by itself */
    rn_result result;
    uint32_t starts, ends;
    uint64_t start_at; /* JOB_NEVER: not by itself */
    uint64_t crash_in; /* effects and commits until it crashes; JOB_NEVER */
    bool crash_after_commit;
    uint64_t away_ms; /* it stays down so much longer when it crashes */
    uint64_t asleep_until;
    uint64_t mono_offset;
    int64_t wall_offset;
    unsigned signals;

    struct rn_train_order train;
    bool training, train_cancelled;
    float measured_head[JOB_ADAPTER_MAX]; /* the local head that was measured last ... */
    uint32_t measured_round;              /* ... by the training of this round; 0: none */
    float best_head[JOB_ADAPTER_MAX]; /* that of the best adapter, where this node measured it */
    bool has_best_head;
    uint64_t train_at;
    struct rn_publish_order publish[32];
    uint32_t publish_count;
    uint64_t publish_at;
    struct job_bulk bulk[JOB_MEMBERS_MAX + 1];

    struct rn_sa_epoch_revealed revealed; /* what it revealed under last, over all its processes */

    struct rn_policy policy;     /* a member's rules on signers */
    struct rn_buffer signatures; /* plan.yaml.sigs on its disk */
    bool signed_enough;          /* by its policy, as they are on its disk */
    bool stopped;                /* its disk holds a stop */
    uint32_t keeps;              /* KEPT is owed so often, from kept_at on */
    uint64_t kept_at;

    uint64_t fresh[JOB_VECTOR_MAX]; /* what it encoded last */
    bool has_fresh;

    /* what it is known to have reached */
    uint32_t rounds_done; /* newest summed round on its disk */
    uint32_t rounds_ever; /* the same, whatever became of its disk */
    bool final_published, best_published;
    uint8_t final_hash[RN_HASH_BYTES];
    uint32_t lost_state; /* times its disk was emptied or set back */
};

struct job_packet {
    uint64_t at, order;
    uint32_t from, to;
    uint64_t number;
    bool bulk;
    struct rn_buffer bytes;
};

/* One member's vector in one session, as it encoded it, and what became of it. */
struct job_vector {
    uint32_t member, round;
    uint8_t session[RN_HASH_BYTES];
    uint8_t before[RN_HASH_BYTES];
    uint32_t parts;
    bool measured; /* it holds a measure of `before` */
    bool done;     /* Done was sent */
    bool closed;   /* an abort certificate reached the member */
    uint8_t vote[RN_HASH_BYTES], reveal[RN_HASH_BYTES]; /* hashes of what was sent; zero: nothing */
    uint64_t values[JOB_VECTOR_MAX];
};

/* The truth about a round. */
struct job_truth {
    bool known;
    uint8_t session[RN_HASH_BYTES];
    float values[JOB_ADAPTER_MAX];
    uint8_t after[RN_HASH_BYTES];
    struct rn_round_measure start; /* of the adapter it started from */
};

/* Whose vectors a session sums, by the coordinator's Survivors message. */
struct job_survivors {
    uint8_t session[RN_HASH_BYTES];
    uint32_t members; /* bits */
};

/* The first members that said something in a session. */
struct job_few {
    uint8_t session[RN_HASH_BYTES]; /* the newest */
    uint32_t members;               /* bits */
};

struct job {
    struct job_options options;
    struct rn_plan plan;
    struct rn_roster roster;
    struct rn_segment segments[4][JOB_SEGMENTS];
    uint32_t coordinator; /* its place: options.members */
    struct job_node nodes[JOB_NODES];
    struct job_link links[JOB_MEMBERS_MAX];
    struct job_packet *packets;
    size_t packet_count, packet_capacity;
    uint64_t now, order, random, numbers;
    struct job_truth truth[JOB_ROUNDS_MAX + 1]; /* 0: the start */
    uint32_t newest;                            /* newest summed round */
    uint32_t best_round;                        /* by what was measured; UINT32_MAX: nothing was */
    uint32_t stopped_round;                     /* 0: no early end */
    struct job_vector *vectors;
    size_t vector_count, vector_capacity;
    struct job_survivors *survivors;
    size_t survivor_count, survivor_capacity;
    struct job_node *current; /* whose step runs */
    uint32_t sums;            /* rounds that got a sum */
    uint32_t skips;
    uint32_t stranded; /* members that the coordinator gave up: bits */
    bool healed;
    bool directed;       /* nothing heals, and nobody is started but by the test */
    uint32_t vote_limit; /* most members whose votes reach the coordinator in a session; 0: all */
    struct job_few voters;
    uint32_t few_round; /* in it, who gets ready when few_limit are is down from then on; 0: none */
    uint32_t few_limit;
    struct job_few ready;
    uint32_t few_dropped; /* votes and members that these two took away */
    bool restart_at_vote;
    bool collected;
    bool drops_stops; /* no stop reaches the coordinator */
    bool deaf;        /* the coordinator does not hear that members wait for signatures */
    /* Drawing the share graph: members (bits) whose reveals are lost, who reveal another
     * contribution under their signature, and whom a document of the coordinator does not reach. */
    uint32_t mute, alters, no_set, no_reveals;
    uint8_t sets[RN_SA_EPOCH_ATTEMPTS_MAX + 1][RN_HASH_BYTES]; /* the coordinator's, by attempt */
    char what[160];                                            /* of a failure */
};

/* ---- A world */
struct job *job_new(const struct job_options *options);
void job_free(struct job *job);
/* Lets time pass until everybody has ended, or limit_ms. True: all ended. */
bool job_run(struct job *job, uint64_t limit_ms);
/* Until the condition holds; false: limit_ms passed. */
bool job_run_until(struct job *job, bool (*holds)(struct job *job), uint64_t limit_ms);

uint64_t job_random(struct job *job);
uint32_t job_below(struct job *job, uint32_t bound);

/* ---- What tests do to it */
void job_start_node(struct job *job, uint32_t place);
void job_crash(struct job *job, uint32_t place, uint64_t restart_in_ms);
void job_empty_disk(struct job *job, uint32_t place);
void job_signal(struct job *job, uint32_t place);
void job_break(struct job *job, uint32_t member, uint64_t redial_in_ms);
void job_abort(struct job *job, const char *text);
/* The same at a member. */
void job_stop(struct job *job, uint32_t member, const char *text);
/* The node hears an envelope of these bytes, on its newest connection: by `from` at a coordinator,
 * by the coordinator at a member. */
void job_tell(struct job *job, uint32_t place, uint32_t from, struct rn_view bytes);
bool job_is_up(const struct job *job, uint32_t place);
struct rn_coordination_view job_view(struct job *job);
struct rn_participation_view job_member_view(struct job *job, uint32_t member);
/* Records of a kind on a node's disk; of any round, or of one. */
uint32_t job_records(struct job *job, uint32_t place, enum rn_record_kind kind);
uint32_t job_records_of_round(struct job *job, uint32_t place, enum rn_record_kind kind,
                              uint32_t round);
/* What a site's plan.yaml.sigs holds from now on: bits, JOB's `members` is the coordinator. Nobody
 * is told. */
void job_sign(struct job *job, uint32_t place, uint32_t signers);
/* The text of such a file; the caller clears it. */
void job_signatures_text(struct job *job, uint32_t signers, struct rn_buffer *out);
/* The running node's file has changed: it is told. */
void job_tell_signatures(struct job *job, uint32_t place, struct rn_view text);
/* Asserts over everybody at the end; see the top. */
void job_check_end(struct job *job);

_Noreturn void job_fail(const struct job *job, const char *format, ...) RN_PRINTF(2, 3);

#endif
