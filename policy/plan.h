/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan: what all members agreed to compute, as data (FORMATS.md, "plan.yaml").
 *
 * A plan is a closed YAML file. Its hash is taken over its exact bytes and it is never written
 * again from this struct, so what was signed is what was read. An unknown, missing, repeated or
 * mistyped key, or a value outside its range, is RN_E_CONFIG with line and field. struct rn_plan is
 * plain data without pointers: copy it freely, nothing to clear.
 *
 * Rounds count from 1. Which matrices a round trains follows from its number alone
 * (rn_plan_active). Sans-I/O: no file, clock or socket in here.
 */
#ifndef RN_POLICY_PLAN_H
#define RN_POLICY_PLAN_H

#include "base/bytes.h"
#include "base/result.h"
#include "policy/field.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_PLAN_VERSION 1
#define RN_PLAN_BYTES_MAX ((size_t)64 * 1024)
#define RN_PLAN_NAME_MAX 63 /* federation and plan names, bytes without NUL */
#define RN_PLAN_HASH_TEXT RN_FIELD_HASH_TEXT
#define RN_PLAN_LABELS_MAX 256 /* classes */
#define RN_PLAN_LABEL_MAX 63
#define RN_PLAN_TARGETS_MAX 32
#define RN_PLAN_TARGET_MAX 95
#define RN_PLAN_LAYERS_MAX 256
#define RN_PLAN_ROUNDS_MAX 100000u
#define RN_PLAN_MEMBERS_MAX 1024

enum rn_plan_method {
    RN_METHOD_ROLORA = 0, /* B, A, B, A ... */
    RN_METHOD_FFA_LORA,   /* always B */
    RN_METHOD_FEDAVG_LORA /* always both */
};
enum rn_plan_weights { RN_WEIGHTS_UNIFORM = 0, RN_WEIGHTS_EXAMPLES };
enum rn_plan_coordinator { RN_PLAN_COORDINATOR_OPEN = 0, RN_PLAN_COORDINATOR_BLIND };
enum rn_plan_kem { RN_PLAN_KEM_NONE = 0, RN_PLAN_KEM_HYBRID };
enum rn_plan_metrics { RN_METRICS_HOME = 0, RN_METRICS_SUMMED };
enum rn_plan_task { RN_PLAN_CLASSIFICATION = 0, RN_PLAN_REGRESSION };
enum rn_plan_metric {
    RN_PLAN_METRIC_ACCURACY = 0,
    RN_PLAN_METRIC_F1,
    RN_PLAN_METRIC_MATTHEWS,
    RN_PLAN_METRIC_PEARSON,
    RN_PLAN_METRIC_SPEARMAN
};
enum rn_plan_lora_init { RN_PLAN_INIT_KAIMING = 0, RN_PLAN_INIT_ORTHONORMAL };
enum rn_plan_head { RN_PLAN_HEAD_FROZEN = 0, RN_PLAN_HEAD_FEDERATED, RN_PLAN_HEAD_LOCAL };
enum rn_plan_optimizer { RN_PLAN_ADAMW = 0, RN_PLAN_SGD };
enum rn_plan_privacy_mode { RN_PLAN_PRIVACY_LOCAL = 0, RN_PLAN_PRIVACY_SHARED };
enum rn_plan_sampling { RN_PLAN_POISSON = 0, RN_PLAN_ALLOCATION };
enum rn_plan_clipping { RN_PLAN_CLIP_FLAT = 0, RN_PLAN_CLIP_AUTOMATIC };
enum rn_plan_schedule { RN_PLAN_SCHEDULE_CONSTANT = 0, RN_PLAN_SCHEDULE_COSINE };

/* Bits of rn_plan_active; the same values as enum rn_matrix of trainer/trainer.h. */
#define RN_PLAN_MATRIX_A 1u
#define RN_PLAN_MATRIX_B 2u

struct rn_plan_model {
    char hash[RN_PLAN_HASH_TEXT + 1]; /* base model, `rondo model hash`; lower-case hex */
    uint32_t max_length;              /* tokens per example */
};

struct rn_plan_task_spec {
    enum rn_plan_task kind;
    char labels[RN_PLAN_LABELS_MAX][RN_PLAN_LABEL_MAX + 1]; /* class i's name; none: regression */
    uint32_t labels_count;
    enum rn_plan_metric metric;
};

struct rn_plan_lora {
    uint32_t rank;
    double alpha;
    bool rslora; /* scale alpha/sqrt(rank) instead of alpha/rank */
    enum rn_plan_lora_init init;
    char targets[RN_PLAN_TARGETS_MAX][RN_PLAN_TARGET_MAX + 1]; /* suffixes as in peft */
    uint32_t targets_count;
    uint32_t layers[RN_PLAN_LAYERS_MAX];
    uint32_t layers_count; /* 0: every layer */
    enum rn_plan_head head;
};

