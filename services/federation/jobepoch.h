/* SPDX-License-Identifier: Apache-2.0
 *
 * The drawing of the share graph (crypto/secagg/epoch.h) as one site holds it, coordinator or
 * member: the two documents, what follows from them, and their records. A plan whose graph is
 * complete has none of it.
 *
 *     rn_job_epoch_new           NULL: the plan needs none
 *     rn_job_epoch_load          the newest documents from the records
 *     rn_job_epoch_take_set      a set, checked: held, not yet durable
 *     rn_job_epoch_take_reveals  the reveals under it, checked: the seed
 *     rn_job_epoch_keep          a document into the records
 *     rn_job_epoch_free
 */
#ifndef RN_SERVICES_FEDERATION_JOBEPOCH_H
#define RN_SERVICES_FEDERATION_JOBEPOCH_H

#include "crypto/secagg/epoch.h"
#include "crypto/secagg/memberset.h"
#include "services/federation/effects.h"
#include "services/federation/jobbasis.h"

struct rn_job_epoch {
    struct rn_sa_epoch_context context;
    bool has_set; /* set and document stand */
    bool drawn;   /* so do reveals and seed: nothing changes any more */
    struct rn_sa_epoch_set set;
    struct rn_buffer document, reveals; /* as they came */
    uint8_t seed[RN_HASH_BYTES];
    struct rn_identity_public *keys; /* of context; owned */
    struct rn_sa_epoch_set *scratch; /* owned: of a document that may not hold */
};

struct rn_job_epoch *rn_job_epoch_new(const struct rn_job_basis *basis);
/* NULL is fine. */
void rn_job_epoch_free(struct rn_job_epoch *epoch);

/* RN_E_DATA when they do not hold. */
RN_MUST rn_result rn_job_epoch_load(struct rn_job_epoch *epoch, const struct rn_job_reader *reader,
                                    struct rn_error *err);

/* Reads a set into *epoch->scratch alone. Errors of rn_sa_epoch_set_read. */
RN_MUST rn_result rn_job_epoch_read_set(struct rn_job_epoch *epoch, struct rn_view document,
                                        struct rn_error *err);
/* The set that rn_job_epoch_read_set read last is the one from now on; the same document. */
void rn_job_epoch_hold_set(struct rn_job_epoch *epoch, struct rn_view document);
RN_MUST rn_result rn_job_epoch_take_set(struct rn_job_epoch *epoch, struct rn_view document,
                                        struct rn_error *err);
/* RN_E_PEER_PROTOCOL when no set is held, errors of rn_sa_epoch_seed; nothing changes then. */
RN_MUST rn_result rn_job_epoch_take_reveals(struct rn_job_epoch *epoch, struct rn_view document,
                                            struct rn_error *err);

/* RN_RECORD_EPOCH_SET or _REVEALS, of what is held. */
void rn_job_epoch_keep(const struct rn_job_epoch *epoch, enum rn_record_kind kind,
                       struct rn_effects *out);

/* NULL where none is needed, or before it is drawn: no machine takes a sparse graph without. */
const uint8_t *rn_job_epoch_seed(const struct rn_job_epoch *epoch);
/* Is the member in the epoch that was drawn, or was none needed? */
bool rn_job_epoch_has(const struct rn_job_epoch *epoch, uint32_t place);
/* Members that the held set lists. */
struct rn_sa_set rn_job_epoch_listed(const struct rn_job_epoch *epoch);

/* "north, south": names of a set, cut to size. "" when it is empty. */
void rn_job_epoch_names(const struct rn_roster *roster, const struct rn_sa_set *members, char *out,
                        size_t size);

#endif
