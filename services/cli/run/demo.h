/* SPDX-License-Identifier: Apache-2.0
 *
 * The demonstration: a whole federation as real processes on this machine, through the same
 * commands and programs that an operator would use.
 *
 *     demosites    data for each organisation, init, join, accept, sign: one `rondo` command each
 *     demorun      coordinator and trainers, progress, the loss of one organisation
 *     demoprivacy  with --epsilon: what plan and policies need, what was spent, the claims
 *     cmd_demo     options, evaluation before and after, the summary
 */
#ifndef RN_SERVICES_CLI_RUN_DEMO_H
#define RN_SERVICES_CLI_RUN_DEMO_H

#include "services/cli/kit/child.h"
#include "services/cli/kit/progress.h"

#define RN_DEMO_MEMBERS_MIN 3
#define RN_DEMO_MEMBERS_MAX 16

struct rn_demo_settings {
    const char *model, *train, *dev; /* NULL: embedded */
    const char *embedded;            /* folder with the embedded input */
    const char *text, *label, *labels, *format;
    bool no_header;
    uint64_t members, rounds, steps, batch, rank, seed, max_length;
    double alpha, lr, skew, scale;
    const char *targets, *head, *method, *weights;
    bool lose_none;       /* do not kill an organisation */
    bool blind;           /* members alone see sums and the adapter */
    double epsilon, clip; /* promise of every member, 0: none; with it: bound of a gradient */
    const char *directory;
};

/* What plan and policies of --epsilon hold. */
struct rn_demo_privacy {
    uint64_t records; /* public bound */
    uint64_t batch;   /* most records of a step */
    double rate, noise, denominator, delta, order;
};

/* Everything that the demonstration made. */
struct rn_demo {
    const struct rn_demo_settings *settings;
    bool quiet;
    char directory[RN_PATH_MAX]; /* holds all below */
    char output[RN_PATH_MAX];    /* of the set-up commands */
    char names[RN_DEMO_MEMBERS_MAX][32];
    size_t members;
    struct rn_child coordinator;
    struct rn_child trainers[RN_DEMO_MEMBERS_MAX];
    size_t victim; /* members: none */
    bool victim_killed;
    uint32_t victim_round;
    struct rn_progress progress;
    struct rn_demo_privacy privacy;
    double spent; /* epsilon of what the first member's ledger holds; with --epsilon */
    /* read from rounds.jsonl of the site that is watched */
    uint32_t rounds_done;
    uint64_t uplink_bytes;      /* up, one organisation that stayed, all rounds, on the socket */
    uint64_t uplink_lora_bytes; /* the same rounds of plain LoRA: float32 A and B (and head) */
};

/* Path below the demonstration's directory, printf style; false when too long. */
RN_MUST rn_result rn_demo_path(const struct rn_demo *demo, char out[static RN_PATH_MAX],
                               struct rn_error *err, const char *format, ...) RN_PRINTF(4, 5);

/* The site whose rounds are shown and whose adapter is measured: the coordinator, or where that one
 * is blind the first member, which is not the one that gets killed. */
static inline const char *rn_demo_watched(const struct rn_demo *demo)
{
    return demo->settings->blind ? demo->names[0] : "coordinator";
}

/* Cuts the data and sets the sites up. */
RN_MUST rn_result rn_demo_sites_make(struct rn_demo *demo, struct rn_error *err);

/* From the parts of the data, which are cut. */
RN_MUST rn_result rn_demo_privacy_plan(struct rn_demo *demo, struct rn_error *err);
/* Epsilon of all that the first member has begun up to this round, by PLD at its delta. */
RN_MUST rn_result rn_demo_privacy_spent(const struct rn_demo *demo, uint32_t round, double *out,
                                        struct rn_error *err);
/* The first member's page, Markdown. */
RN_MUST rn_result rn_demo_privacy_claims(const struct rn_demo *demo, struct rn_buffer *out,
                                         struct rn_error *err);

/* Starts every process, follows the rounds, kills the victim, waits for the end. */
RN_MUST rn_result rn_demo_run(struct rn_demo *demo, struct rn_error *err);
/* Ends whatever still runs. */
void rn_demo_stop(struct rn_demo *demo);

#endif
