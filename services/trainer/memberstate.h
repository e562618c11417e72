/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the member's service: one struct, owned by the loop's thread, and the functions by which
 * its parts call each other.
 *
 *     memberservice.c   start, restart from the journal, ticks, end
 *     memberlink.c      the two streams, greeting, closing
 *     membersession.c   offers, the state machine and its actions
 *     memberround.c     training, sum to next adapter, what is written
 */
#ifndef RN_SERVICES_TRAINER_MEMBERSTATE_H
#define RN_SERVICES_TRAINER_MEMBERSTATE_H

#include "crypto/secagg/member.h"
#include "crypto/secagg/spent.h"
#include "services/federation/jobrecord.h"
#include "services/host/credwatch.h"
#include "services/host/modeljob.h"
#include "services/host/service.h"
#include "services/host/sigwatch.h"
#include "services/host/streamsend.h"
#include "services/store/journal.h"

/* One secure-aggregation session as this member sees it. */
struct rn_member_session {
    struct rn_sa_member *machine; /* NULL: none */
    uint8_t id[RN_HASH_BYTES];
    uint32_t round;
    uint32_t attempt;
    uint8_t before[RN_HASH_BYTES]; /* adapter hash it starts from */
    struct rn_round_layout layout;
    uint64_t *vector;       /* the integers to be summed, while they may be asked for */
    enum rn_sa_stage stage; /* last one that was logged */
    struct rn_stream_bulk upload;
    bool uploading; /* tell the machine when the last chunk is handed over */
    bool following; /* without an update of this member */
    bool over;      /* finished or aborted; kept to answer what comes late */
    uint64_t began_ms;
    uint64_t traffic_before;
};

/* A trained update that is in no sum yet: an unspent one is used again in the next attempt. */
struct rn_member_update {
    bool valid;
    uint32_t round;
    uint8_t before[RN_HASH_BYTES];
    float *delta;
    struct rn_round_report report;
};

struct rn_member {
    struct rn_job_listener listener;
    struct rn_site_files *site;
    struct rn_site_model *model;
    struct rn_journal *journal;
    struct rn_sa_spent *spent;
    struct rn_rpc *rpc;
    struct rn_worker *worker;
    struct rn_sigwatch *signals;
    struct rn_credwatch *credentials;

    struct rn_rpc_stream *session_stream;
    struct rn_rpc_stream *bulk_stream;
    bool greeted; /* the coordinator's Hello was accepted on this session stream */
    struct rn_wire_welcome welcome;
    uint8_t incarnation[RN_WIRE_INCARNATION_BYTES];
    uint64_t sent_before;    /* bytes on streams that are closed */
    uint64_t clone_since_ms; /* first refusal because this identity is connected already; 0 none */

    struct rn_wire_hash announced; /* adapter hash of the newest summary */
    uint32_t next_round;           /* first round without a record here */
    struct rn_member_session session;
    struct rn_member_update update;
    struct rn_train_job *training; /* running */
    bool discard_training;         /* its session is gone */
    uint64_t status_ms;            /* when the last Status was sent */
    uint64_t timer;

    bool draining;    /* a signal: finish the session, then end */
    bool ending;      /* final adapter is being written, then stop */
    bool stopped;     /* rn_rpc_stop was called */
    rn_result result; /* of the service */
    struct rn_error err;
};

/* ---- memberservice.c */
/* Ends the service with a failure (the first one stays), or in order with RN_OK. */
void rn_member_end(struct rn_member *member, rn_result result, const struct rn_error *err);
void rn_member_tell(struct rn_member *member, struct rn_job_event event);

/* ---- memberlink.c */
void rn_member_callbacks(struct rn_member *member, struct rn_rpc_callbacks *out);
RN_MUST rn_result rn_member_connect(struct rn_member *member, struct rn_error *err);
void rn_member_send_status(struct rn_member *member, uint32_t round, uint32_t attempt,
                           enum rn_sa_stage stage, uint64_t done, uint64_t total,
                           enum rn_code reason);
void rn_member_send_closing(struct rn_member *member, enum rn_code reason);
/* Bytes sent to the coordinator since the process began. */
uint64_t rn_member_bytes_sent(const struct rn_member *member);

/* ---- membersession.c */
void rn_member_secagg(struct rn_member *member, struct rn_view message);
RN_MUST rn_result rn_member_resume(struct rn_member *member, struct rn_error *err);
void rn_member_session_tick(struct rn_member *member);
void rn_member_session_resend(struct rn_member *member);
void rn_member_upload_pump(struct rn_member *member);
void rn_member_session_clear(struct rn_member *member);
/* The update is there: encode it and get ready. */
void rn_member_session_ready(struct rn_member *member);
/* No update of this member in this session. */
void rn_member_session_follow(struct rn_member *member);
/* Executes in order, frees the list. */
void rn_member_execute(struct rn_member *member, struct rn_sa_actions *actions);

/* ---- memberround.c */
RN_MUST rn_result rn_member_restore(struct rn_member *member, struct rn_error *err);
void rn_member_train(struct rn_member *member);
void rn_member_train_tick(struct rn_member *member);
/* The sum is checked and here: next adapter, journal, receipt. */
void rn_member_take_sum(struct rn_member *member, struct rn_sa_actions *out_actions);
/* Writes adapters/final, evaluates, then ends. */
void rn_member_finish(struct rn_member *member, rn_result result, const struct rn_error *err);

#endif
