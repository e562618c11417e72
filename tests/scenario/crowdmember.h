/* SPDX-License-Identifier: Apache-2.0
 *
 * One member of the crowd (crowd.c): its site as `rondo join` made it, read and checked as
 * rondo-trainer does it, and the participation of that program. What is not the program's: records
 * stand in memory, durable at once, and a training adds the same small number to every element that
 * the round trains. Effects that need a stream go to the links below.
 */
#ifndef RN_TESTS_CROWDMEMBER_H
#define RN_TESTS_CROWDMEMBER_H

#include "services/federation/participation.h"
#include "services/host/sitefiles.h"
#include "services/host/sitemodel.h"
#include "services/rpc/rpc.h"

struct crowd_record;

struct crowd_member {
    struct rn_site_files *site;
    struct rn_round_model model; /* the start of every member's, from one trainer */
    struct rn_job_basis basis;
    struct crowd_record *records;
    size_t record_count, record_capacity;
    struct rn_participation *participation;

    struct rn_rpc *rpc;
    struct rn_rpc_stream *session, *bulk;
    bool lost; /* a SEND found no room */

    /* Chunks wanted, a bit each. */
    struct rn_buffer wanted;
    uint8_t wanted_session[RN_HASH_BYTES];
    uint32_t chunks, next_chunk;

    struct rn_train_order train; /* due */
    bool trains;
    struct rn_publish_order publish; /* due, with its number */
    bool publishes;
    bool keeps; /* KEPT is due */

    bool ended;
    rn_result result;
    struct rn_error err;
    uint32_t finals; /* adapters published as final */
};

/* The start of the adapter, as the first of the crowd opens it; outlives the members. */
RN_MUST rn_result crowd_member_open(struct crowd_member *member, const char *directory,
                                    const struct rn_round_model *start, struct rn_error *err);
/* After the transport is there: the machine, and its first effects. */
RN_MUST rn_result crowd_member_start(struct crowd_member *member, struct rn_error *err);
void crowd_member_input(struct crowd_member *member, const struct rn_input *input);
/* What is due: trainings, publications, chunks for which the stream has room. */
void crowd_member_due(struct crowd_member *member);
void crowd_member_close(struct crowd_member *member);

#endif
