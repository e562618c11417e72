/* SPDX-License-Identifier: Apache-2.0
 *
 * The owner's side of the outbox (the worker's is rn_store_outbox_put in
 * services/store/storebase.h). For store.c.
 */
#ifndef RN_SERVICES_STORE_STOREOUTBOX_H
#define RN_SERVICES_STORE_STOREOUTBOX_H

#include "services/store/storebase.h"

struct rn_store_outbox *rn_store_outbox_new(struct rn_store *store,
                                            const struct rn_store_options *options);
/* All jobs that are done, oldest first; the caller's from now on. */
struct rn_store_jobs rn_store_outbox_take(struct rn_store_outbox *outbox);
/* The store is gone; jobs still inside are freed untold. No worker may be left. */
void rn_store_outbox_release(struct rn_store_outbox *outbox);

#endif
