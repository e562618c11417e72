/* SPDX-License-Identifier: Apache-2.0
 *
 * One site of a simulated federation: the coordination or participation machine of the services
 * with a store in memory, in which a commit is durable at once. What the machine says goes out
 * through `out`; what it orders (training, publication, chunks) waits in the site until whoever
 * drives it comes for it.
 *
 * Life cycle: rn_sim_site_open -> rn_sim_site_input ... -> rn_sim_site_close. One thread.
 */
#ifndef RN_SERVICES_SIMULATE_SIMSITE_H
#define RN_SERVICES_SIMULATE_SIMSITE_H

#include "crypto/random.h"
#include "services/federation/coordination.h"
#include "services/federation/participation.h"
#include "services/simulate/simworld.h"
#include "services/store/memorystore.h"

/* Chunks that a machine wants pulled for one peer. */
struct rn_sim_bulk {
    bool active;
    uint8_t session[RN_HASH_BYTES];
    uint32_t chunks;
    uint8_t *wanted; /* [chunks]; owned */
};

struct rn_sim_site;

/* What leaves a site, by its driver. Bytes are taken over (left empty). */
struct rn_sim_outlet {
    void *context;
    void (*send)(void *context, struct rn_sim_site *from, uint64_t connection,
                 struct rn_buffer *bytes);
    /* A round's sum is on this site's disk; its model is the next adapter. */
    rn_result (*summed)(void *context, struct rn_sim_site *site, const struct rn_job_result *result,
                        struct rn_error *err);
};

struct rn_sim_site {
    const struct rn_sim_outlet *outlet;
    uint32_t place; /* in the roster; its count: the coordinator */
    struct rn_job_basis basis;
    struct rn_round_model model;
    struct rn_stream random; /* seeded */
    struct rn_memory_disk *disk;
    struct rn_store *store;
    struct rn_coordination *coordination;   /* or */
    struct rn_participation *participation; /* a member */
    struct rn_sim_bulk *bulks;              /* [peers]: of the coordinator a member each */
    uint32_t peers;
    bool training, cancelled;
    struct rn_train_order train;      /* while training */
    struct rn_publish_order *publish; /* oldest first */
    uint32_t publish_count;
    uint32_t keeps; /* KEPT is owed so often */
    bool ended;
    rn_result result; /* of END, or of what failed here */
    struct rn_error err;
};

struct rn_sim_site_config {
    const struct rn_sim_outlet *outlet;
    const struct rn_plan *plan;
    const struct rn_roster *roster;
    const struct rn_identity *identity;
    const struct rn_policy *policy; /* of members */
    const struct rn_plan_signatures *signatures;
    const struct rn_round_model *start; /* copied */
    uint32_t place;
    uint64_t weight; /* of a member */
    struct rn_now now;
};

/* In place: the machine keeps pointers to the site, which must not move. Clear it in any case. */
RN_MUST rn_result rn_sim_site_open(const struct rn_sim_site_config *config, struct rn_sim_site *out,
                                   struct rn_error *err);
void rn_sim_site_close(struct rn_sim_site *site);

/* One step of the machine, and its effects in order. Nothing happens at a site that has ended. */
void rn_sim_site_input(struct rn_sim_site *site, const struct rn_input *input, struct rn_now now);

/* The next wanted chunk for a peer as a BulkChunk; false: none is. When the last one was given the
 * machine is told. */
bool rn_sim_site_chunk(struct rn_sim_site *site, uint32_t peer, struct rn_now now,
                       struct rn_buffer *out);

#endif
