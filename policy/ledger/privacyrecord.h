/* SPDX-License-Identifier: Apache-2.0
 *
 * The records of a privacy ledger (privacyledger.h) and their text: one record a line,
 *
 *     KIND name value name value ...
 *
 * the names of a kind always all and in one order, single spaces between. One table of fields
 * (privacyrecord.c) is writer and parser; what is read is what would be written, byte for byte. A
 * record says what happened and is never redefined; unknown kinds, names and words are refused.
 *
 * Values: decimal integers without leading zeros; doubles as C99 hexadecimal floats as printf's %a
 * writes them, so no value is rounded; hashes as 64 lower-case hex digits; names of a-z, 0-9 and
 * '-'; words of fixed lists. Sans-I/O.
 */
#ifndef RN_POLICY_PRIVACYRECORD_H
#define RN_POLICY_PRIVACYRECORD_H

#include "base/bytes.h"
#include "base/result.h"
#include "policy/accountant/privacyevent.h"
#include "policy/plan.h"

#define RN_PRIVACY_VERSION 1
#define RN_PRIVACY_NAME_MAX 63
#define RN_PRIVACY_RECORDS_MAX 1000000000ull /* of a lineage's data */
#define RN_PRIVACY_TRAININGS_MAX 1000000u    /* of one plan */
#define RN_PRIVACY_STEPS_MAX 1000000u        /* of one training */
#define RN_PRIVACY_GRID_MAX (1u << 23)
#define RN_PRIVACY_EPSILON_MAX 100.0

enum rn_privacy_record_kind {
    RN_PRIVACY_RECORD_HEADER,
    RN_PRIVACY_RECORD_PLAN,
    RN_PRIVACY_RECORD_INTENT,
    RN_PRIVACY_RECORD_COMMIT,
    RN_PRIVACY_RECORD_CLOSE,
    RN_PRIVACY_RECORD_RELEASE,
    RN_PRIVACY_RECORD_NONPRIVATE,
    RN_PRIVACY_RECORD_SHARED, /* a plan whose noise the members add together: as.plan, honest > 0 */
    RN_PRIVACY_RECORD_KINDS
};

/* What one is protected: a record, or a person of whom up to `group` records are there. */
enum rn_privacy_unit { RN_PRIVACY_UNIT_RECORD = 0, RN_PRIVACY_UNIT_PERSON };
/* Neighbouring data: a unit's records emptied in their place, or added or removed. */
enum rn_privacy_adjacency { RN_PRIVACY_ZERO_OUT = 0, RN_PRIVACY_ADD_REMOVE };
/* Which records a step takes: each for itself with probability threshold / 2^64; all; or each in
 * exactly `threshold` of a training's steps, chosen by chance, for itself. */
enum rn_privacy_sampler {
    RN_PRIVACY_SAMPLER_POISSON = 0,
    RN_PRIVACY_SAMPLER_ALL,
    RN_PRIVACY_SAMPLER_ALLOCATION
};
enum rn_privacy_matrices {
    RN_PRIVACY_MATRICES_A = 1, /* bits RN_PLAN_MATRIX_ of policy/plan.h */
    RN_PRIVACY_MATRICES_B = 2,
    RN_PRIVACY_MATRICES_BOTH = 3
};
/* Where a training's randomness comes from: the operating system, or a seed of a test, of which
 * nothing can be claimed. */
enum rn_privacy_rng { RN_PRIVACY_RNG_SYSTEM = 0, RN_PRIVACY_RNG_TEST_SEED };
enum rn_privacy_status {
    RN_PRIVACY_SENT = 0, /* handed to the network, or may have been */
    RN_PRIVACY_DROPPED,  /* sent, and the round went on without it */
    RN_PRIVACY_ABORTED,  /* the round's session ended without a sum */
    RN_PRIVACY_FAILED    /* the training ended without an update: output is all zero */
};
enum rn_privacy_mechanism {
    RN_PRIVACY_CONSTANT = 0, /* does not depend on the data */
    RN_PRIVACY_STATED        /* epsilon and delta of a mechanism of which no more is known */
};

/* The first record: the terms, fixed for the life of the lineage. */
struct rn_privacy_terms {
    uint32_t version;
    uint8_t identity[32]; /* Ed25519 key of the member, which signs each record */
    char lineage[RN_PRIVACY_NAME_MAX + 1];
    uint8_t commitment[32]; /* rn_privacy_lineage_commit */
    enum rn_privacy_unit unit;
    uint32_t group;       /* k, most records of a person, 1..RN_PRIVACY_GROUP_MAX; 1 with record */
    uint64_t records_max; /* n_max: public bound of the number of records */
    enum rn_privacy_adjacency adjacency;
    double epsilon; /* of the lineage's whole life */
    double delta;   /* likewise; at most records_max^-1.1 */
    double order;   /* of the filter, RN_RDP_ORDER_MIN..MAX */
    double bound;   /* B, derived: rn_privacy_terms_derive */
};