struct rn_plan_training {
    enum rn_plan_optimizer optimizer;
    double lr_a, lr_b, lr_head;
    double weight_decay;
    enum rn_plan_schedule schedule;
    uint32_t warmup_steps;
    double clip;    /* gradient norm; 0: no clipping */
    uint32_t batch; /* examples a step */
    uint32_t steps; /* local steps a round */
};

/* DP-SGD in every step of every member (trainer/dpwords.h); rate 0: none, the section is absent.
 * training.batch is the most records of a drawn batch. */
struct rn_plan_privacy {
    enum rn_plan_privacy_mode mode;
    enum rn_plan_sampling sampling;
    double rate;  /* of each record in each step */
    double noise; /* multiplier: deviation of a step's noise in units of clip */
    double clip;  /* most that a record's gradient is long */
    enum rn_plan_clipping clipping;
    double
        denominator;  /* public number that a step's sum is divided by; SHARED: times the members */
    uint32_t retries; /* trainings of the whole job beyond one a round */
    uint32_t reply_s; /* an update leaves at a multiple of this after the offer; 0: at once */
};

struct rn_plan_early_stop {
    uint32_t patience; /* rounds without improvement; 0: never */
    double min_delta;  /* least change of the measure that is one */
};

struct rn_plan_evaluation {
    bool federated; /* members' results on their development sets, inside the masked vector */
    bool keep_best; /* the best round's adapter beside the last */
    struct rn_plan_early_stop early_stop;
};

struct rn_plan_secagg {
    uint32_t colluding;                  /* n_c: members that may work with the coordinator */
    uint32_t losses;                     /* D: losses after Ready that a round survives */
    uint32_t honest;                     /* h_min: honest contributors that must remain */
    uint32_t bits;                       /* q: bits of one quantised value */
    double scale_a, scale_b, scale_head; /* clip of one element's delta; powers of two */
    uint32_t train_soft_s, train_hard_s; /* Ready stage: holds the local training */
    uint32_t stage_soft_s, stage_hard_s; /* every other stage */
    uint64_t upload_rate;                /* agreed minimum, bytes per second up */
    uint32_t attempts;                   /* sessions of a round before it is given up */
    enum rn_plan_kem kem; /* what a blind plan's group key is sealed by beside X25519 */
};

struct rn_plan_roster {
    char hash[RN_PLAN_HASH_TEXT + 1];        /* rn_roster_hash, hex */
    char coordinator[RN_PLAN_HASH_TEXT + 1]; /* coordinator's Ed25519 key, hex */
};

struct rn_plan {
    uint32_t version;
    char federation[RN_PLAN_NAME_MAX + 1];
    char name[RN_PLAN_NAME_MAX + 1];
    uint64_t seed;
    uint32_t rounds;
    enum rn_plan_method method;
    enum rn_plan_weights weights;
    uint64_t max_examples; /* largest weight a member may claim; 0 with uniform weights */
    enum rn_plan_metrics metrics;
    enum rn_plan_coordinator coordinator; /* blind: it sees neither sums nor adapters */
    struct rn_plan_model model;
    struct rn_plan_task_spec task;
    struct rn_plan_lora lora;
    struct rn_plan_training training;
    struct rn_plan_privacy privacy;
    struct rn_plan_evaluation evaluation;
    struct rn_plan_secagg secagg;
    struct rn_plan_roster roster;

    /* Derived while parsing. */
    uint8_t hash[32];            /* rn_plan_hash of the exact bytes */
    uint8_t model_hash[32];      /* model.hash decoded */
    uint8_t roster_hash[32];     /* roster.hash decoded */
    uint8_t coordinator_key[32]; /* roster.coordinator decoded */
};

/* Domain-separated SHA-256 of the exact bytes (tag "rondo/v1 plan"). */
void rn_plan_hash(struct rn_view exact, uint8_t out_hash[static 32]);

/* Parses and range-checks. source names the file in error sentences. RN_E_CONFIG on any fault. */
RN_MUST rn_result rn_plan_parse(struct rn_view exact, const char *source, struct rn_plan *out_plan,
                                struct rn_error *err);

/* Do members alone see sums and adapters? */
/* The group key of a blind job is sealed by X25519 and ML-KEM-768 together. */
static inline bool rn_plan_is_hybrid(const struct rn_plan *plan)
{
    return plan->secagg.kem == RN_PLAN_KEM_HYBRID;
}
static inline bool rn_plan_is_blind(const struct rn_plan *plan)
{
    return plan->coordinator == RN_PLAN_COORDINATOR_BLIND;
}

