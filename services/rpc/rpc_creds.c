/* SPDX-License-Identifier: Apache-2.0
 *
 * Credentials. The server's come from a fetcher that core asks before every handshake, so that a
 * new certificate takes effect without a restart; the fetcher hands out an already checked snapshot
 * and never touches the disk. The client's are of the grpc_tls family, whose verifier may skip the
 * host name: a member is who its SPIFFE id says, wherever it is reached, and needs no name in the
 * DNS.
 */
#include <grpc/support/alloc.h>
#include <grpc/support/string_util.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "crypto/secret.h"
#include "crypto/tlspolicy.h"
#include "services/rpc/rpc_creds.h"

/* Checked PEM texts; NUL-terminated, because core wants C strings. */
struct rn_rpc_snapshot {
    char *key; /* secret memory */
    char *chain;
    char *authorities;
};

static void snapshot_free(struct rn_rpc_snapshot *snapshot)
{
    if (snapshot == NULL) {
        return;
    }
    rn_secret_free(snapshot->key);
    rn_free(snapshot->chain);
    rn_free(snapshot->authorities);
    rn_free(snapshot);
}

static rn_result snapshot_new(const struct rn_rpc_material *material, uint64_t wall_ms,
                              struct rn_rpc_snapshot **out, struct rn_peer *out_self,
                              struct rn_error *err)
{
    RN_ENSURE(material->key_pem.length <= RN_RPC_PEM_MAX &&
                  material->chain_pem.length <= RN_RPC_PEM_MAX &&
                  material->ca_pem.length <= RN_RPC_PEM_MAX,
              err, RN_E_IDENTITY, "a key, certificate or CA file is larger than %zu bytes",
              (size_t)RN_RPC_PEM_MAX);
    struct rn_tls_leaf leaf;
    RN_TRY(rn_tls_material_check(material->key_pem, material->chain_pem, material->ca_pem, wall_ms,
                                 &leaf, err));
    RN_ENSURE(rn_is_ok(rn_peer_parse(leaf.uri, strlen(leaf.uri), out_self, NULL)), err,
              RN_E_IDENTITY,
              "the URI of the TLS certificate must read spiffe://FEDERATION/coordinator or "
              "spiffe://FEDERATION/member/NAME");
    memcpy(out_self->leaf_hash, leaf.hash, sizeof(out_self->leaf_hash));
    out_self->not_before_ms = leaf.not_before_ms;
    out_self->not_after_ms = leaf.not_after_ms;
    struct rn_rpc_snapshot *snapshot = rn_alloc(1, sizeof(*snapshot));
    snapshot->key = rn_secret_alloc(material->key_pem.length + 1);
    memcpy(snapshot->key, material->key_pem.data, material->key_pem.length);
    snapshot->chain =
        rn_text_copy((const char *)material->chain_pem.data, material->chain_pem.length);
    snapshot->authorities =
        rn_text_copy((const char *)material->ca_pem.data, material->ca_pem.length);
    *out = snapshot;
    return rn_ok();
}

rn_result rn_rpc_creds_init(struct rn_rpc_creds *creds, const struct rn_rpc_material *material,
                            uint64_t wall_ms, struct rn_error *err)
{
    memset(creds, 0, sizeof(*creds));
    RN_TRY(snapshot_new(material, wall_ms, &creds->snapshot, &creds->self, err));
    creds->generation = 1;
    pthread_mutex_init(&creds->lock, NULL);
    return rn_ok();
}

rn_result rn_rpc_creds_replace(struct rn_rpc_creds *creds, const struct rn_rpc_material *material,
                               uint64_t wall_ms, struct rn_error *err)
{
    struct rn_rpc_snapshot *fresh = NULL;
    struct rn_peer self;
    RN_TRY(snapshot_new(material, wall_ms, &fresh, &self, err));
    if (strcmp(self.id, creds->self.id) != 0) {
        snapshot_free(fresh);
        return rn_fail(err, RN_E_IDENTITY, "the new certificate is for %s, this service is %s",
                       self.id, creds->self.id);
    }
    pthread_mutex_lock(&creds->lock);
    struct rn_rpc_snapshot *old = creds->snapshot;
    creds->snapshot = fresh;
    creds->self = self;
    creds->generation++;
    pthread_mutex_unlock(&creds->lock);
    snapshot_free(old);
    return rn_ok();
}

void rn_rpc_creds_expiry_text(const struct rn_rpc_creds *creds, char *out, size_t capacity)
{
    char date[25];
    rn_clock_format(date, creds->self.not_after_ms);
    RN_BUG_IF(!rn_text_format(out, capacity, "this site's TLS certificate expired on %.10s: %s",
                              date, RN_RPC_RENEWAL_ADVICE));
}

void rn_rpc_creds_clear(struct rn_rpc_creds *creds)
{
    if (creds->snapshot == NULL) {
        return;
    }
    snapshot_free(RN_TAKE(creds->snapshot));
    pthread_mutex_destroy(&creds->lock);
}

/* --- server ----------------------------------------------------------------------------------- */

