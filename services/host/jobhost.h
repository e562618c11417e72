/* SPDX-License-Identifier: Apache-2.0
 *
 * What carries a federation state machine in a process, for both programs: site files, store,
 * model, executor, transport, signals, log, status. A program adds its machine and what differs in
 * its streams (struct rn_jobhost_program).
 *
 *     loop        the thread that calls rn_jobhost_run: moves messages, answers `rondo status`
 *     executor    the machine and its effects (executor.h)
 *     worker      training, evaluation, adapter directories (modeljob.h)
 *     store       commits (services/store)
 *
 * Parts: jobhost.c (start to end), jobhostmachine.c (executor's side), jobhosttlog.c (the log),
 * jobhostlink.c (loop's side), jobhoststay.c (after the end).
 */
#ifndef RN_SERVICES_HOST_JOBHOST_H
#define RN_SERVICES_HOST_JOBHOST_H

#include <stdatomic.h>

#include "services/federation/effects.h"
#include "services/federation/input.h"
#include "services/federation/jobbasis.h"
#include "services/federation/jobevidence.h"
#include "services/federation/jobstop.h"
#include "services/federation/now.h"
#include "services/host/credwatch.h"
#include "services/host/eventsink.h"
#include "services/host/executor.h"
#include "services/host/loopmeter.h"
#include "services/host/modeljob.h"
#include "services/host/peerstreams.h"
#include "services/host/roundstable.h"
#include "services/host/service.h"
#include "services/host/sigwatch.h"
#include "services/host/sitefiles.h"
#include "services/host/siteledger.h"
#include "services/host/sitemodel.h"
#include "services/host/sitesignatures.h"
#include "services/host/statusboard.h"
#include "services/host/tlogmirror.h"
#include "services/host/tlogwriter.h"
#include "services/store/store.h"

/* The part of the status that both programs have: "best" so far, or null where nothing was measured
 * (federated evaluation). */
void rn_jobhost_write_best(const struct rn_round_judgement *judgement, struct rn_buffer *out);
/* The same: "evidence", whom signed messages at this site prove to have broken the protocol; null
 * where there is none. */
void rn_jobhost_write_evidence(const struct rn_roster *roster,
                               const struct rn_job_evidence *evidence, struct rn_buffer *out);

/* The same: "stop", who ended the job by its signature and why; null where nobody did. */
void rn_jobhost_write_stop(const struct rn_roster *roster, const struct rn_job_stop *stop,
                           struct rn_buffer *out);

struct rn_jobhost;

struct rn_jobhost_program {
    const char *name; /* in the log */
    enum rn_site_role role;
    uint32_t grace_ms;            /* for what is queued when the machine has ended */
    enum rn_wire_content content; /* of the chunks that go out */
    bool newest_bulk;             /* peerstreams.h */

    /* After site, model and data were opened: what else the site must fulfil. May be NULL. */
    rn_result (*check)(struct rn_jobhost *host, struct rn_error *err);
    rn_result (*build)(struct rn_jobhost *host, struct rn_now now, struct rn_effects *out_first,
                       void **out_machine, struct rn_error *err);
    void (*free)(void *machine);
    void (*step)(void *machine, const struct rn_input *input, struct rn_now now,
                 struct rn_effects *out_effects);
    rn_result (*chunk)(void *machine, const uint8_t session[static RN_HASH_BYTES], uint32_t chunk,
                       struct rn_buffer *out, struct rn_error *err);
    /* Executor's thread: appends the members of the status object, without braces; returns whether
     * the service can do its work (health). */
    bool (*status)(struct rn_jobhost *host, struct rn_now now, struct rn_buffer *out);
    /* The line "service.start". */
    void (*log_start)(struct rn_jobhost *host);
    /* Loop's thread. */
    rn_result (*authorize)(struct rn_jobhost *host, const struct rn_peer *peer);
    int (*find)(struct rn_jobhost *host, const struct rn_peer *peer);
    rn_result (*dial)(struct rn_jobhost *host, struct rn_error *err);
};

