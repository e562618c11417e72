/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenSSL behind crypto/x509.h.
 */
#include "crypto/x509.h"

#include <arpa/inet.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/file.h"
#include "base/guard.h"
#include "crypto/opensslclose.h"
#include "crypto/random.h"
#include "crypto/roster.h"
#include "crypto/sha256.h"

#define CLOCK_SLACK_SECONDS 300 /* a site's clock may be this far behind */
#define SERIAL_BYTES 16

static void request_close(X509_REQ **request)
{
    X509_REQ_free(*request);
}
static void names_close(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}
static void extensions_close(STACK_OF(X509_EXTENSION) * *extensions)
{
    sk_X509_EXTENSION_pop_free(*extensions, X509_EXTENSION_free);
}

/* OpenSSL's reason for the failure that just happened. */
static rn_result openssl_fail(struct rn_error *err, enum rn_code code, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return rn_fail(err, code, "%s: %s", what, reason == NULL ? "OpenSSL refused" : reason);
}

/* An encrypted key is refused, never asked about. */
static int no_passphrase(char *out, int size, int writing, void *user)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)user;
    return -1;
}

/* ---- Names. */

void rn_x509_uri(const struct rn_x509_subject *subject, char out[static RN_X509_URI_MAX])
{
    const bool member = subject->member != NULL;
    RN_BUG_IF(!rn_name_valid(subject->federation) || (member && !rn_name_valid(subject->member)));
    RN_BUG_IF(!rn_text_format(out, RN_X509_URI_MAX, "spiffe://%s/%s%s", subject->federation,
                              member ? "member/" : "coordinator", member ? subject->member : ""));
}

static bool host_is_address(const char *host)
{
    uint8_t binary[16];
    return inet_pton(AF_INET, host, binary) == 1 || inet_pton(AF_INET6, host, binary) == 1;
}

bool rn_x509_host_valid(const char *host)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
    const size_t length = strlen(host);
    if (length == 0 || length > RN_X509_HOST_MAX) {
        return false;
    }
    return host_is_address(host) ||
           (strspn(host, allowed) == length && host[0] != '.' && host[0] != '-');
}

/* OpenSSL's text for a subjectAltName extension. The parts hold no ',' (checked above). */
static void san_text(const struct rn_x509_subject *subject,
                     char out[static RN_X509_URI_MAX + RN_X509_HOST_MAX + 16])
{
    char uri[RN_X509_URI_MAX];
    rn_x509_uri(subject, uri);
    const char *kind = host_is_address(subject->host) ? ",IP:" : ",DNS:";
    const bool host = subject->host[0] != '\0';
    RN_BUG_IF(host && !rn_x509_host_valid(subject->host));
    RN_BUG_IF(!rn_text_format(out, RN_X509_URI_MAX + RN_X509_HOST_MAX + 16, "URI:%s%s%s", uri,
                              host ? kind : "", subject->host));
}

static bool name_fill(X509_NAME *name, const char *organisation, const char *common)
{
    return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)organisation,
                                      -1, -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common, -1,
                                      -1, 0) == 1;
}

/* ---- Keys. */

static EVP_PKEY *key_generate(void)
{
    return EVP_EC_gen("P-256");
}

static rn_result key_write(EVP_PKEY *key, const char *path, struct rn_error *err)
{
    RN_CLEANUP(rn_openssl_bio_close) BIO *bio = BIO_new(BIO_s_secmem()); /* wipes what it held */
    char *data = NULL;
    if (bio == NULL || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
        return openssl_fail(err, RN_E_INTERNAL, "writing a private key");
    }
    const long length = BIO_get_mem_data(bio, &data);
    return rn_file_write(path, rn_view_of(data, (size_t)length), 0600, err);
}

static rn_result key_read(const char *path, EVP_PKEY **out, struct rn_error *err)
{
    RN_TRY(rn_file_private_check(path, err));
    RN_CLEANUP(rn_openssl_bio_close) BIO *bio = BIO_new_file(path, "r");
    if (bio == NULL) {
        ERR_clear_error();
        return rn_fail(err, RN_E_NO_INPUT, "%s: cannot be opened", path);
    }
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    ERR_clear_error();
    RN_ENSURE(key != NULL, err, RN_E_IDENTITY, "%s: no unencrypted private key in PEM form", path);
    *out = key;
    return rn_ok();
}

rn_result rn_x509_key_make(const char *key_path, struct rn_error *err)
{
    RN_CLEANUP(rn_openssl_key_close) EVP_PKEY *key = key_generate();
    if (key == NULL) {
        return openssl_fail(err, RN_E_SYSTEM, "making a P-256 key");
    }
    return key_write(key, key_path, err);
}

