/* SPDX-License-Identifier: Apache-2.0
 *
 * The coordinator and up to n_c members are one adversary: honest members' real machines, ledgers
 * and journals against a seeded puppeteer that signs for all the others. It keeps a *face* for each
 * story that it tells: a transcript, the honest members that are told it, and the secrets of its
 * own members in it. The sources collusion_*.c are parts of one program, test_secagg_corrupt.c.
 *
 * The puppeteer asks the checks of the product itself what it may tell: where one of them is
 * missing it goes on with the forgery, until an invariant (collusion_check.c) sees what it cost.
 */
#ifndef RN_TESTS_COLLUSION_H
#define RN_TESTS_COLLUSION_H

#include "crypto/secagg/messages.h"
#include "tests/simulation/simulator.h"

#define PLACES 8u /* most members of a roster here */
#define FACES 5u
#define ELEMENTS 6u
#define CHUNKS 2u
#define SESSIONS 12u /* most session ids of one sequence */

/* What it does, each seen to happen. */
#define MENU(X)                                                                           \
    X(OFFER_TWO)        /* two session ids for one round and attempt */                   \
    X(OFFER_AGAIN)      /* a joined round and attempt once more */                        \
    X(OFFER_RERUN)      /* the same update in another round or attempt */                 \
    X(READY_FEW)        /* a Ready set below the floor */                                 \
    X(READY_SPLIT)      /* two Ready sets */                                              \
    X(READY_FORGED)     /* other keys, or an old Ready, for an honest member */           \
    X(DEAL_FALSE)       /* corrupt dealers garble entries */                              \
    X(SHARES_SPLIT)     /* other dealers for others */                                    \
    X(COMPLAIN)         /* corrupt holders complain without a cause */                    \
    X(ACKS_FEW)         /* an Ack set below the floor, or with Acks of another story */   \
    X(ACKS_SPLIT)       /* two Ack sets */                                                \
    X(UPLOAD_POISON)    /* corrupt uploads outside of the range that cancel, or do not */ \
    X(DONE_TWICE)       /* corrupt members sign two uploads */                            \
    X(SLOW)             /* an honest member's Done comes late or never */                 \
    X(LOSE)             /* a whole upload is called lost */                               \
    X(SURVIVORS_FEW)    /* below the floor */                                             \
    X(SURVIVORS_SPLIT)  /* two sets of survivors */                                       \
    X(ABORT_CALL)       /* some are asked to vote ABORT */                                \
    X(CERTIFICATE_FEW)  /* too few votes, one twice, votes for something else */          \
    X(CERTIFICATE_BOTH) /* an abort certificate, true or forged, beside it */             \
    X(SECRET_FALSE)     /* a Result with another secret */                                \
    X(BLAME_FALSE)      /* an honest answer as a proof, or a corrupt one that is false */ \
    X(SUM_FORGED)       /* another sum, with a root of its own */                         \
    X(SUM_SPLIT)        /* two sums */                                                    \
    X(REPLAY_LIES)      /* false leaves and chunks */                                     \
    X(REPLAY_WITHHELD)  /* none */                                                        \
    X(RECEIPTS_FEW)     /* below the quorum, one twice */                                 \
    X(RECEIPTS_FORGED)  /* corrupt members' for a sum that nobody uploaded */             \
    X(CROSS)            /* a message of another session */                                \
    X(NOISE)            /* a message of another story or another time */                  \
    X(RESTART)          /* an honest member's process ends and starts again */

enum item {
#define X(name) name,
    MENU(X)
#undef X
        ITEMS
};

/* A message that somebody signed, in the order of signing. */
struct note {
    uint32_t from; /* place, or SIM_COORDINATOR */
    struct rn_sa_message m;
    struct rn_buffer bytes;
};

/* A whole upload under one T1: of an honest member as it left the machine. */
struct upload {
    uint32_t member;
    uint8_t session[RN_HASH_BYTES], t1[RN_HASH_BYTES], root[RN_HASH_BYTES];
    struct rn_sa_set linked;
    uint64_t values[ELEMENTS]; /* modulo 2^b */
    uint8_t leaves[CHUNKS * RN_HASH_BYTES];
    struct rn_buffer chunks[CHUNKS];
    struct rn_buffer done;
    size_t at; /* notes before it */
};

struct face {
    bool alive;
    struct rn_sa_transcript t;
    struct rn_sa_set told; /* honest members */
    struct rn_sa_secrets secrets[PLACES];
    struct rn_sa_slot slots[PLACES][PLACES]; /* of those */
    struct rn_sa_set valid[PLACES];
    struct rn_scalar opened[PLACES];
    uint64_t sum[ELEMENTS];
    struct rn_sa_set deaf; /* get no more of a replay */
};

/* One session id. */
struct seance {
    uint8_t id[RN_HASH_BYTES], adapter[RN_HASH_BYTES];
    uint64_t round;
    uint32_t attempt, active;
    bool opened; /* the adversary can compute a sum of honest members */
    bool taken;
    uint8_t next[RN_HASH_BYTES]; /* the adapter that was taken */
};

/* An honest member: the machine under way, and the one of the session before. */
struct site {
    struct rn_sa_member *machine[2];
    uint32_t current;
    uint64_t vector[2];
    bool bulk[2]; /* the upload waits */
    uint8_t adapter[RN_HASH_BYTES];
};

struct tally {
    uint64_t sessions, sequences, offered, certified, aborted, opened, finished, encoded_again,
        evidence, refused;
    uint64_t seen[ITEMS];
};

struct plot {
    struct sim *sim;
    struct tally *tally;
    struct rn_sa_set corrupt, honest;
    struct site sites[PLACES];
    struct note *notes;
    size_t note_count, note_capacity;
    size_t session_start; /* first note of the session under way */
    struct upload *uploads;
    size_t upload_count;
    struct seance seances[SESSIONS];
    uint32_t seance_count, session_seances;
    struct face *faces[FACES];
    uint64_t round;
    uint32_t attempt;
    bool menu[ITEMS];
    struct rn_buffer asks[PLACES]; /* a replay that is not served yet */
    struct rn_sa_set slow;
};

#endif
