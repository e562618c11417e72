/* SPDX-License-Identifier: Apache-2.0
 *
 * The federation's certificates: made, issued, and everything that must not pass.
 */
#include "base/file.h"
#include "base/guard.h"
#include "crypto/tlspolicy.h"
#include "crypto/x509.h"
#include "crypto/x509probe.h"

#include "tests/unit/crypto/requests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/pem.h>

#define NOW UINT64_C(1800000000000) /* 2027-01-15 */
#define DAY UINT64_C(86400000)

static char directory[] = "/tmp/rondo-x509-XXXXXX";
static char ca_key[256], other_ca_key[256], site_key[256], other_key[256];
static struct rn_buffer ca, other_ca, request, certificate, key_pem, other_pem;
static struct rn_error error;
static struct rn_tls_leaf leaf;

static const struct rn_x509_subject north = {.federation = "clinics", .member = "north"};

static void must(rn_result result)
{
    if (!rn_is_ok(result)) {
        fail_msg("%s", error.text);
    }
}

static void path_of(char out[static 256], const char *name)
{
    assert_true(rn_text_format(out, 256, "%s/%s", directory, name));
}

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    path_of(ca_key, "ca.key");
    path_of(other_ca_key, "other-ca.key");
    path_of(site_key, "site.key");
    path_of(other_key, "other.key");
    must(rn_x509_authority_make("clinics", ca_key, NOW, 3650, &ca, &error));
    must(rn_x509_authority_make("clinics", other_ca_key, NOW, 3650, &other_ca, &error));
    must(rn_x509_key_make(site_key, &error));
    must(rn_x509_key_make(other_key, &error));
    must(rn_file_read(site_key, 4096, &key_pem, &error));
    must(rn_file_read(other_key, 4096, &other_pem, &error));
    must(rn_x509_request_make(site_key, &north, &request, &error));
    struct rn_x509_subject subject = north;
    must(rn_x509_issue(ca_key, rn_buffer_view(&ca), rn_buffer_view(&request), &subject, NOW, 30,
                       &certificate, &error));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    const char *const files[] = {ca_key, other_ca_key, site_key, other_key};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(files); i++) {
        (void)unlink(files[i]);
    }
    (void)rmdir(directory);
    struct rn_buffer *buffers[] = {&ca, &other_ca, &request, &certificate, &key_pem, &other_pem};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(buffers); i++) {
        rn_buffer_clear(buffers[i]);
    }
    return 0;
}

static rn_result check(const struct rn_buffer *key, const struct rn_buffer *chain,
                       const struct rn_buffer *authority, uint64_t now)
{
    return rn_tls_material_check(rn_buffer_view(key), rn_buffer_view(chain),
                                 rn_buffer_view(authority), now, &leaf, &error);
}