/* ---- Building. */

static bool extension_add(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    const bool added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

static rn_result certificate_begin(EVP_PKEY *key, uint64_t now_wall_ms, uint32_t days, X509 **out,
                                   struct rn_error *err)
{
    uint8_t serial[SERIAL_BYTES];
    RN_TRY(rn_random_bytes(serial, sizeof serial, err));
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40); /* positive, always of full length */
    RN_CLEANUP(rn_openssl_certificate_close) X509 *certificate = X509_new();
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    const time_t now = (time_t)(now_wall_ms / 1000);
    const bool done =
        certificate != NULL && number != NULL &&
        BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL &&
        X509_set_version(certificate, X509_VERSION_3) == 1 &&
        ASN1_TIME_adj(X509_getm_notBefore(certificate), now, 0, -CLOCK_SLACK_SECONDS) != NULL &&
        ASN1_TIME_adj(X509_getm_notAfter(certificate), now, (int)days, 0) != NULL &&
        X509_set_pubkey(certificate, key) == 1;
    BN_free(number);
    if (!done) {
        return openssl_fail(err, RN_E_INTERNAL, "making a certificate");
    }
    *out = RN_TAKE(certificate);
    return rn_ok();
}

static rn_result certificate_text(X509 *certificate, struct rn_buffer *out, struct rn_error *err)
{
    RN_CLEANUP(rn_openssl_bio_close) BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    if (bio == NULL || PEM_write_bio_X509(bio, certificate) != 1) {
        return openssl_fail(err, RN_E_INTERNAL, "writing a certificate");
    }
    const long length = BIO_get_mem_data(bio, &data);
    out->length = 0;
    rn_buffer_append(out, data, (size_t)length);
    return rn_ok();
}

static bool authority_fill(X509 *certificate, EVP_PKEY *key, const char *federation)
{
    char constraint[128];
    (void)rn_text_format(constraint, sizeof constraint, "critical,permitted;URI:%s", federation);
    X509_NAME *name = X509_get_subject_name(certificate);
    return name_fill(name, federation, "Rondo federation CA") &&
           X509_set_issuer_name(certificate, name) == 1 &&
           extension_add(certificate, certificate, NID_basic_constraints,
                         "critical,CA:TRUE,pathlen:0") &&
           extension_add(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") &&
           extension_add(certificate, certificate, NID_name_constraints, constraint) &&
           extension_add(certificate, certificate, NID_subject_key_identifier, "hash") &&
           X509_sign(certificate, key, EVP_sha256()) > 0;
}

rn_result rn_x509_authority_make(const char *federation, const char *key_path, uint64_t now_wall_ms,
                                 uint32_t days, struct rn_buffer *out_certificate,
                                 struct rn_error *err)
{
    RN_ENSURE(rn_name_valid(federation), err, RN_E_USAGE, "'%.64s' is no federation's name",
              federation);
    RN_CLEANUP(rn_openssl_key_close) EVP_PKEY *key = key_generate();
    if (key == NULL) {
        return openssl_fail(err, RN_E_SYSTEM, "making a P-256 key");
    }
    RN_CLEANUP(rn_openssl_certificate_close) X509 *certificate = NULL;
    RN_TRY(certificate_begin(key, now_wall_ms, days, &certificate, err));
    if (!authority_fill(certificate, key, federation)) {
        return openssl_fail(err, RN_E_INTERNAL, "making the CA certificate");
    }
    RN_TRY(key_write(key, key_path, err));
    return certificate_text(certificate, out_certificate, err);
}

/* ---- Requests. */

static bool request_fill(X509_REQ *request, EVP_PKEY *key, const struct rn_x509_subject *subject)
{
    char san[RN_X509_URI_MAX + RN_X509_HOST_MAX + 16];
    san_text(subject, san);
    RN_CLEANUP(extensions_close)
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
    if (extensions == NULL || extension == NULL ||
        sk_X509_EXTENSION_push(extensions, extension) <= 0) {
        X509_EXTENSION_free(extension);
        return false;
    }
    return name_fill(X509_REQ_get_subject_name(request), subject->federation,
                     subject->member == NULL ? "coordinator" : subject->member) &&
           X509_REQ_add_extensions(request, extensions) == 1 &&
           X509_REQ_set_pubkey(request, key) == 1 && X509_REQ_sign(request, key, EVP_sha256()) > 0;
}

rn_result rn_x509_request_make(const char *key_path, const struct rn_x509_subject *subject,
                               struct rn_buffer *out_request, struct rn_error *err)
{
    RN_CLEANUP(rn_openssl_key_close) EVP_PKEY *key = NULL;
    RN_TRY(key_read(key_path, &key, err));
    RN_CLEANUP(request_close) X509_REQ *request = X509_REQ_new();
    RN_CLEANUP(rn_openssl_bio_close) BIO *bio = BIO_new(BIO_s_mem());
    if (request == NULL || bio == NULL || !request_fill(request, key, subject) ||
        PEM_write_bio_X509_REQ(bio, request) != 1) {
        return openssl_fail(err, RN_E_INTERNAL, "making a certificate request");
    }
    char *data = NULL;
    const long length = BIO_get_mem_data(bio, &data);
    out_request->length = 0;
    rn_buffer_append(out_request, data, (size_t)length);
    return rn_ok();
}

static X509_REQ *request_read(struct rn_view pem)
{
    if (pem.length > RN_X509_PEM_MAX) {
        return NULL;
    }
    RN_CLEANUP(rn_openssl_bio_close) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.length);
    X509_REQ *request = bio == NULL ? NULL : PEM_read_bio_X509_REQ(bio, NULL, no_passphrase, NULL);
    ERR_clear_error();
    return request;
}

