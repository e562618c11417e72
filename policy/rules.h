/* SPDX-License-Identifier: Apache-2.0
 *
 * The member's own rules (FORMATS.md, "policy.yaml"): what this organisation lets any plan do, set
 * by it and overridden by nobody.
 *
 * Fail-closed: a missing file, an unknown or absent field, an unknown word or a number out of range
 * is a failure, and without a parsed policy nothing runs. rn_policy_check answers before data is
 * touched, with a stable reason code for machines and a sentence for people. Only narrower than the
 * plan, never wider: a policy cannot make an unsafe plan safe. Sans-I/O.
 */
#ifndef RN_POLICY_RULES_H
#define RN_POLICY_RULES_H

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/roster.h"
#include "policy/plan.h"

#define RN_POLICY_VERSION 1
#define RN_POLICY_HASHES_MAX 16
#define RN_POLICY_NAMES_MAX 32

/* Masks over the words of a list in the file. */
#define RN_POLICY_BIT(word) (1u << (unsigned)(word))

struct rn_policy_plan {
    char hashes[RN_POLICY_HASHES_MAX][RN_PLAN_HASH_TEXT + 1]; /* pins; none: any plan in bounds */
    uint32_t hashes_count;
    uint32_t signers; /* members of the roster that must have signed */
    char signed_by[RN_POLICY_NAMES_MAX][RN_NAME_MAX + 1]; /* and these among them */
    uint32_t signed_by_count;
};

struct rn_policy_cohort {
    uint32_t members_min, members_max;
    uint32_t colluding_min;
    uint32_t honest_min;
    uint32_t losses_max;
    uint32_t threshold_min;
    bool blind; /* nothing runs but plans whose coordinator sees neither sums nor adapters */
    uint32_t survivors_min; /* raises the floor on every set of a session; 0: it stays F */
};

struct rn_policy_method {
    uint32_t allowed; /* RN_POLICY_BIT of enum rn_plan_method */
    uint32_t weights; /* of enum rn_plan_weights */
    uint32_t metrics; /* of enum rn_plan_metrics */
    bool evaluation;  /* federated evaluation on this member's development set */
    uint32_t heads;   /* of enum rn_plan_head */
};

struct rn_policy_model {
    char hashes[RN_POLICY_HASHES_MAX][RN_PLAN_HASH_TEXT + 1]; /* at least one */
    uint32_t hashes_count;
    uint32_t max_length_max;
};

struct rn_policy_lora {
    char targets[RN_PLAN_TARGETS_MAX]
                [RN_PLAN_TARGET_MAX + 1]; /* "all-linear" allows every module */
    uint32_t targets_count;
    uint32_t rank_max;
};

struct rn_policy_training {
    uint32_t rounds_max;
    uint32_t steps_max; /* local steps of one round */
    uint32_t batch_max;
};

struct rn_policy_upload {
    uint64_t bytes_max;    /* masked input of one round */
    uint32_t attempts_max; /* sessions of one round */
    uint32_t jobs_max;     /* plans over one base model that updates may go into (jobledger.h) */
};

#define RN_POLICY_SHARED_MAX 1023u

enum rn_policy_unit { RN_POLICY_UNIT_RECORD = 0, RN_POLICY_UNIT_PERSON };
enum rn_policy_zero_b { RN_POLICY_ZERO_B_WARN = 0, RN_POLICY_ZERO_B_REFUSE };

/* What this organisation promises those whose records it holds (ledger/privacyledger.h): epsilon 0:
 * the section is absent, and no private plan runs. Lineage, unit, rows, records, epsilon, delta and
 * order are fixed for the life of the ledger. */
struct rn_policy_privacy {
    bool required;                 /* plans without noise are refused */
    char lineage[RN_NAME_MAX + 1]; /* which data: a ledger of its own */
    enum rn_policy_unit unit;
    uint32_t rows;         /* most records of one person; 1 with RECORD */
    uint64_t records_max;  /* public bound on the number of records */
    double epsilon, delta; /* of everything ever released over the lineage */
    double order;          /* of the filter; 0: chosen when the ledger begins (filter.h) */
    double epsilon_plan;   /* most of one plan, at delta */
    double noise_min, rate_max, clip_max;
    uint32_t shared_honest; /* most members, oneself included, whose noise a plan may count on; 0:
                               only plans with noise of one's own */
    enum rn_policy_zero_b zero_b; /* a round of A while B is zero: noise without a signal */
};

