/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenSSL behind crypto/tlspolicy.h. The process-wide policy works through OpenSSL's configuration
 * module, because gRPC core offers no call for it but creates every context with the module's
 * defaults.
 */
#include "crypto/tlspolicy.h"

#include <openssl/bio.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/clock.h"
#include "base/guard.h"
#include "crypto/opensslclose.h"

static void stack_close(STACK_OF(X509) * *stack)
{
    sk_X509_pop_free(*stack, X509_free);
}
static void store_close(X509_STORE **store)
{
    X509_STORE_free(*store);
}
static void verifier_close(X509_STORE_CTX **verifier)
{
    X509_STORE_CTX_free(*verifier);
}

/* Reads borrowed text; never NULL. */
static BIO *text_open(struct rn_view text)
{
    BIO *bio = BIO_new_mem_buf(text.length > 0 ? (const void *)text.data : "", (int)text.length);
    RN_BUG_IF(bio == NULL);
    return bio;
}

/* OpenSSL ignores a command that it does not know, so look at a context that was made under it. */
static bool policy_holds(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    const uint64_t off = SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_TLSv1_2;
    const bool holds = context != NULL && (SSL_CTX_get_options(context) & off) == off &&
                       SSL_CTX_get_num_tickets(context) == 0;
    SSL_CTX_free(context);
    return holds;
}

rn_result rn_tls_policy_apply(struct rn_error *err)
{
    static const char text[] = "openssl_conf = init\n"
                               "[init]\nssl_conf = modules\n"
                               "[modules]\nsystem_default = policy\n"
                               "[policy]\nProtocol = -ALL,TLSv1.3\nNumTickets = 0\n";
    /* The machine's file first, so that ours is the last word. */
    (void)OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, NULL);
    RN_CLEANUP(rn_openssl_bio_close) BIO *bio = BIO_new_mem_buf(text, (int)sizeof(text) - 1);
    CONF *conf = NCONF_new(NULL);
    const bool loaded = bio != NULL && conf != NULL && NCONF_load_bio(conf, bio, NULL) > 0 &&
                        CONF_modules_load(conf, NULL, 0) > 0;
    NCONF_free(conf);
    ERR_clear_error();
    RN_ENSURE(loaded && policy_holds(), err, RN_E_SYSTEM,
              "OpenSSL would not take the setting \"TLS 1.3 only, no session tickets\"");
    return rn_ok();
}

/* All certificates of a PEM text; NULL when there is none or one is broken. */
static STACK_OF(X509) * certificates_read(struct rn_view pem)
{
    RN_CLEANUP(rn_openssl_bio_close) BIO *bio = text_open(pem);
    RN_CLEANUP(stack_close) STACK_OF(X509) *stack = sk_X509_new_null();
    RN_BUG_IF(stack == NULL);
    for (int count = 0; count < RN_TLS_CERTIFICATES_MAX; count++) {
        X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (certificate == NULL) {
            break;
        }
        RN_BUG_IF(sk_X509_push(stack, certificate) <= 0);
    }
    const unsigned long reason = ERR_peek_last_error();
    const bool at_end = ERR_GET_REASON(reason) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (sk_X509_num(stack) == 0 || !at_end) {
        return NULL;
    }
    return RN_TAKE(stack);
}

static uint64_t time_ms(const ASN1_TIME *time)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0;
    int seconds = 0;
    const int ok = ASN1_TIME_diff(&days, &seconds, epoch, time);
    ASN1_TIME_free(epoch);
    if (ok != 1 || days < 0 || seconds < 0) {
        return 0;
    }
    return ((uint64_t)days * 86400U + (uint64_t)seconds) * 1000U;
}

static void only_uri(X509 *certificate, char out[static RN_TLS_URI_MAX + 1])
{
    unsigned found = 0;
    out[0] = '\0';
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI) {
            continue;
        }
        const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
        const size_t length = (size_t)ASN1_STRING_length(uri);
        const unsigned char *data = ASN1_STRING_get0_data(uri);
        if (length <= RN_TLS_URI_MAX && memchr(data, '\0', length) == NULL) {
            memcpy(out, data, length);
            out[length] = '\0';
        }
        found++;
    }
    GENERAL_NAMES_free(names);
    if (found != 1) {
        out[0] = '\0';
    }
}

static void leaf_facts(X509 *certificate, struct rn_tls_leaf *out)
{
    memset(out, 0, sizeof(*out));
    unsigned length = 0;
    RN_BUG_IF(X509_digest(certificate, EVP_sha256(), out->hash, &length) != 1 ||
              length != RN_TLS_HASH_BYTES);
    out->not_before_ms = time_ms(X509_get0_notBefore(certificate));
    out->not_after_ms = time_ms(X509_get0_notAfter(certificate));
    only_uri(certificate, out->uri);
}

