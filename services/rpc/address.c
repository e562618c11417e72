/* SPDX-License-Identifier: Apache-2.0
 *
 * "host:port" and "[v6]:port".
 */
#include "services/rpc/address.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/guard.h"
#include "services/rpc/rpc.h"

/* Decimal port of 1 to 5 digits; false otherwise. */
static bool port_read(const char *text, unsigned *out)
{
    unsigned value = 0;
    size_t digits = 0;
    for (; text[digits] >= '0' && text[digits] <= '9' && digits < 6; digits++) {
        value = value * 10U + (unsigned)(text[digits] - '0');
    }
    *out = value;
    return digits >= 1 && digits <= 5 && text[digits] == '\0' && value <= 65535U;
}

/* Splits into host (without brackets) and port. */
static bool split(const char *address, char host[static RN_RPC_ADDRESS_MAX + 1],
                  const char **out_port)
{
    const bool bracketed = address[0] == '[';
    const char *start = address + (bracketed ? 1 : 0);
    const char *end = bracketed ? strchr(address, ']') : strrchr(address, ':');
    if (end == NULL || end == start || (bracketed && end[1] != ':')) {
        return false;
    }
    const size_t length = (size_t)(end - start);
    if (!rn_text_format(host, RN_RPC_ADDRESS_MAX + 1, "%.*s", (int)length, start)) {
        return false;
    }
    *out_port = bracketed ? end + 2 : end + 1;
    const char *allowed = bracketed ? "0123456789abcdefABCDEF:.%"
                                    : "0123456789abcdefghijklmnopqrstuvwxyz"
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-_";
    return strspn(host, allowed) == length;
}

rn_result rn_rpc_address_check(const char *address, bool allow_zero, struct rn_error *err)
{
    char host[RN_RPC_ADDRESS_MAX + 1];
    const char *port = NULL;
    unsigned number = 0;
    RN_ENSURE(strlen(address) <= RN_RPC_ADDRESS_MAX, err, RN_E_CONFIG,
              "an address is longer than %d characters", RN_RPC_ADDRESS_MAX);
    RN_ENSURE(split(address, host, &port), err, RN_E_CONFIG,
              "address \"%s\" must read HOST:PORT or [IPV6]:PORT", address);
    RN_ENSURE(port_read(port, &number) && (allow_zero || number > 0), err, RN_E_CONFIG,
              "address \"%s\": the port must be a number from %d to 65535", address,
              allow_zero ? 0 : 1);
    return rn_ok();
}

static int try_bind(const struct addrinfo *info)
{
    const int descriptor = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return errno;
    }
    const int reason = bind(descriptor, info->ai_addr, info->ai_addrlen) == 0 ? 0 : errno;
    close(descriptor);
    return reason;
}

rn_result rn_rpc_address_why_not(const char *address, struct rn_error *err)
{
    char host[RN_RPC_ADDRESS_MAX + 1];
    const char *port = NULL;
    RN_ENSURE(split(address, host, &port), err, RN_E_CONFIG, "address \"%s\" is malformed",
              address);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *info = NULL;
    const int found = getaddrinfo(host, port, &hints, &info);
    RN_ENSURE(found == 0, err, RN_E_CONFIG, "cannot listen on %s: host name: %s", address,
              gai_strerror(found));
    const int reason = try_bind(info);
    freeaddrinfo(info);
    RN_ENSURE(reason != EADDRINUSE, err, RN_E_BUSY,
              "cannot listen on %s: the port is in use by another process", address);
    return rn_fail(err, RN_E_SYSTEM, "cannot listen on %s: %s", address,
                   reason != 0 ? strerror(reason) : "refused by the RPC library");
}