/* One member of the roster as this organisation knows it. */
struct rn_policy_member {
    char name[RN_NAME_MAX + 1];
    char key[RN_PLAN_HASH_TEXT + 1]; /* Ed25519 identity key, hex */
};

/* One pin for each member of the largest roster. */
#define RN_POLICY_PINS_MAX RN_ROSTER_MEMBERS_MAX
/* Of the file: what people write, and the pins as rn_pins_write writes them (name and key in 21
 * more bytes) with room for a comment. */
#define RN_POLICY_BYTES_MAX ((size_t)64 * 1024 + (size_t)RN_POLICY_PINS_MAX * 192)

struct rn_policy {
    uint32_t version;
    char federation[RN_NAME_MAX + 1];
    char coordinator[RN_PLAN_HASH_TEXT + 1]; /* Ed25519 key, hex */
    struct rn_policy_plan plan;
    struct rn_policy_cohort cohort;
    struct rn_policy_method method;
    struct rn_policy_model model;
    struct rn_policy_lora lora;
    struct rn_policy_training training;
    struct rn_policy_upload upload;
    struct rn_policy_privacy privacy;
    struct rn_policy_member members[RN_POLICY_PINS_MAX]; /* pins.h; none: nothing runs */
    uint32_t members_count;
};

/* RN_E_CONFIG with line and field. source names the file in sentences. */
RN_MUST rn_result rn_policy_parse(struct rn_view text, const char *source,
                                  struct rn_policy *out_policy, struct rn_error *err);

/* Every field of the file. */
const struct rn_field_table *rn_policy_fields(void);

/* What the ledger of the policy's lineage has without the plan in question (privacyledger.h). */
struct rn_policy_spent {
    double filter; /* sum of divergences */
    double apart;  /* of delta, for what the filter cannot say */
};

/* What this member found out by itself. */
struct rn_policy_facts {
    struct rn_identity_public self_key; /* of this member's identity */
    struct rn_view roster_bytes;        /* the exact roster this member holds */
    const bool *signed_by;              /* [roster->count] verified signatures; NULL: none */
    bool coordinator_signed;
    bool model_known;
    uint8_t model_hash[32]; /* of the files in this member's model directory */
    struct rn_policy_spent spent;
};

/* How much must hold. PROPOSED: before this member signs (signatures are not counted). RUN:
 * everything, before data is touched. */
enum rn_policy_stage { RN_POLICY_PROPOSED, RN_POLICY_RUN };