static X509 *certificate_read(struct rn_view pem)
{
    if (pem.length > RN_X509_PEM_MAX) {
        return NULL;
    }
    RN_CLEANUP(rn_openssl_bio_close) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.length);
    X509 *certificate = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    ERR_clear_error();
    return certificate;
}

static bool text_equal(const ASN1_STRING *string, const char *text)
{
    return (size_t)ASN1_STRING_length(string) == strlen(text) &&
           memcmp(ASN1_STRING_get0_data(string), text, strlen(text)) == 0;
}

/* An iPAddress as text. */
static bool address_text(const ASN1_OCTET_STRING *octets, char out[static RN_X509_HOST_MAX + 1])
{
    const int length = ASN1_STRING_length(octets);
    const int family = length == 4 ? AF_INET : AF_INET6;
    return (length == 4 || length == 16) &&
           inet_ntop(family, ASN1_STRING_get0_data(octets), out, RN_X509_HOST_MAX) != NULL;
}

/* Exactly the URI, and at most one host. */
static bool names_check(const GENERAL_NAMES *names, const char *uri,
                        char out_host[static RN_X509_HOST_MAX + 1])
{
    int uris = 0;
    out_host[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_URI) {
            if (++uris > 1 || !text_equal(name->d.uniformResourceIdentifier, uri)) {
                return false;
            }
            continue;
        }
        if (out_host[0] != '\0') {
            return false;
        }
        if (name->type == GEN_DNS) {
            const int length = ASN1_STRING_length(name->d.dNSName);
            if (length < 1 || length > RN_X509_HOST_MAX) {
                return false;
            }
            memcpy(out_host, ASN1_STRING_get0_data(name->d.dNSName), (size_t)length);
            out_host[length] = '\0';
            if (strlen(out_host) != (size_t)length || !rn_x509_host_valid(out_host)) {
                return false;
            }
        } else if (name->type != GEN_IPADD || !address_text(name->d.iPAddress, out_host)) {
            return false;
        }
    }
    return uris == 1;
}

static rn_result request_check(X509_REQ *request, struct rn_x509_subject *subject,
                               struct rn_error *err)
{
    char uri[RN_X509_URI_MAX];
    char group[32] = "";
    rn_x509_uri(subject, uri);
    EVP_PKEY *key = X509_REQ_get0_pubkey(request);
    const bool named = key != NULL && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1;
    ERR_clear_error();
    RN_ENSURE(named && (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0), err,
              RN_E_PEER_FORMAT, "the certificate request is not for a P-256 key");
    const int holds = X509_REQ_verify(request, key);
    ERR_clear_error();
    RN_ENSURE(holds == 1, err, RN_E_PEER_AUTH,
              "the certificate request is not signed by its own key");
    RN_CLEANUP(extensions_close)
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
    RN_CLEANUP(names_close)
    GENERAL_NAMES *names =
        extensions == NULL ? NULL : X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
    ERR_clear_error();
    RN_ENSURE(names != NULL && names_check(names, uri, subject->host), err, RN_E_PEER_AUTH,
              "the certificate request must name %s, at most one host, and nothing else", uri);
    return rn_ok();
}

