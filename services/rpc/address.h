/* SPDX-License-Identifier: Apache-2.0
 *
 * Address texts, which gRPC core would take all too literally (no port means 443, 70000 wraps).
 */
#ifndef RN_SERVICES_RPC_ADDRESS_H
#define RN_SERVICES_RPC_ADDRESS_H

#include "base/result.h"

/* A unix socket under a short name without special characters: core takes at most 107 bytes and
 * reads the path as a URI, so both are given "/proc/self/fd/<directory>/<file>" instead of the
 * user's path. */
#define RN_RPC_SOCKET_FILE_MAX 60
struct rn_rpc_socket {
    int directory; /* open while the alias is used; -1: none */
    char alias[100];
};

/* The directory must exist; the file's name is 1 to RN_RPC_SOCKET_FILE_MAX of A-Z a-z 0-9 . - _ .
 * RN_E_CONFIG for another name, RN_E_SYSTEM when the directory cannot be opened. */
RN_MUST rn_result rn_rpc_socket_open(const char *path, struct rn_rpc_socket *out,
                                     struct rn_error *err);
void rn_rpc_socket_close(struct rn_rpc_socket *socket);

/* Binds the address itself to learn why core could not: always a failure. */
RN_MUST rn_result rn_rpc_address_why_not(const char *address, struct rn_error *err);

#endif