/* The stable codes; texts such as "policy-rank-too-large". */
enum rn_policy_reason {
    RN_POLICY_ACCEPTED = 0,
    RN_POLICY_FEDERATION,        /* policy-federation */
    RN_POLICY_COORDINATOR,       /* policy-coordinator */
    RN_POLICY_ROSTER,            /* policy-roster: not the roster of the plan */
    RN_POLICY_NOT_IN_ROSTER,     /* policy-not-in-roster */
    RN_POLICY_MEMBERS,           /* policy-members: the roster is not what the policy pins */
    RN_POLICY_PLAN_NOT_PINNED,   /* policy-plan-not-pinned */
    RN_POLICY_INFEASIBLE,        /* policy-infeasible: the cohort cannot keep its promise */
    RN_POLICY_COHORT_TOO_SMALL,  /* policy-cohort-too-small */
    RN_POLICY_COHORT_TOO_LARGE,  /* policy-cohort-too-large */
    RN_POLICY_COLLUDING_TOO_FEW, /* policy-colluding-too-few */
    RN_POLICY_HONEST_TOO_FEW,    /* policy-honest-too-few */
    RN_POLICY_LOSSES_TOO_MANY,   /* policy-losses-too-many */
    RN_POLICY_THRESHOLD_TOO_LOW, /* policy-threshold-too-low */
    RN_POLICY_NOT_BLIND,         /* policy-not-blind */
    RN_POLICY_METHOD,            /* policy-method */
    RN_POLICY_WEIGHTS,           /* policy-weights */
    RN_POLICY_METRICS,           /* policy-metrics */
    RN_POLICY_EVALUATION,        /* policy-evaluation */
    RN_POLICY_HEAD,              /* policy-head */
    RN_POLICY_MODEL,             /* policy-model: base model not allowed */
    RN_POLICY_MODEL_MISMATCH,    /* policy-model-mismatch: local files are another model */
    RN_POLICY_LENGTH_TOO_LARGE,  /* policy-length-too-large */
    RN_POLICY_TARGET,            /* policy-target */
    RN_POLICY_RANK_TOO_LARGE,    /* policy-rank-too-large */
    RN_POLICY_ROUNDS_TOO_MANY,   /* policy-rounds-too-many */
    RN_POLICY_STEPS_TOO_MANY,    /* policy-steps-too-many */
    RN_POLICY_BATCH_TOO_LARGE,   /* policy-batch-too-large */
    RN_POLICY_UPLOAD_TOO_LARGE,  /* policy-upload-too-large */
    RN_POLICY_ATTEMPTS_TOO_MANY, /* policy-attempts-too-many */
    RN_POLICY_PRIVACY_REQUIRED,  /* policy-privacy-required: the plan adds no noise */
    RN_POLICY_PRIVACY_UNSET,     /* policy-privacy-unset: the policy promises nothing */
    RN_POLICY_NOISE_TOO_LOW,     /* policy-noise-too-low */
    RN_POLICY_RATE_TOO_LARGE,    /* policy-rate-too-large */
    RN_POLICY_CLIP_TOO_LARGE,    /* policy-clip-too-large */
    RN_POLICY_SHARED_TRUST,      /* policy-shared-trust: the noise of others is not counted on */
    RN_POLICY_CAP_TOO_SMALL,     /* policy-cap-too-small: batches would be cut too often */
    RN_POLICY_NOT_ACCOUNTABLE,   /* policy-not-accountable: no bound of its cost is known */
    RN_POLICY_EPSILON_PLAN,      /* policy-epsilon-plan: more than epsilon_plan */
    RN_POLICY_EPSILON_SPENT,     /* policy-epsilon-spent: more than the ledger has left */
    RN_POLICY_UNSIGNED,          /* policy-unsigned: coordinator or this member has not signed */
    RN_POLICY_SIGNERS_TOO_FEW,   /* policy-signers-too-few: or fewer than the plan's quorum */
    RN_POLICY_SIGNER_MISSING,    /* policy-signer-missing */
    RN_POLICY_REASON_COUNT_
};
const char *rn_policy_reason_name(enum rn_policy_reason reason);

/* Too few signatures, or not the right ones: more may come, and a service may wait for them. Every
 * other reason is final. */
bool rn_policy_reason_waits(enum rn_policy_reason reason);

/* RN_OK, or RN_E_REFUSED with the first broken rule in out_reason and a sentence. roster is parsed
 * from facts->roster_bytes. The size of an upload is known only once the model is open: call
 * rn_policy_check_upload then, before the first round. */
RN_MUST rn_result rn_policy_check(const struct rn_policy *policy, const struct rn_plan *plan,
                                  const struct rn_roster *roster,
                                  const struct rn_policy_facts *facts, enum rn_policy_stage stage,
                                  enum rn_policy_reason *out_reason, struct rn_error *err);

/* The rules on signatures alone, the last of rn_policy_check's at RN_POLICY_RUN: the coordinator
 * and this member have signed, at least the plan's quorum of members (fewer could not agree on a
 * sum), as many as plan.signers and all of plan.signed_by. Of facts, self_key and who has signed
 * count. */
RN_MUST rn_result rn_policy_check_signers(const struct rn_policy *policy,
                                          const struct rn_plan *plan,
                                          const struct rn_roster *roster,
                                          const struct rn_policy_facts *facts,
                                          enum rn_policy_reason *out_reason, struct rn_error *err);

/* The rules on noise, of rn_policy_check at both stages: whether the plan has to be private and is;
 * whose noise it counts on; noise, rate and clip; that its own epsilon (privacyquote.h) and what
 * the ledger has spent stay within the policy's. */
RN_MUST rn_result rn_policy_check_privacy(const struct rn_policy *policy,
                                          const struct rn_plan *plan,
                                          const struct rn_policy_spent *spent,
                                          enum rn_policy_reason *out_reason, struct rn_error *err);

/* upload_bytes: the largest masked input of any round of the plan (rn_plan_upload_bytes). */
RN_MUST rn_result rn_policy_check_upload(const struct rn_policy *policy, uint64_t upload_bytes,
                                         enum rn_policy_reason *out_reason, struct rn_error *err);

#endif
