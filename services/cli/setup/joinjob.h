/* SPDX-License-Identifier: Apache-2.0
 *
 * One run of `rondo join`: settings of the command line, and what the steps hand to each other. An
 * invitation makes a site's directory and a request (joininvite.c); a welcome or a renewed
 * certificate completes one (joinwelcome.c).
 */
#ifndef RN_SERVICES_CLI_SETUP_JOINJOB_H
#define RN_SERVICES_CLI_SETUP_JOINJOB_H

#include "policy/bundle.h"
#include "services/cli/setup/planmodel.h"

struct rn_join_settings {
    const char *directory, *out;
    const char *model, *data, *dev, *text, *label, *data_format, *encoding;
    const char *address, *listen, *backend, *log, *policy, *roster;
    uint64_t threads;
    bool no_header, sign;
    const char *lineage, *unit; /* of the promise that the policy holds */
    double epsilon, delta, order;
    uint64_t records, rows, shared_honest;
};

enum rn_join_step { RN_JOIN_INVITED, RN_JOIN_WELCOMED, RN_JOIN_RENEWED };

struct rn_join_job {
    const struct rn_join_settings *settings;
    const char *source; /* path of invitation, welcome or renewal */
    enum rn_join_step step;
    struct rn_buffer text;
    struct rn_bundle bundle;
    struct rn_setup_stage stage;
    struct rn_identity *identity;
    struct rn_plan *plan;     /* of the invitation */
    struct rn_policy *policy; /* as written; an own one or the generated one */
    char output[RN_PATH_MAX]; /* the file for the operator; "" when there is none */
    char kept[RN_PATH_MAX];   /* where the job of the plan before lies now, "" for none (jobs.h) */
    char member[RN_NAME_MAX + 1];
    struct rn_error warning;  /* "", or what would refuse the plan of the invitation here */
    char until[11];           /* last day of the certificate in use, "" before there is one */
    bool certificate_kept;    /* the one that was here runs longer than the one that came */
    struct rn_roster *roster; /* of the welcome, once it is taken over */
    bool talks, json;         /* to a person (no --quiet, no --format json); to a program */
};

/* Makes settings->directory, complete or not at all. */
RN_MUST rn_result rn_join_invited(struct rn_join_job *job, struct rn_error *err);
/* Takes over certificate, roster, plan and signatures; signs when the settings say so. */
RN_MUST rn_result rn_join_welcomed(struct rn_join_job *job, struct rn_error *err);
/* Takes over a certificate and nothing else. */
RN_MUST rn_result rn_join_renewed(struct rn_join_job *job, struct rn_error *err);

#endif