/* Does every update leave a member with the noise of the `privacy` section? */
static inline bool rn_plan_is_private(const struct rn_plan *plan)
{
    return plan->privacy.rate > 0.0;
}

/* Is that noise the sum of shares of the members (sharedplan.h)? */
static inline bool rn_plan_is_shared(const struct rn_plan *plan)
{
    return rn_plan_is_private(plan) && plan->privacy.mode == RN_PLAN_PRIVACY_SHARED;
}

/* With sampling `allocation`: in how many of a round's steps each record is, rate * steps. */
uint32_t rn_plan_picks(const struct rn_plan *plan);

/* Most trainings that a member ever begins in the job: one a round, and retries. */
static inline uint64_t rn_plan_trainings(const struct rn_plan *plan)
{
    return (uint64_t)plan->rounds + plan->privacy.retries;
}

/* Matrices that round (from 1) trains: RN_PLAN_MATRIX_ bits; 0 beyond `rounds`. */
unsigned rn_plan_active(const struct rn_plan *plan, uint32_t round);
/* The job's last round: `rounds`, and with federated evaluation one more, which trains nothing and
 * measures the adapter after the last one that does. */
uint32_t rn_plan_last_round(const struct rn_plan *plan);

/* Words of the fields that a policy bounds too. */
extern const struct rn_word rn_plan_method_words[3], rn_plan_weights_words[2],
    rn_plan_metrics_words[2], rn_plan_head_words[3];

/* Stable texts of the enums as they stand in YAML; never NULL. */
const char *rn_plan_method_name(enum rn_plan_method method);
const char *rn_plan_weights_name(enum rn_plan_weights weights);
const char *rn_plan_metric_name(enum rn_plan_metric metric);
const char *rn_plan_head_name(enum rn_plan_head head);

/* Every field of the file (planfields.c), and a plan that holds what a new file does: names, hashes
 * and labels are empty. */
const struct rn_field_table *rn_plan_fields(void);
void rn_plan_defaults(struct rn_plan *out_plan);

/* ---- What follows from a plan and the size of the roster (crypto/secagg/PROTOCOL.md). */

struct rn_plan_numbers {
    uint32_t members;    /* n_max: size of the roster */
    uint32_t quorum;     /* Q = floor((n_max + n_c) / 2) + 1 signatures in a certificate */
    uint32_t threshold;  /* t shares rebuild a secret; Q where the share graph is complete */
    uint32_t neighbours; /* whom a member shares its secrets with; n_max - 1: complete graph */
    uint32_t floor;      /* F = max(Q, n_c + h_min): fewest members of a session and its sum */
    uint32_t losses_max; /* n_max - F: members that may be absent or get lost */
    uint32_t value_bits; /* q; of a value with shares of noise (sharedplan.h) where it is larger */
    uint32_t sum_bits;   /* b = ceil(log2(n_max value_max + 1)) + 1 guard bit, sent per value */
    uint32_t lane_bits;  /* 32 or 64: width of one element in memory */
    uint64_t value_max;  /* of one member's element: 2^q - 2, times max_examples if weighted; with
                            shares of noise 2 rn_shared_reach */
    double headroom;     /* (2^b - 1) / (n_max * value_max): how far the largest sum is from wrap */
    uint64_t stage_seconds; /* longest time of one attempt without training and upload */
};

/* RN_E_CONFIG with the reason when the cohort cannot keep its promise: fewer than 3 members, more
 * than RN_PLAN_MEMBERS_MAX, n_max < n_c + h_min, n_max - D < F ("three members survive no loss
 * ..."), or so many neighbours in the share graph that a share set is no message any more. The
 * numbers are filled in either case. */
RN_MUST rn_result rn_plan_feasible(const struct rn_plan *plan, uint32_t members,
                                   struct rn_plan_numbers *out_numbers, struct rn_error *err);

/* F, raised to a member's own minimum (0: none): what rn_sa_floor says of this plan at run time. */
uint32_t rn_plan_floor(const struct rn_plan *plan, uint32_t members, uint32_t local_minimum);

/* Whether a site with this many training examples may take part: with `weights: examples` nobody
 * may claim more than max_examples. RN_E_CONFIG with both numbers. */
RN_MUST rn_result rn_plan_examples_check(const struct rn_plan *plan, uint64_t examples,
                                         struct rn_error *err);

/* Bytes one member uploads as masked input for a vector of d elements, canaries included; framing
 * not counted. 0 when d is 0 or beyond RN_SA_ELEMENTS_MAX. */
uint64_t rn_plan_upload_bytes(const struct rn_plan_numbers *numbers, uint64_t elements);

/* Seconds after which one attempt of a round has ended in any case. */
uint64_t rn_plan_attempt_seconds(const struct rn_plan *plan, uint32_t members,
                                 uint64_t upload_bytes);

#endif
