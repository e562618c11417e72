/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of a unix socket. Core takes at most 107 bytes and reads a path as a URI, so both of its
 * ends are given "/proc/self/fd/<directory>/<file>" instead of the user's path.
 *
 * A listening socket is born with the mode that the umask leaves; the umask belongs to the whole
 * process, whose other threads make files. So core binds it inside a directory that nobody else may
 * enter, and it moves to its place with mode 0600:
 *
 *     rn_rpc_socket_open       both ends; alias is what a client connects to
 *     rn_rpc_socket_prepare    server: birthplace is what core binds
 *     rn_rpc_socket_publish    server: bound, so now under its own name
 *     rn_rpc_socket_close      both; after the server is destroyed
 */
#ifndef RN_SERVICES_RPC_SOCKET_H
#define RN_SERVICES_RPC_SOCKET_H

#include "base/result.h"

#define RN_RPC_SOCKET_FILE_MAX 60

struct rn_rpc_socket {
    int directory;  /* open while the alias is used; -1: none */
    int nursery;    /* the private directory; -1: none */
    uint64_t inode; /* of the published socket; 0: none */
    char file[RN_RPC_SOCKET_FILE_MAX + 1];
    char alias[100];
    char birthplace[100];
};

/* The directory must exist; the file's name is 1 to RN_RPC_SOCKET_FILE_MAX of A-Z a-z 0-9 . - _ .
 * RN_E_CONFIG for another name, RN_E_SYSTEM when the directory cannot be opened. */
RN_MUST rn_result rn_rpc_socket_open(const char *path, struct rn_rpc_socket *out,
                                     struct rn_error *err);
/* True when a living process accepts on it. */
bool rn_rpc_socket_is_served(const struct rn_rpc_socket *which);

RN_MUST rn_result rn_rpc_socket_prepare(struct rn_rpc_socket *socket, const char *path,
                                        struct rn_error *err);
/* Replaces a dead process's socket. */
RN_MUST rn_result rn_rpc_socket_publish(struct rn_rpc_socket *socket, const char *path,
                                        struct rn_error *err);
/* Removes what was published. */
void rn_rpc_socket_close(struct rn_rpc_socket *socket);

#endif