/* On a thread of core's, under core's lock. */
static grpc_ssl_certificate_config_reload_status fetch(void *user,
                                                       grpc_ssl_server_certificate_config **out)
{
    struct rn_rpc_fetcher *fetcher = user;
    struct rn_rpc_creds *creds = fetcher->creds;
    grpc_ssl_certificate_config_reload_status status = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    pthread_mutex_lock(&creds->lock);
    if (fetcher->handed != creds->generation) {
        const grpc_ssl_pem_key_cert_pair pair = {creds->snapshot->key, creds->snapshot->chain};
        *out = grpc_ssl_server_certificate_config_create(creds->snapshot->authorities, &pair, 1);
        fetcher->handed = creds->generation;
        status = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
    }
    pthread_mutex_unlock(&creds->lock);
    return status;
}

grpc_server_credentials *rn_rpc_creds_server(struct rn_rpc_creds *creds)
{
    RN_BUG_IF(creds->fetcher_count == RN_RPC_LISTENERS_MAX);
    struct rn_rpc_fetcher *fetcher = &creds->fetchers[creds->fetcher_count++];
    *fetcher = (struct rn_rpc_fetcher){.creds = creds};
    grpc_ssl_server_credentials_options *options =
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY, fetch, fetcher);
    return options != NULL ? grpc_ssl_server_credentials_create_with_options(options) : NULL;
}

/* --- client ----------------------------------------------------------------------------------- */

#define PIN_MAGIC 0x70696e73U

/* Lives until core destroys the verifier. Core's threads use it in turn; the atomics make that
 * order visible to ThreadSanitizer, which cannot see into core. */
struct pin {
    atomic_uint magic;
    atomic_uint uses;
    char expected[RN_PEER_ID_MAX + 1];
    grpc_tls_certificate_verifier_external external;
};

/* On a thread of core's, after the chain was verified and before a byte of a request leaves. */
static int pin_verify(void *user, grpc_tls_custom_verification_check_request *request,
                      grpc_tls_on_custom_verification_check_done_cb callback, void *callback_arg,
                      grpc_status_code *sync_status, char **sync_error_details)
{
    (void)callback;
    (void)callback_arg;
    struct pin *pin = user;
    RN_BUG_IF(atomic_load(&pin->magic) != PIN_MAGIC);
    const size_t count = request->peer_info.san_names.uri_names_size;
    char **names = request->peer_info.san_names.uri_names;
    if (count == 1 && strcmp(names[0], pin->expected) == 0) {
        *sync_status = GRPC_STATUS_OK;
    } else {
        *sync_status = GRPC_STATUS_UNAUTHENTICATED;
        *sync_error_details = gpr_strdup("the certificate names another identity");
    }
    atomic_fetch_add(&pin->uses, 1);
    return 1;
}

static void pin_cancel(void *user, grpc_tls_custom_verification_check_request *request)
{
    (void)user;
    (void)request;
}

static void pin_destruct(void *user)
{
    struct pin *pin = user;
    (void)atomic_load(&pin->uses);
    RN_BUG_IF(atomic_exchange(&pin->magic, 0) != PIN_MAGIC);
    rn_free(pin);
}

static grpc_tls_certificate_verifier *pin_new(const char *expected_id)
{
    struct pin *pin = rn_alloc(1, sizeof(*pin));
    RN_BUG_IF(!rn_text_format(pin->expected, sizeof(pin->expected), "%s", expected_id));
    pin->external.user_data = pin;
    pin->external.verify = pin_verify;
    pin->external.cancel = pin_cancel;
    pin->external.destruct = pin_destruct;
    atomic_store(&pin->magic, PIN_MAGIC);
    return grpc_tls_certificate_verifier_external_create(&pin->external);
}

grpc_channel_credentials *rn_rpc_creds_client(struct rn_rpc_creds *creds, const char *expected_id,
                                              uint64_t *out_generation)
{
    grpc_tls_identity_pairs *pairs = grpc_tls_identity_pairs_create();
    pthread_mutex_lock(&creds->lock);
    grpc_tls_identity_pairs_add_pair(pairs, creds->snapshot->key, creds->snapshot->chain);
    grpc_tls_certificate_provider *provider =
        grpc_tls_certificate_provider_static_data_create(creds->snapshot->authorities, pairs);
    *out_generation = creds->generation;
    pthread_mutex_unlock(&creds->lock);

    grpc_tls_credentials_options *options = grpc_tls_credentials_options_create();
    grpc_tls_credentials_options_set_certificate_provider(options, provider);
    grpc_tls_credentials_options_watch_root_certs(options);
    grpc_tls_credentials_options_watch_identity_key_cert_pairs(options);
    grpc_tls_certificate_verifier *verifier = pin_new(expected_id);
    grpc_tls_credentials_options_set_certificate_verifier(options, verifier);
    grpc_tls_credentials_options_set_check_call_host(options, 0);
    grpc_tls_certificate_verifier_release(verifier);
    grpc_tls_certificate_provider_release(provider);
    return grpc_tls_credentials_create(options);
}
