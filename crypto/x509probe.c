/* SPDX-License-Identifier: Apache-2.0
 *
 * The probing handshake with OpenSSL's own client.
 */
#include "crypto/x509probe.h"

#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/guard.h"
#include "crypto/opensslclose.h"

static void context_close(SSL_CTX **context)
{
    SSL_CTX_free(*context);
}
static void connection_close(SSL **connection)
{
    SSL_free(*connection);
}
static X509 *certificate_read(struct rn_view pem)
{
    RN_CLEANUP(rn_openssl_bio_close) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.length);
    return bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
}

static bool context_fill(SSL_CTX *context, struct rn_view key_pem, struct rn_view chain_pem,
                         struct rn_view ca_pem)
{
    static const unsigned char h2[] = {2, 'h', '2'}; /* gRPC closes without it */
    RN_CLEANUP(rn_openssl_bio_close) BIO *bio = BIO_new_mem_buf(key_pem.data, (int)key_pem.length);
    RN_CLEANUP(rn_openssl_key_close)
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    RN_CLEANUP(rn_openssl_certificate_close) X509 *leaf = certificate_read(chain_pem);
    RN_CLEANUP(rn_openssl_certificate_close) X509 *authority = certificate_read(ca_pem);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    return key != NULL && leaf != NULL && authority != NULL &&
           SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_use_certificate(context, leaf) == 1 &&
           SSL_CTX_use_PrivateKey(context, key) == 1 &&
           X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority) == 1 &&
           SSL_CTX_set_alpn_protos(context, h2, sizeof h2) == 0;
}

static bool peer_leaf(SSL *connection, struct rn_tls_leaf *out)
{
    RN_CLEANUP(rn_openssl_certificate_close) X509 *leaf = SSL_get1_peer_certificate(connection);
    RN_CLEANUP(rn_openssl_bio_close) BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    if (leaf == NULL || bio == NULL || PEM_write_bio_X509(bio, leaf) != 1) {
        return false;
    }
    const long length = BIO_get_mem_data(bio, &data);
    return rn_is_ok(rn_tls_leaf_read(rn_view_of(data, (size_t)length), out, NULL));
}

/* The failure of SSL_connect or SSL_read in words. */
static rn_result handshake_fail(const SSL *connection, int outcome, struct rn_error *err)
{
    const long verified = SSL_get_verify_result(connection);
    const unsigned long error = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(error);
    const int kind = SSL_get_error(connection, outcome);
    ERR_clear_error();
    if (verified != X509_V_OK) {
        return rn_fail(err, RN_E_PEER_AUTH, "this side refuses the peer's certificate: %s",
                       X509_verify_cert_error_string(verified));
    }
    if (kind == SSL_ERROR_SSL && ERR_GET_REASON(error) >= SSL_AD_REASON_OFFSET) {
        return rn_fail(err, RN_E_PEER_AUTH, "the peer refuses this side: %s",
                       reason == NULL ? "alert" : reason);
    }
    if (kind == SSL_ERROR_SSL) {
        return rn_fail(err, RN_E_PEER_AUTH, "no TLS 1.3 handshake: %s",
                       reason == NULL ? "unknown reason" : reason);
    }
    return rn_fail(
        err, RN_E_UNAVAILABLE,
        "the peer closed or stayed silent during the handshake: it may not speak TLS, or "
        "refuses this site's certificate");
}

rn_result rn_x509_probe_run(int socket, struct rn_view key_pem, struct rn_view chain_pem,
                            struct rn_view ca_pem, const char *expected_uri,
                            struct rn_x509_probe *out_probe, struct rn_error *err)
{
    memset(out_probe, 0, sizeof *out_probe);
    RN_CLEANUP(context_close) SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    RN_ENSURE(context != NULL && context_fill(context, key_pem, chain_pem, ca_pem), err,
              RN_E_IDENTITY, "OpenSSL does not take this site's key, certificate or CA");
    RN_CLEANUP(connection_close) SSL *connection = SSL_new(context);
    RN_ENSURE(connection != NULL && SSL_set_fd(connection, socket) == 1, err, RN_E_SYSTEM,
              "OpenSSL does not take the socket");
    int outcome = SSL_connect(connection);
    if (outcome != 1) {
        return handshake_fail(connection, outcome, err);
    }
    (void)rn_text_format(out_probe->protocol, sizeof out_probe->protocol, "%s",
                         SSL_get_version(connection));
    (void)rn_text_format(out_probe->cipher, sizeof out_probe->cipher, "%s",
                         SSL_get_cipher(connection));
    RN_ENSURE(peer_leaf(connection, &out_probe->peer), err, RN_E_PEER_AUTH,
              "the peer showed no certificate");
    RN_ENSURE(strcmp(out_probe->peer.uri, expected_uri) == 0, err, RN_E_PEER_AUTH,
              "the peer's certificate is for %s, expected %s",
              out_probe->peer.uri[0] == '\0' ? "no single identity" : out_probe->peer.uri,
              expected_uri);
    char byte;
    outcome = SSL_read(connection, &byte, 1);
    if (outcome != 1) {
        return handshake_fail(connection, outcome, err);
    }
    return rn_ok();
}