/* Before data is touched: what a plan may do at most. */
struct rn_privacy_plan {
    uint8_t hash[32];
    char name[RN_PRIVACY_NAME_MAX + 1];
    enum rn_plan_method method;
    uint32_t rounds;    /* 1..RN_PLAN_ROUNDS_MAX */
    uint32_t trainings; /* most ever begun under the plan, retries included; >= rounds */
    uint32_t steps;     /* of each training */
    enum rn_privacy_sampler sampler;
    uint64_t threshold; /* q = threshold / 2^64; UINT64_MAX with ALL, less and >= 1 with POISSON;
                           ALLOCATION: picks, 1..steps, and q = picks / steps */
    uint32_t cap;       /* most records of a step; a larger draw is cut by a uniform choice */
    double noise;       /* multiplier: deviation of the noise / clip */
    double clip;        /* C, the norm of a record's gradient after clipping */
    uint32_t grid;      /* S, the same norm in whole numbers */
    double denominator; /* public, >= 1 */
    uint64_t dimension; /* trained values at most; 0: not stated */
    uint32_t honest;    /* 0: the noise is the member's own. Else so many members, itself included,
                           reach `noise` with their shares together, whoever else there is */
    double epsilon;     /* by PLD, with shares by RDP, of all trainings * steps events at the
                           lineage's delta */
    double deviation;   /* derived: noise * grid, of the noise in whole numbers; with shares
                           rn_privacy_share of it, of the member's own */
    double cut;         /* derived: what cutting can add to delta, of all events */
    double filter_before; /* derived: the filter's sum without this plan */
    double filter_after;  /* derived: with all of it */
};

/* Before a training's first gradient: spent from here on. */
struct rn_privacy_intent {
    uint64_t counter; /* derived: 1, 2, 3 ... over the lineage's life */
    uint8_t plan[32];
    uint32_t round;
    uint32_t training; /* derived: 1, 2, 3 ... of the plan */
    uint32_t steps;    /* the plan's */
    uint8_t adapter[32];
    uint8_t keys[32]; /* rn_privacy_keys_commit */
    enum rn_privacy_matrices matrices;
    enum rn_privacy_rng rng;
};

/* What came of the latest intent. */
struct rn_privacy_commit {
    uint64_t counter;
    uint8_t output[32]; /* hash of the exact encoded update */
    enum rn_privacy_status status;
};

/* The plan ends; what was not begun is free again in the filter. */
struct rn_privacy_close {
    uint8_t plan[32];
    uint32_t trainings; /* derived: begun */
    double filter;      /* derived: the sum from here on */
};

/* Something else left that depends on the data, or was shown not to. */
struct rn_privacy_release {
    char what[RN_PRIVACY_NAME_MAX + 1];
    enum rn_privacy_mechanism mechanism;
    double epsilon, delta; /* 0 of a CONSTANT */
    double filter;         /* derived: the sum from here on */
};

/* A plan whose updates leave without noise ran over the lineage's data: the ledger can claim
 * nothing from here on. */
struct rn_privacy_nonprivate {
    uint8_t plan[32];
    char name[RN_PRIVACY_NAME_MAX + 1];
};

struct rn_privacy_record {
    enum rn_privacy_record_kind kind;
    union {
        struct rn_privacy_terms header;
        struct rn_privacy_plan plan;
        struct rn_privacy_intent intent;
        struct rn_privacy_commit commit;
        struct rn_privacy_close close;
        struct rn_privacy_release release;
        struct rn_privacy_nonprivate nonprivate;
    } as;
};

/* PLAN or, with shares of noise, SHARED. */
static inline enum rn_privacy_record_kind rn_privacy_plan_kind(const struct rn_privacy_plan *plan)
{
    return plan->honest == 0 ? RN_PRIVACY_RECORD_PLAN : RN_PRIVACY_RECORD_SHARED;
}

/* Appends the record's text, without chain, signature and line end. */
void rn_privacy_record_write(const struct rn_privacy_record *record, struct rn_buffer *out);
/* The other way; false for anything that rn_privacy_record_write does not write. Values are as they
 * stand there: what they may be is checked by the ledger. */
RN_MUST bool rn_privacy_record_parse(struct rn_view text, struct rn_privacy_record *out);

/* Stable words of the text; never NULL. */
const char *rn_privacy_record_name(enum rn_privacy_record_kind kind);
const char *rn_privacy_status_name(enum rn_privacy_status status);
const char *rn_privacy_unit_name(enum rn_privacy_unit unit);
const char *rn_privacy_adjacency_name(enum rn_privacy_adjacency adjacency);
const char *rn_privacy_sampler_name(enum rn_privacy_sampler sampler);

/* SHA-256("rondo/v1 data lineage", salt || data || lineage): which data the lineage is about, said
 * to nobody who does not have the salt. data: a hash of what the owner wants to be able to show
 * later; zeros: nothing. The owner keeps salt and data. */
void rn_privacy_lineage_commit(const uint8_t salt[static 32], const uint8_t data[static 32],
                               const char *lineage, uint8_t out[static 32]);
/* SHA-256("rondo/v1 privacy keys", a || b): of the keys from which a training draws. Two keys: of
 * the sampler and of the noise. */
void rn_privacy_keys_commit(const uint8_t sampler[static 32], const uint8_t noise[static 32],
                            uint8_t out[static 32]);

#endif