static void issued_certificate_is_fit(void **state)
{
    (void)state;
    must(check(&key_pem, &certificate, &ca, NOW));
    assert_string_equal(leaf.uri, "spiffe://clinics/member/north");
    assert_true(leaf.not_before_ms == NOW - 300000);
    assert_true(leaf.not_after_ms == NOW + 30 * DAY);
    uint8_t a[32];
    uint8_t b[32];
    must(rn_x509_key_hash(rn_buffer_view(&request), a, &error));
    must(rn_x509_key_hash(rn_buffer_view(&certificate), b, &error));
    assert_memory_equal(a, b, 32);
    must(rn_x509_fingerprint(rn_buffer_view(&certificate), a, &error));
    assert_memory_equal(a, leaf.hash, 32);
    struct stat facts;
    assert_int_equal(stat(site_key, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    assert_int_equal(stat(ca_key, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
}

static void refuse(const struct rn_buffer *key, const struct rn_buffer *chain,
                   const struct rn_buffer *authority, uint64_t now, const char *expected)
{
    error.text[0] = '\0';
    const rn_result result = check(key, chain, authority, now);
    if (rn_is_ok(result) || strstr(error.text, expected) == NULL) {
        fail_msg("expected \"%s\", got \"%s\"", expected, error.text);
    }
}

static void unfit_material_is_named(void **state)
{
    (void)state;
    refuse(&other_pem, &certificate, &ca, NOW, "does not belong to the certificate");
    refuse(&key_pem, &certificate, &other_ca, NOW, "does not lead to the federation's CA");
    refuse(&key_pem, &certificate, &ca, NOW + 31 * DAY, "expired");
    refuse(&key_pem, &certificate, &ca, NOW - DAY, "not valid yet");
    refuse(&key_pem, &certificate, &certificate, NOW, "no CA certificate");
    refuse(&key_pem, &ca, &ca, NOW, "does not belong");
    struct rn_buffer nothing = {0};
    refuse(&key_pem, &nothing, &ca, NOW, "certificate file is empty");
    refuse(&key_pem, &certificate, &nothing, NOW, "CA file is empty");
    refuse(&nothing, &certificate, &ca, NOW, "no unencrypted private key");
}

/* The CA may speak for its own federation only, even when it signs for another. */
static void authority_is_constrained(void **state)
{
    (void)state;
    struct rn_x509_subject stranger = {.federation = "banks", .member = "north"};
    struct rn_buffer foreign_request = {0};
    struct rn_buffer foreign = {0};
    must(rn_x509_request_make(site_key, &stranger, &foreign_request, &error));
    must(rn_x509_issue(ca_key, rn_buffer_view(&ca), rn_buffer_view(&foreign_request), &stranger,
                       NOW, 30, &foreign, &error));
    refuse(&key_pem, &foreign, &ca, NOW, "permitted subtree violation");
    rn_buffer_clear(&foreign_request);
    rn_buffer_clear(&foreign);
}

static void host_names(void **state)
{
    (void)state;
    static const char *const hosts[] = {"fed.example.org", "127.0.0.1", "::1", "localhost"};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(hosts); i++) {
        struct rn_x509_subject subject = {.federation = "clinics"};
        struct rn_x509_subject read = {.federation = "clinics"};
        struct rn_buffer text = {0};
        (void)rn_text_format(subject.host, sizeof subject.host, "%s", hosts[i]);
        assert_true(rn_x509_host_valid(hosts[i]));
        must(rn_x509_request_make(site_key, &subject, &text, &error));
        must(rn_x509_request_check(rn_buffer_view(&text), &read, &error));
        assert_string_equal(read.host, hosts[i]);
        rn_buffer_clear(&text);
    }
    static const char *const wrong[] = {"", "a b", "a,URI:spiffe://x", ".a", "-a", "a/b", "a:1"};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(wrong); i++) {
        assert_false(rn_x509_host_valid(wrong[i]));
    }
    char longest[RN_X509_HOST_MAX + 2];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_false(rn_x509_host_valid(longest));
    longest[RN_X509_HOST_MAX] = '\0';
    assert_true(rn_x509_host_valid(longest));
}

static void requests_that_ask_for_more(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {request_two, "must name spiffe://clinics/member/north"},
        {request_hosts, "at most one host"},
        {request_mail, "nothing else"},
        {request_none, "must name"},
        {request_p384, "not for a P-256 key"},
        {request_rsa, "not for a P-256 key"},
        {request_ed, "not for a P-256 key"},
        {"nothing", "no certificate request"},
        {"", "no certificate request"},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        struct rn_x509_subject subject = north;
        struct rn_buffer out = {0};
        const rn_result result =
            rn_x509_issue(ca_key, rn_buffer_view(&ca), rn_view_text(rows[i].text), &subject, NOW,
                          30, &out, &error);
        if (rn_is_ok(result) || strstr(error.text, rows[i].expected) == NULL) {
            fail_msg("expected \"%s\", got \"%s\"", rows[i].expected, error.text);
        }
        rn_buffer_clear(&out);
    }
    struct rn_x509_subject other = {.federation = "clinics", .member = "south"};
    assert_int_equal(rn_x509_request_check(rn_buffer_view(&request), &other, &error).code,
                     RN_E_PEER_AUTH);
    other = (struct rn_x509_subject){.federation = "clinics"};
    assert_int_equal(rn_x509_request_check(rn_buffer_view(&request), &other, &error).code,
                     RN_E_PEER_AUTH);
}

static void issuing_needs_the_authority(void **state)
{
    (void)state;
    struct rn_x509_subject subject = north;
    struct rn_buffer out = {0};
    assert_int_equal(rn_x509_issue(other_ca_key, rn_buffer_view(&ca), rn_buffer_view(&request),
                                   &subject, NOW, 30, &out, &error)
                         .code,
                     RN_E_IDENTITY);
    assert_int_equal(rn_x509_issue("/nonexistent/key", rn_buffer_view(&ca),
                                   rn_buffer_view(&request), &subject, NOW, 30, &out, &error)
                         .code,
                     RN_E_NO_INPUT);
    assert_int_equal(out.length, 0);
    rn_buffer_clear(&out);
    assert_int_equal(rn_x509_authority_make("Not a name", ca_key, NOW, 1, &out, &error).code,
                     RN_E_USAGE);
}

/* The request's DER in PEM again, with byte `at` changed. */
static void damaged_pem(const uint8_t *der, long length, long at, struct rn_buffer *out)
{
    uint8_t copy[2048];
    char *text = NULL;
    assert_true(length <= (long)sizeof(copy));
    memcpy(copy, der, (size_t)length);
    copy[at] ^= 0x01;
    BIO *bio = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio(bio, PEM_STRING_X509_REQ, "", copy, length) > 0);
    const long size = BIO_get_mem_data(bio, &text);
    rn_buffer_append(out, text, (size_t)size);
    BIO_free(bio);
}

