/* SPDX-License-Identifier: Apache-2.0 */
#include "services/rpc/rpc_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/guard.h"

static void alias_make(char out[static 100], int directory, const char *file)
{
    RN_BUG_IF(!rn_text_format(out, 100, "/proc/self/fd/%d/%s", directory, file));
}

rn_result rn_rpc_socket_open(const char *path, struct rn_rpc_socket *out, struct rn_error *err)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    char directory[RN_PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *file = slash != NULL ? slash + 1 : path;
    const size_t length = strlen(file);
    *out = (struct rn_rpc_socket){.directory = -1, .nursery = -1};
    RN_ENSURE(length > 0 && length <= RN_RPC_SOCKET_FILE_MAX && strspn(file, allowed) == length,
              err, RN_E_CONFIG,
              "%s: the name of a socket has 1 to %d letters, digits, '.', '-', '_'", path,
              RN_RPC_SOCKET_FILE_MAX);
    const size_t before = slash != NULL ? (size_t)(file - path) : 0;
    RN_ENSURE(rn_text_format(directory, sizeof(directory), "%.*s", (int)before, path), err,
              RN_E_CONFIG, "the path of a socket is longer than %d bytes", RN_PATH_MAX - 1);
    const int descriptor = open(before > 0 ? directory : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    RN_ENSURE(descriptor >= 0, err, RN_E_SYSTEM, "%s: the socket's directory: %s", path,
              strerror(errno));
    out->directory = descriptor;
    memcpy(out->file, file, length + 1);
    alias_make(out->alias, descriptor, file);
    return rn_ok();
}

bool rn_rpc_socket_is_served(const struct rn_rpc_socket *which)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    RN_BUG_IF(!rn_text_format(name.sun_path, sizeof(name.sun_path), "%s", which->alias));
    const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return false;
    }
    const bool served =
        connect(descriptor, (const struct sockaddr *)(const void *)&name, sizeof(name)) == 0;
    close(descriptor);
    return served;
}

/* One name, so that what a killed process left is used again. */
static void nursery_name(const struct rn_rpc_socket *socket,
                         char out[static RN_RPC_SOCKET_FILE_MAX + 8])
{
    RN_BUG_IF(!rn_text_format(out, RN_RPC_SOCKET_FILE_MAX + 8, ".%s.new", socket->file));
}

rn_result rn_rpc_socket_prepare(struct rn_rpc_socket *socket, const char *path,
                                struct rn_error *err)
{
    char name[RN_RPC_SOCKET_FILE_MAX + 8];
    nursery_name(socket, name);
    const bool made = mkdirat(socket->directory, name, 0700) == 0 || errno == EEXIST;
    socket->nursery =
        made ? openat(socket->directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
             : -1;
    RN_ENSURE(socket->nursery >= 0 && fchmod(socket->nursery, 0700) == 0, err, RN_E_SYSTEM,
              "%s: the socket cannot be made: %s", path, strerror(errno));
    alias_make(socket->birthplace, socket->nursery, socket->file);
    return rn_ok();
}

rn_result rn_rpc_socket_publish(struct rn_rpc_socket *socket, const char *path,
                                struct rn_error *err)
{
    char name[RN_RPC_SOCKET_FILE_MAX + 8];
    struct stat info;
    nursery_name(socket, name);
    const bool moved =
        fchmodat(socket->nursery, socket->file, 0600, 0) == 0 &&
        fstatat(socket->nursery, socket->file, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        renameat(socket->nursery, socket->file, socket->directory, socket->file) == 0;
    RN_ENSURE(moved, err, RN_E_SYSTEM, "%s: the socket cannot be put in place: %s", path,
              strerror(errno));
    socket->inode = (uint64_t)info.st_ino;
    (void)unlinkat(socket->directory, name, AT_REMOVEDIR);
    return rn_ok();
}

void rn_rpc_socket_close(struct rn_rpc_socket *socket)
{
    struct stat info;
    if (socket->inode != 0 &&
        fstatat(socket->directory, socket->file, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        (uint64_t)info.st_ino == socket->inode) {
        (void)unlinkat(socket->directory, socket->file, 0);
    }
    /* Not before: core removes the path that it bound, by its name. */
    if (socket->nursery >= 0) {
        close(socket->nursery);
    }
    if (socket->directory >= 0) {
        close(socket->directory);
    }
    *socket = (struct rn_rpc_socket){.directory = -1, .nursery = -1};
}
