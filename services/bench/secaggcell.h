/* SPDX-License-Identifier: Apache-2.0
 *
 * One measurement of `rondo-bench secagg`: the arithmetic of a session of secure aggregation for
 * one cohort and one length of vector, with the functions that members and coordinator call
 * (crypto/quantise, maskkey, maskstream, pack, secagg/lanevector), and no network.
 */
#ifndef RN_SERVICES_BENCH_SECAGGCELL_H
#define RN_SERVICES_BENCH_SECAGGCELL_H

#include "base/result.h"
#include "crypto/maskstream.h"
#include "crypto/secagg/graph.h"

#include <stdint.h>

#define RN_SECAGG_COHORT_MAX 1024u
#define RN_SECAGG_THREADS_MAX 64u

/* The product's graph for so many members with a tenth of them, or one, corrupt and a tenth lost:
 * what is measured. A complete one's threshold is that with a third corrupt. */
void rn_secagg_sizes(uint32_t members, struct rn_sa_graph_sizes *out);

struct rn_secagg_cell {
    uint32_t members;
    uint32_t neighbours; /* each member shares masks with so many others; even unless all */
    uint32_t lost;       /* members whose upload does not come */
    uint64_t elements;
    uint32_t threads;
    enum rn_mask_kernel kernel;
};

/* Seconds: of processor time with one thread, of wall time with more. Rates: bytes a second. */
struct rn_secagg_client {
    double seconds; /* keys, quantise, mask, pack */
    double mask_rate;
    double cipher_rate; /* of AES-256-CTR through OpenSSL on one thread, for comparison */
    uint64_t upload_bytes;
    uint64_t packed_bytes; /* elements * b / 8 */
};

struct rn_secagg_server {
    double unmask_seconds;  /* keys, self and pair masks off the sum, reduction, range check */
    double replay_seconds;  /* a packed vector per survivor added up, then the same */
    double combine_seconds; /* secrets put together from shares */
    double cipher_rate;
    uint64_t stream_bytes; /* of key stream taken off */
};

/* One member's upload, chunk by chunk; each is dropped when it is made. */
RN_MUST rn_result rn_secagg_client_measure(const struct rn_secagg_cell *cell,
                                           struct rn_secagg_client *out, struct rn_error *err);

/* The coordinator's unmasking and a member's replay. RN_E_INTERNAL when the replay does not give
 * the sum back. */
RN_MUST rn_result rn_secagg_server_measure(const struct rn_secagg_cell *cell,
                                           struct rn_secagg_server *out, struct rn_error *err);

#endif
