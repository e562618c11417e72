/* SPDX-License-Identifier: Apache-2.0
 *
 * The spool of uploads (crypto/secagg/spool.h) as sparse files in the state directory,
 * `uploads.PLACE` for each member, of at most 2 MiB for each of its chunks. They outlive the
 * process, so that members can go on replaying a sum when the coordinator comes back; what lies in
 * them is masked, and means something only until that sum is receipted. A power failure may take
 * them: the round is then lost, and nothing else. One thread, one process.
 */
#ifndef RN_SERVICES_HOST_UPLOADSPOOL_H
#define RN_SERVICES_HOST_UPLOADSPOOL_H

#include "crypto/secagg/spool.h"

struct rn_upload_spool;

/* directory is borrowed. A file is made with the first chunk, and goes with drop. */
struct rn_upload_spool *rn_upload_spool_new(const char *directory);
/* NULL is fine. */
void rn_upload_spool_free(struct rn_upload_spool *spool);
/* For an aggregator; stands as long as the spool. */
const struct rn_sa_spool *rn_upload_spool_of(struct rn_upload_spool *spool);

/* How many bytes of uploads to hold in memory when site.yaml says nothing: a quarter of what this
 * process may take (its control group included), within 64 MiB and 4 GiB. */
uint64_t rn_upload_memory_default(uint64_t available);

#endif
