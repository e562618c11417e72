/* SPDX-License-Identifier: Apache-2.0
 *
 * The store of a simulation: single-threaded and deterministic. A memory disk holds what was
 * committed and outlives the stores opened on it, as a disk outlives processes. A store queues jobs
 * and does one when its owner says so.
 *
 * Life cycle: disk_new -> open -> commit, step... -> rn_store_close or rn_memory_store_crash ->
 * open again ... -> disk_free.
 */
#ifndef RN_SERVICES_STORE_MEMORYSTORE_H
#define RN_SERVICES_STORE_MEMORYSTORE_H

#include "services/store/store.h"

struct rn_memory_disk;

struct rn_memory_disk *rn_memory_disk_new(void);
/* An independent copy of what is committed now: a backup, or a branch of the simulation. */
struct rn_memory_disk *rn_memory_disk_copy(const struct rn_memory_disk *disk);
/* After the stores on it; NULL is fine, leaves NULL behind. */
void rn_memory_disk_free(struct rn_memory_disk **disk);
/* The commit that makes it the nth from now on (1: the next) fails with RN_E_IO as a full disk
 * does; 0: none. Counts over all stores of the disk. */
void rn_memory_disk_fail(struct rn_memory_disk *disk, uint64_t nth);

/* Binds the disk and takes the lease, like rn_sqlite_store_open. Several may be open on one disk:
 * only the newest can commit. options.post may be NULL: then rn_memory_store_step itself calls
 * back, which is how a simulation orders events. */
RN_MUST rn_result rn_memory_store_open(struct rn_memory_disk *disk,
                                       const struct rn_store_options *options,
                                       struct rn_store **out_store, struct rn_error *err);

/* Does the oldest job that waits: from then on a commit is durable. Its callback comes now, or, if
 * the store holds completions back, later. False when nothing waited. */
bool rn_memory_store_step(struct rn_store *store);
/* While held, steps make jobs durable but their callbacks wait: the time between a commit and the
 * news of it. Letting go delivers all of them. */
void rn_memory_store_hold(struct rn_store *store, bool held);

/* kill -9: what no step reached is lost, no callback comes any more, contexts are the owner's to
 * free. Leaves NULL behind. */
void rn_memory_store_crash(struct rn_store **store);

#endif
