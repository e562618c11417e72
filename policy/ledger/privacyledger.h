/* SPDX-License-Identifier: Apache-2.0
 *
 * The privacy ledger of a member: what its trainings have spent of the privacy of one lineage of
 * data, over all plans, coordinators and years. Each line is a record (privacyrecord.h), chained by
 * hash to the one before it and signed by the member's identity; from these bytes alone anybody can
 * compute again what was spent (privacyverify.h). FORMATS.md, "privacy.ledger".
 *
 *     KIND fields ... chain HEX sign HEX
 *     chain = SHA-256("rondo/v1 privacy ledger", chain of the line before (zeros at first) ||
 *                     the line's bytes before " chain ")
 *     sign  = Ed25519 under "rondo/v1 privacy ledger" of chain
 *
 * Two rules, which no caller can pass:
 *
 * - The filter (policy/accountant/filter.h). The sum of Renyi divergences, at one order fixed in
 *   the header, of every event ever begun and of all that the open plan may still begin stays
 *   within the bound B. It holds however the next plan is chosen. A plan that is closed gives back
 *   what it did not begin.
 * - Write ahead. A training counts from its intent on, whatever becomes of it. One plan is open at
 *   a time, and only the latest intent can be committed, with one output.
 *
 * delta is split once: delta / 1024 is for what the filter cannot express, the chance that a step
 * draws more than `cap` records ((1 + e^epsilon) * events * P[Bin(n_max, q) > cap]) and the deltas
 * of RELEASE records; the filter's bound uses the rest. An identity of one lineage therefore keeps
 * (epsilon, delta) of the header.
 *
 * Life cycle: rn_privacy_ledger_new, replay the bytes there are, then for each record: _append
 * gives the exact bytes, the caller makes them durable, and _replay of these bytes brings the
 * ledger forward. After a failed replay the ledger may only be freed. Sans-I/O.
 */
#ifndef RN_POLICY_PRIVACYLEDGER_H
#define RN_POLICY_PRIVACYLEDGER_H

#include "crypto/identity.h"
#include "policy/ledger/privacyterms.h"

#define RN_PRIVACY_LINE_MAX 2048u         /* bytes with the line end */
#define RN_PRIVACY_LINES_MAX 4000000ull   /* records of a ledger */
#define RN_PRIVACY_BYTES_MAX (2ull << 30) /* of a ledger */
#define RN_PRIVACY_PLANS_MAX 1000u        /* plans of a ledger */
#define RN_PRIVACY_RELEASES_MAX 1000u     /* distinct mechanisms of RELEASE records */

/* What is looked at in each line, in this order. */
enum rn_privacy_check {
    RN_PRIVACY_CHECK_FORM,      /* grammar, limits of this header */
    RN_PRIVACY_CHECK_CHAIN,     /* follows the line before */
    RN_PRIVACY_CHECK_SIGNATURE, /* by the header's identity */
    RN_PRIVACY_CHECK_VALUES,    /* ranges */
    RN_PRIVACY_CHECK_ORDER,   /* counters, intent before commit, one plan at a time, plan bounds */
    RN_PRIVACY_CHECK_DERIVED, /* bound, deviation = noise * grid, cut, filter sums */
    RN_PRIVACY_CHECK_BUDGET,  /* filter and delta */
    RN_PRIVACY_CHECKS
};

struct rn_privacy_planstate {
    struct rn_privacy_plan plan;
    double divergence; /* of one step, at the filter's order */
    uint32_t begun;    /* trainings */
    uint32_t outputs;  /* of these, with an output that may have been sent */
    uint32_t round;    /* latest; 0: none */
    bool closed;
};

/* Read it, never write to it. */
struct rn_privacy_ledger {
    struct rn_privacy_terms terms; /* once lines > 0 */
    uint64_t lines;
    uint64_t bytes;
    uint8_t chain[32]; /* of the last line */
    uint64_t counter;  /* of the latest intent; 0: none */
    struct rn_privacy_intent intent;
    struct rn_privacy_commit commit; /* of the latest intent, where committed */
    bool committed;
    double spent;                /* filter's sum of closed plans and releases */
    double apart;                /* of delta, likewise: cutting, and deltas of releases */
    uint64_t releases;           /* RELEASE records with a mechanism that costs */
    uint64_t constants;          /* the others */
    uint64_t nonprivate;         /* NONPRIVATE records */
    uint8_t nonprivate_plan[32]; /* of the last one */
    uint64_t test_seeds;         /* intents with RN_PRIVACY_RNG_TEST_SEED */
    bool open;                   /* the last plan is */
    uint32_t plan_count;
    struct rn_privacy_planstate *plans; /* of RN_PRIVACY_PLANS_MAX */
    /* distinct events of RELEASE records, as the accountants want them */
    struct rn_privacy_event *release_events;
    size_t release_event_count;
    enum rn_privacy_check failed; /* by a replay that failed */
};

struct rn_privacy_ledger *rn_privacy_ledger_new(void);
/* NULL is fine. */
void rn_privacy_ledger_free(struct rn_privacy_ledger *ledger);
void rn_privacy_ledger_free_cleanup(struct rn_privacy_ledger **ledger);

enum rn_privacy_signatures {
    RN_PRIVACY_SIGNATURES_EACH,
    RN_PRIVACY_SIGNATURES_LAST /* of the last line of each call: it signs the chain before it */
};

/* Takes whole lines; *out_taken is what it took, and the rest has no line end. RN_E_DATA for
 * everything that the rules of this header do not allow (with the number of the line), also where a
 * rest is longer than a line may be; RN_E_IDENTITY for a wrong signature. */
RN_MUST rn_result rn_privacy_ledger_replay(struct rn_privacy_ledger *ledger, struct rn_view bytes,
                                           enum rn_privacy_signatures signatures, size_t *out_taken,
                                           struct rn_error *err);

/* The bytes of one more record, appended to out; the ledger stays as it is. Fills the record's
 * derived fields. identity is the header's. RN_E_REFUSED where a rule does not allow it,
 * RN_E_CONFIG for values out of range. */
RN_MUST rn_result rn_privacy_ledger_append(const struct rn_privacy_ledger *ledger,
                                           const struct rn_identity *identity,
                                           struct rn_privacy_record *record, struct rn_buffer *out,
                                           struct rn_error *err);

/* ---- What it says. */

/* The open plan, or NULL. */
const struct rn_privacy_planstate *rn_privacy_ledger_open(const struct rn_privacy_ledger *ledger);
/* A plan by its hash, or NULL. */
const struct rn_privacy_planstate *rn_privacy_ledger_find(const struct rn_privacy_ledger *ledger,
                                                          const uint8_t plan[static 32]);
/* The filter's sum of all that was begun; with reserved, also of what the open plan may begin. */
double rn_privacy_ledger_filter(const struct rn_privacy_ledger *ledger, bool reserved);
/* What was begun, one event for each distinct mechanism, plans and releases; out has room for
 * RN_PRIVACY_EVENTS_MAX. reserved: all that plans reserved, as if each had been used up. Returns
 * how many. */
size_t rn_privacy_ledger_events(const struct rn_privacy_ledger *ledger, bool reserved,
                                struct rn_privacy_event *out);
/* May anything be claimed? RN_E_REFUSED with the reason: NONPRIVATE records, test seeds. */
RN_MUST rn_result rn_privacy_ledger_claimable(const struct rn_privacy_ledger *ledger,
                                              struct rn_error *err);

#endif
