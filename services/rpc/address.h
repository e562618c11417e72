/* SPDX-License-Identifier: Apache-2.0
 *
 * Address texts, which gRPC core would take all too literally (no port means 443, 70000 wraps).
 */
#ifndef RN_SERVICES_RPC_ADDRESS_H
#define RN_SERVICES_RPC_ADDRESS_H

#include "base/result.h"

/* Binds the address itself to learn why core could not: always a failure. */
RN_MUST rn_result rn_rpc_address_why_not(const char *address, struct rn_error *err);

#endif
