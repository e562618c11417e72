/* SPDX-License-Identifier: Apache-2.0
 *
 * From core's authentication context to struct rn_peer. Core sets the SPIFFE property only for a
 * well-formed id that is the certificate's only URI, so its absence is a refusal; the generic "peer
 * identity" of the context (any name, or the common name) is never looked at.
 */
#include <grpc/grpc_security_constants.h>
#include <string.h>

#include "crypto/tlspolicy.h"
#include "services/rpc/rpc_peer.h"

/* Tolerated difference between the clocks of two sites. */
#define CLOCK_SKEW_MS (5U * 60U * 1000U)

_Static_assert(RN_TLS_HASH_BYTES == RN_PEER_HASH_BYTES, "one kind of hash");

/* The property's only value; false when there is none or more than one. */
static bool only_value(const grpc_auth_context *context, const char *name, struct rn_view *out)
{
    grpc_auth_property_iterator found = grpc_auth_context_find_properties_by_name(context, name);
    const grpc_auth_property *first = grpc_auth_property_iterator_next(&found);
    if (first == NULL || grpc_auth_property_iterator_next(&found) != NULL) {
        return false;
    }
    *out = rn_view_of(first->value, first->value_length);
    return true;
}

static bool value_is(const grpc_auth_context *context, const char *name, const char *expected)
{
    struct rn_view value;
    return only_value(context, name, &value) && rn_view_equal(value, rn_view_text(expected));
}

static rn_result certificate_read(const grpc_auth_context *context, struct rn_peer *out)
{
    struct rn_view pem;
    struct rn_tls_leaf leaf;
    if (!only_value(context, GRPC_X509_PEM_CERT_PROPERTY_NAME, &pem) ||
        pem.length > RN_RPC_PEM_MAX || !rn_is_ok(rn_tls_leaf_read(pem, &leaf, NULL)) ||
        strcmp(leaf.uri, out->id) != 0) {
        return (rn_result){RN_E_PEER_AUTH};
    }
    memcpy(out->leaf_hash, leaf.hash, sizeof(out->leaf_hash));
    out->not_before_ms = leaf.not_before_ms;
    out->not_after_ms = leaf.not_after_ms;
    return rn_ok();
}

static rn_result identify(const struct rn_rpc *rpc, const grpc_auth_context *context, bool dialled,
                          struct rn_peer *out)
{
    const rn_result refused = {RN_E_PEER_AUTH};
    const char *type_key = GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME;
    if (!dialled && value_is(context, type_key, "local")) {
        out->role = RN_PEER_LOCAL;
        return rn_ok();
    }
    /* The two sides use different families of credentials, see rpc_creds.c. */
    struct rn_view id;
    if (grpc_auth_context_peer_is_authenticated(context) == 0 ||
        !value_is(context, type_key, dialled ? "tls" : "ssl") ||
        !value_is(context, GRPC_SSL_SESSION_REUSED_PROPERTY, "false") ||
        !only_value(context, GRPC_PEER_SPIFFE_ID_PROPERTY_NAME, &id)) {
        return refused;
    }
    RN_TRY(rn_peer_parse((const char *)id.data, id.length, out, NULL));
    if (rpc->federation[0] != '\0' && strcmp(rpc->federation, out->federation) != 0) {
        return refused;
    }
    RN_TRY(certificate_read(context, out));
    return rn_rpc_peer_in_date(out, rn_rpc_wall_ms(rpc)) ? rn_ok() : refused;
}

rn_result rn_rpc_peer_identify(const struct rn_rpc *rpc, grpc_call *call, bool dialled,
                               struct rn_peer *out)
{
    memset(out, 0, sizeof(*out));
    grpc_auth_context *context = grpc_call_auth_context(call);
    if (context == NULL) {
        return (rn_result){RN_E_PEER_AUTH};
    }
    const rn_result result = identify(rpc, context, dialled, out);
    grpc_auth_context_release(context);
    if (!rn_is_ok(result)) {
        memset(out, 0, sizeof(*out));
    }
    return result;
}

bool rn_rpc_peer_in_date(const struct rn_peer *peer, uint64_t now_wall_ms)
{
    return peer->role == RN_PEER_LOCAL || (now_wall_ms + CLOCK_SKEW_MS >= peer->not_before_ms &&
                                           now_wall_ms <= peer->not_after_ms + CLOCK_SKEW_MS);
}