struct rn_jobhost {
    const struct rn_jobhost_program *program;
    struct rn_site_files *site;
    struct rn_site_model *model;
    struct rn_parallel parallel; /* all processors of this process */
    struct rn_job_basis basis;
    struct rn_executor *executor;
    struct rn_store *store;
    struct rn_siteledger *ledger;       /* of a member; executor's thread */
    struct rn_round_privacy *privacy;   /* of a member whose plan or policy speaks of it */
    struct rn_tlog_writer *tlog_writer; /* of the coordinator; executor's thread */
    struct rn_tlog_mirror *tlog_mirror; /* of a member; likewise */
    unsigned tlog_added;                /* LOGs since the last RN_INPUT_LOGGED */
    bool tlog_told;
    void *machine; /* executor's thread while that runs */
    struct rn_eventsink *events;
    struct rn_roundstable *table;
    bool table_failed;
    struct rn_model_jobs *jobs;
    struct rn_peerstreams *streams;
    struct rn_loopmeter meter;
    struct rn_statusboard board;
    struct rn_buffer spare; /* executor's: of the board */
    _Atomic bool serving;
    struct rn_rpc *rpc;
    struct rn_credwatch *credentials;
    struct rn_site_signatures_watch *signatures;
    struct rn_sigwatch *signals;
    /* Of the machine's end; executor's thread, read when that is over. */
    rn_result result;
    struct rn_error err;
};

/* Runs the service of options->directory until the machine ends it, or a signal, or a failure; with
 * options->stay, where the machine ended it well, until a signal after that. */
RN_MUST rn_result rn_jobhost_run(const struct rn_jobhost_program *program,
                                 const struct rn_service_options *options, struct rn_error *err);

/* For dial: one link to the peer that `who` is; its failures become inputs. */
RN_MUST rn_result rn_jobhost_link(struct rn_jobhost *host, const char *address, uint32_t who,
                                  struct rn_error *err);

/* ---- jobhostmachine.c, for jobhost.c */
void rn_jobhost_executor(struct rn_jobhost *host, struct rn_executor_config *out_config);
void rn_jobhost_machine(struct rn_jobhost *host, struct rn_executor_machine *out_machine);
/* What the effects from `first` on write down of rounds goes into the table for people. */
void rn_jobhost_take_commits(struct rn_jobhost *host, const struct rn_effects *effects,
                             size_t first);
/* Takes a snapshot for the status. Executor's thread, or while that does not run. */
void rn_jobhost_snapshot(struct rn_jobhost *host, struct rn_now now);

/* ---- jobhosttlog.c, for jobhost.c and jobhostmachine.c */
RN_MUST rn_result rn_jobhost_tlog_open(struct rn_jobhost *host, struct rn_error *err);
void rn_jobhost_tlog_free(struct rn_jobhost *host);
void rn_jobhost_tlog_add(struct rn_jobhost *host, const struct rn_effect *effect);
void rn_jobhost_tlog_report(struct rn_jobhost *host, const struct rn_effect *effect);
void rn_jobhost_tlog_send(struct rn_jobhost *host, const struct rn_effect *effect);
void rn_jobhost_tlog_mirror(struct rn_jobhost *host, const struct rn_effect *effect);
/* Publishes what is new. */
void rn_jobhost_tlog_tick(struct rn_jobhost *host);

/* ---- jobhostlink.c, for jobhost.c */
void rn_jobhost_callbacks(struct rn_jobhost *host, struct rn_rpc_callbacks *out);
/* For rn_sigwatch_new. */
void rn_jobhost_signal(void *context, unsigned count);
/* For rn_sigwatch_on_hangup. */
void rn_jobhost_hangup(void *context);
/* Looks at plan.yaml.sigs from here on. */
void rn_jobhost_watch_signatures(struct rn_jobhost *host);
/* The newest snapshot as the answer to `rondo status`. */
rn_result rn_jobhost_answer_status(struct rn_jobhost *host, bool staying, struct rn_buffer *answer);

/* ---- jobhost.c, for jobhoststay.c: host->rpc with the site's credentials, which are wiped. */
RN_MUST rn_result rn_jobhost_open_rpc(struct rn_jobhost *host,
                                      const struct rn_rpc_callbacks *callbacks,
                                      struct rn_error *err);

/* ---- jobhoststay.c, for jobhost.c: when the job has ended well, and all that it needed is closed
 * but the store. Returns after a signal. */
RN_MUST rn_result rn_jobhost_stay(struct rn_jobhost *host, struct rn_error *err);

#endif
