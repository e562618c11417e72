/* SPDX-License-Identifier: Apache-2.0
 *
 * SPIFFE ids of the two forms that Rondo uses.
 */
#include "services/rpc/peer.h"

#include <string.h>

#include "base/bytes.h"
#include "base/guard.h"

static bool name_is_plain(struct rn_view name, size_t max)
{
    if (name.length == 0 || name.length > max) {
        return false;
    }
    for (size_t i = 0; i < name.length; i++) {
        const uint8_t c = name.data[i];
        const bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        const bool mark = c == '.' || c == '-' || c == '_';
        if (!word && !(mark && i > 0)) {
            return false;
        }
    }
    return true;
}

static bool take_text(struct rn_reader *reader, const char *text)
{
    const struct rn_view expected = rn_view_text(text);
    return rn_view_equal(rn_read_view(reader, expected.length), expected);
}

static struct rn_view take_until_slash(struct rn_reader *reader)
{
    const uint8_t *start = reader->in.data + reader->position;
    const size_t left = rn_reader_left(reader);
    const uint8_t *slash = left > 0 ? memchr(start, '/', left) : NULL;
    return rn_read_view(reader, slash != NULL ? (size_t)(slash - start) : left);
}

/* Fills what it can; false when the URI has another form. */
static bool parse(struct rn_view uri, struct rn_peer *out)
{
    if (uri.length > RN_PEER_ID_MAX) {
        return false;
    }
    struct rn_reader reader = rn_reader_of(uri);
    if (!take_text(&reader, "spiffe://")) {
        return false;
    }
    const struct rn_view federation = take_until_slash(&reader);
    if (!name_is_plain(federation, RN_PEER_FEDERATION_MAX) || !take_text(&reader, "/")) {
        return false;
    }
    const struct rn_view role = take_until_slash(&reader);
    struct rn_view name = rn_view_of(NULL, 0);
    if (rn_view_equal(role, rn_view_text("member"))) {
        if (!take_text(&reader, "/")) {
            return false;
        }
        name = rn_read_view(&reader, rn_reader_left(&reader));
        if (!name_is_plain(name, RN_PEER_NAME_MAX)) {
            return false;
        }
        out->role = RN_PEER_MEMBER;
        memcpy(out->name, name.data, name.length);
    } else if (rn_view_equal(role, rn_view_text("coordinator"))) {
        out->role = RN_PEER_COORDINATOR;
    }
    memcpy(out->federation, federation.data, federation.length);
    memcpy(out->id, uri.data, uri.length);
    return out->role != RN_PEER_NONE && rn_reader_done(&reader);
}

rn_result rn_peer_parse(const char *uri, size_t length, struct rn_peer *out, struct rn_error *err)
{
    memset(out, 0, sizeof(*out));
    if (!parse(rn_view_of(uri, length), out)) {
        memset(out, 0, sizeof(*out));
        return rn_fail(err, RN_E_PEER_AUTH,
                       "an identity must read spiffe://FEDERATION/coordinator or "
                       "spiffe://FEDERATION/member/NAME");
    }
    return rn_ok();
}
