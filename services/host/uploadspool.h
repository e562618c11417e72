/* SPDX-License-Identifier: Apache-2.0
 *
 * The spool of unfinished uploads (crypto/secagg/spool.h) as a file in the state directory, which
 * has no name while it is used: nothing is left of it when the process ends, however it ends. What
 * lies in it is masked. One thread.
 */
#ifndef RN_SERVICES_HOST_UPLOADSPOOL_H
#define RN_SERVICES_HOST_UPLOADSPOOL_H

#include "crypto/secagg/spool.h"

struct rn_upload_spool;

/* Makes the file when the first chunk comes. directory is borrowed. */
struct rn_upload_spool *rn_upload_spool_new(const char *directory);
/* NULL is fine. */
void rn_upload_spool_free(struct rn_upload_spool *spool);
/* For an aggregator; stands as long as the spool. */
const struct rn_sa_spool *rn_upload_spool_of(struct rn_upload_spool *spool);

/* How many bytes of uploads to hold in memory when site.yaml says nothing: a quarter of what this
 * process may take (its control group included), within 64 MiB and 4 GiB. */
uint64_t rn_upload_memory_default(uint64_t available);

#endif