rn_result rn_x509_request_check(struct rn_view request_pem, struct rn_x509_subject *subject,
                                struct rn_error *err)
{
    RN_CLEANUP(request_close) X509_REQ *request = request_read(request_pem);
    RN_ENSURE(request != NULL, err, RN_E_PEER_FORMAT, "no certificate request in PEM form");
    return request_check(request, subject, err);
}

/* ---- Issuing. */

static bool leaf_fill(X509 *leaf, X509 *authority, EVP_PKEY *authority_key,
                      const struct rn_x509_subject *subject)
{
    char san[RN_X509_URI_MAX + RN_X509_HOST_MAX + 16];
    san_text(subject, san);
    return name_fill(X509_get_subject_name(leaf), subject->federation,
                     subject->member == NULL ? "coordinator" : subject->member) &&
           X509_set_issuer_name(leaf, X509_get_subject_name(authority)) == 1 &&
           extension_add(leaf, authority, NID_basic_constraints, "critical,CA:FALSE") &&
           extension_add(leaf, authority, NID_key_usage, "critical,digitalSignature") &&
           extension_add(leaf, authority, NID_ext_key_usage, "serverAuth,clientAuth") &&
           extension_add(leaf, authority, NID_subject_alt_name, san) &&
           extension_add(leaf, authority, NID_subject_key_identifier, "hash") &&
           extension_add(leaf, authority, NID_authority_key_identifier, "keyid:always") &&
           X509_sign(leaf, authority_key, EVP_sha256()) > 0;
}

rn_result rn_x509_issue(const char *authority_key_path, struct rn_view authority_pem,
                        struct rn_view request_pem, struct rn_x509_subject *subject,
                        uint64_t now_wall_ms, uint32_t days, struct rn_buffer *out_certificate,
                        struct rn_error *err)
{
    RN_CLEANUP(request_close) X509_REQ *request = request_read(request_pem);
    RN_ENSURE(request != NULL, err, RN_E_PEER_FORMAT, "no certificate request in PEM form");
    RN_TRY(request_check(request, subject, err));
    RN_CLEANUP(rn_openssl_certificate_close) X509 *authority = certificate_read(authority_pem);
    RN_ENSURE(authority != NULL, err, RN_E_IDENTITY, "the CA certificate is missing or damaged");
    RN_CLEANUP(rn_openssl_key_close) EVP_PKEY *key = NULL;
    RN_TRY(key_read(authority_key_path, &key, err));
    const int fits = X509_check_private_key(authority, key);
    ERR_clear_error();
    RN_ENSURE(fits == 1, err, RN_E_IDENTITY, "%s: not the key of the CA certificate",
              authority_key_path);
    RN_CLEANUP(rn_openssl_certificate_close) X509 *leaf = NULL;
    RN_TRY(certificate_begin(X509_REQ_get0_pubkey(request), now_wall_ms, days, &leaf, err));
    if (!leaf_fill(leaf, authority, key, subject)) {
        return openssl_fail(err, RN_E_INTERNAL, "issuing a certificate");
    }
    return certificate_text(leaf, out_certificate, err);
}

/* ---- Hashes. */

rn_result rn_x509_key_hash(struct rn_view pem, uint8_t out_hash[static 32], struct rn_error *err)
{
    RN_CLEANUP(request_close) X509_REQ *request = request_read(pem);
    RN_CLEANUP(rn_openssl_certificate_close) X509 *certificate = certificate_read(pem);
    EVP_PKEY *key = request != NULL       ? X509_REQ_get0_pubkey(request)
                    : certificate != NULL ? X509_get0_pubkey(certificate)
                                          : NULL;
    unsigned char *der = NULL;
    const int length = key == NULL ? -1 : i2d_PUBKEY(key, &der);
    ERR_clear_error();
    RN_ENSURE(length > 0, err, RN_E_DATA, "no certificate or request in PEM form");
    rn_sha256_plain(out_hash, rn_view_of(der, (size_t)length));
    OPENSSL_free(der);
    return rn_ok();
}

rn_result rn_x509_fingerprint(struct rn_view pem, uint8_t out_hash[static 32], struct rn_error *err)
{
    RN_CLEANUP(rn_openssl_certificate_close) X509 *certificate = certificate_read(pem);
    unsigned char *der = NULL;
    const int length = certificate == NULL ? -1 : i2d_X509(certificate, &der);
    ERR_clear_error();
    RN_ENSURE(length > 0, err, RN_E_DATA, "no certificate in PEM form");
    rn_sha256_plain(out_hash, rn_view_of(der, (size_t)length));
    OPENSSL_free(der);
    return rn_ok();
}