/* A flipped bit anywhere in the request's DER breaks its signature or its form. (Characters of the
 * PEM are not flipped: base64's last one may carry bits that mean nothing.) */
static void damaged_requests(void **state)
{
    (void)state;
    char *name = NULL;
    char *header = NULL;
    unsigned char *der = NULL;
    long length = 0;
    BIO *bio = BIO_new_mem_buf(request.data, (int)request.length);
    assert_int_equal(PEM_read_bio(bio, &name, &header, &der, &length), 1);
    for (long at = 0; at < length; at++) {
        struct rn_x509_subject subject = north;
        struct rn_buffer pem = {0};
        damaged_pem(der, length, at, &pem);
        const bool passes = rn_is_ok(rn_x509_request_check(rn_buffer_view(&pem), &subject, &error));
        rn_buffer_clear(&pem);
        if (passes) {
            fail_msg("a request with byte %ld of %ld changed passes", at, length);
        }
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(bio);
}

static void probe_of_what_is_no_tls(void **state)
{
    (void)state;
    int pair[2];
    struct rn_x509_probe probe;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(write(pair[1], "HTTP/1.1 400 Bad Request\r\n\r\n", 28), 28);
    rn_result result =
        rn_x509_probe_run(pair[0], rn_buffer_view(&key_pem), rn_buffer_view(&certificate),
                          rn_buffer_view(&ca), "spiffe://clinics/coordinator", &probe, &error);
    assert_int_equal(result.code, RN_E_PEER_AUTH);
    assert_non_null(strstr(error.text, "no TLS 1.3 handshake"));
    (void)close(pair[0]);
    (void)close(pair[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
    result = rn_x509_probe_run(pair[0], rn_buffer_view(&key_pem), rn_buffer_view(&certificate),
                               rn_buffer_view(&ca), "spiffe://clinics/coordinator", &probe, &error);
    assert_false(rn_is_ok(result));
    (void)close(pair[0]);
    (void)close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(issued_certificate_is_fit),  cmocka_unit_test(unfit_material_is_named),
        cmocka_unit_test(authority_is_constrained),   cmocka_unit_test(host_names),
        cmocka_unit_test(requests_that_ask_for_more), cmocka_unit_test(issuing_needs_the_authority),
        cmocka_unit_test(damaged_requests),           cmocka_unit_test(probe_of_what_is_no_tls),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
