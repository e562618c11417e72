/* SPDX-License-Identifier: Apache-2.0
 *
 * Links as the whole sees them (rpc.h has what their users may do).
 */
#ifndef RN_SERVICES_RPC_LINK_H
#define RN_SERVICES_RPC_LINK_H

#include "services/rpc/rpc_core.h"

/* Dials nothing from here on. */
void rn_rpc_links_stop(struct rn_rpc *rpc);
/* When no stream is left. */
void rn_rpc_links_free(struct rn_rpc *rpc);

#endif
