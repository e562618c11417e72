/* SPDX-License-Identifier: Apache-2.0
 *
 * Own key, chain and CA, and what core is given of them.
 */
#ifndef RN_SERVICES_RPC_CREDS_H
#define RN_SERVICES_RPC_CREDS_H

#include <grpc/grpc_security.h>
#include <pthread.h>

#include "services/rpc/rpc.h"

struct rn_rpc_snapshot;
struct rn_rpc_creds;

/* What one listening address was given last: each asks for itself. */
struct rn_rpc_fetcher {
    struct rn_rpc_creds *creds;
    uint64_t handed; /* generation */
};

/* The current key, chain and CA; read by core's threads under lock. */
struct rn_rpc_creds {
    pthread_mutex_t lock;
    struct rn_rpc_snapshot *snapshot;
    struct rn_peer self; /* of snapshot: id and dates; the id never changes. Loop's thread alone */
    uint64_t generation; /* of snapshot, from 1 */
    struct rn_rpc_fetcher fetchers[RN_RPC_LISTENERS_MAX];
    unsigned fetcher_count;
};

RN_MUST rn_result rn_rpc_creds_init(struct rn_rpc_creds *creds,
                                    const struct rn_rpc_material *material, uint64_t wall_ms,
                                    struct rn_error *err);
/* Nothing changes on failure. */
RN_MUST rn_result rn_rpc_creds_replace(struct rn_rpc_creds *creds,
                                       const struct rn_rpc_material *material, uint64_t wall_ms,
                                       struct rn_error *err);
/* "this site's TLS certificate expired on DATE: ..." with what to do. */
void rn_rpc_creds_expiry_text(const struct rn_rpc_creds *creds, char *out, size_t capacity);
void rn_rpc_creds_clear(struct rn_rpc_creds *creds);
/* Of one listening address, at most RN_RPC_LISTENERS_MAX times; follows later replacements by
 * itself. creds must outlive the server. */
grpc_server_credentials *rn_rpc_creds_server(struct rn_rpc_creds *creds);
/* Fixed at creation; *out_generation tells when a newer one exists. expected_id is copied. */
grpc_channel_credentials *rn_rpc_creds_client(struct rn_rpc_creds *creds, const char *expected_id,
                                              uint64_t *out_generation);

#endif