rn_result rn_tls_leaf_read(struct rn_view pem, struct rn_tls_leaf *out, struct rn_error *err)
{
    RN_CLEANUP(rn_openssl_bio_close) BIO *bio = text_open(pem);
    RN_CLEANUP(rn_openssl_certificate_close) X509 *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    ERR_clear_error();
    RN_ENSURE(leaf != NULL, err, RN_E_DATA, "no certificate in PEM form found");
    leaf_facts(leaf, out);
    return rn_ok();
}

/* No passphrase prompt: an encrypted key is refused. */
static int no_passphrase(char *out, int size, int writing, void *user)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)user;
    return 0;
}

static rn_result key_check(struct rn_view key_pem, X509 *leaf, struct rn_error *err)
{
    RN_CLEANUP(rn_openssl_bio_close) BIO *bio = text_open(key_pem);
    RN_CLEANUP(rn_openssl_key_close)
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    ERR_clear_error();
    RN_ENSURE(key != NULL, err, RN_E_IDENTITY,
              "the TLS key is no unencrypted private key in PEM form");
    const int fits = X509_check_private_key(leaf, key);
    ERR_clear_error();
    RN_ENSURE(fits == 1, err, RN_E_IDENTITY,
              "the TLS key does not belong to the certificate: take both from the same join");
    return rn_ok();
}

static rn_result leaf_check(X509 *leaf, uint64_t now_ms, struct rn_tls_leaf *out,
                            struct rn_error *err)
{
    leaf_facts(leaf, out);
    RN_ENSURE(out->uri[0] != '\0', err, RN_E_IDENTITY,
              "the TLS certificate must carry exactly one URI (spiffe://...)");
    RN_ENSURE(now_ms >= out->not_before_ms, err, RN_E_IDENTITY,
              "the TLS certificate is not valid yet: check this machine's clock");
    char date[25];
    rn_clock_format(date, out->not_after_ms);
    RN_ENSURE(now_ms <= out->not_after_ms, err, RN_E_IDENTITY,
              "the TLS certificate has expired on %.10s: ask the operator for a new one", date);
    const uint32_t both = XKU_SSL_CLIENT | XKU_SSL_SERVER;
    const bool restricted = (X509_get_extension_flags(leaf) & EXFLAG_XKUSAGE) != 0;
    RN_ENSURE(!restricted || (X509_get_extended_key_usage(leaf) & both) == both, err, RN_E_IDENTITY,
              "the TLS certificate must allow clientAuth and serverAuth");
    return rn_ok();
}

static rn_result chain_check(STACK_OF(X509) * chain, STACK_OF(X509) * authorities, uint64_t now_ms,
                             struct rn_error *err)
{
    RN_CLEANUP(store_close) X509_STORE *store = X509_STORE_new();
    RN_CLEANUP(verifier_close) X509_STORE_CTX *verifier = X509_STORE_CTX_new();
    RN_BUG_IF(store == NULL || verifier == NULL);
    for (int i = 0; i < sk_X509_num(authorities); i++) {
        X509 *authority = sk_X509_value(authorities, i);
        RN_ENSURE(X509_check_ca(authority) == 1, err, RN_E_IDENTITY,
                  "certificate %d of the CA file is no CA certificate", i + 1);
        RN_BUG_IF(X509_STORE_add_cert(store, authority) != 1);
    }
    RN_BUG_IF(X509_STORE_CTX_init(verifier, store, sk_X509_value(chain, 0), chain) != 1);
    X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(verifier);
    X509_VERIFY_PARAM_set_time(parameters, (time_t)(now_ms / 1000U));
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN);
    const int verified = X509_verify_cert(verifier);
    const int reason = X509_STORE_CTX_get_error(verifier);
    ERR_clear_error();
    RN_ENSURE(verified == 1, err, RN_E_IDENTITY,
              "the TLS certificate does not lead to the federation's CA: %s",
              X509_verify_cert_error_string(reason));
    return rn_ok();
}

rn_result rn_tls_material_check(struct rn_view key_pem, struct rn_view chain_pem,
                                struct rn_view ca_pem, uint64_t now_wall_ms,
                                struct rn_tls_leaf *out, struct rn_error *err)
{
    RN_CLEANUP(stack_close) STACK_OF(X509) *chain = certificates_read(chain_pem);
    RN_ENSURE(chain != NULL, err, RN_E_IDENTITY, "the TLS certificate file is empty or damaged");
    RN_CLEANUP(stack_close) STACK_OF(X509) *authorities = certificates_read(ca_pem);
    RN_ENSURE(authorities != NULL, err, RN_E_IDENTITY, "the CA file is empty or damaged");
    X509 *leaf = sk_X509_value(chain, 0);
    RN_TRY(key_check(key_pem, leaf, err));
    RN_TRY(leaf_check(leaf, now_wall_ms, out, err));
    return chain_check(chain, authorities, now_wall_ms, err);
}
