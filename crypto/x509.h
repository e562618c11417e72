/* SPDX-License-Identifier: Apache-2.0
 *
 * The federation's certificates, for transport alone: a P-256 certificate authority that may name
 * nothing but spiffe://<federation>/..., keys and requests made at the sites, certificates issued
 * from requests. Nothing of the secure-aggregation protocol leans on them.
 *
 * A leaf certificate holds exactly one URI, spiffe://<federation>/coordinator or
 * spiffe://<federation>/member/<name>, beside it the host name or address where the site listens
 * (if it does), and may both serve and dial. Private keys are written to their file and never
 * leave it through this interface. crypto/tlspolicy.h checks finished material.
 */
#ifndef RN_CRYPTO_X509_H
#define RN_CRYPTO_X509_H

#include "base/bytes.h"

#include <stdint.h>

#define RN_X509_PEM_MAX ((size_t)16 * 1024)
#define RN_X509_HOST_MAX 253
#define RN_X509_URI_MAX 160

/* Whose certificate. */
struct rn_x509_subject {
    const char *federation;
    const char *member;              /* NULL: the coordinator */
    char host[RN_X509_HOST_MAX + 1]; /* DNS name or IP address; "": none */
};

/* "spiffe://..." of a subject. */
void rn_x509_uri(const struct rn_x509_subject *subject, char out[static RN_X509_URI_MAX]);

/* A DNS name or an IPv4 or IPv6 address. */
RN_MUST bool rn_x509_host_valid(const char *host);

/* Makes the authority: key to key_path (0600), certificate as PEM to out. It may sign leaves only
 * (path length 0) and only URIs of this federation (name constraint). */
RN_MUST rn_result rn_x509_authority_make(const char *federation, const char *key_path,
                                         uint64_t now_wall_ms, uint32_t days,
                                         struct rn_buffer *out_certificate, struct rn_error *err);

/* Makes a P-256 key at key_path (0600). */
RN_MUST rn_result rn_x509_key_make(const char *key_path, struct rn_error *err);

/* A certificate request for the key, as PEM. */
RN_MUST rn_result rn_x509_request_make(const char *key_path, const struct rn_x509_subject *subject,
                                       struct rn_buffer *out_request, struct rn_error *err);

/* Checks that the request is signed by its own key, for a P-256 key, and asks for exactly this
 * subject's URI; fills subject->host from it. RN_E_PEER_AUTH or RN_E_PEER_FORMAT otherwise. */
RN_MUST rn_result rn_x509_request_check(struct rn_view request, struct rn_x509_subject *subject,
                                        struct rn_error *err);

/* Issues the certificate for a request that passes rn_x509_request_check with this subject. */
RN_MUST rn_result rn_x509_issue(const char *authority_key_path, struct rn_view authority,
                                struct rn_view request, struct rn_x509_subject *subject,
                                uint64_t now_wall_ms, uint32_t days,
                                struct rn_buffer *out_certificate, struct rn_error *err);

/* SHA-256 of the public key (SubjectPublicKeyInfo) in a request or certificate: tells a reused key.
 * RN_E_DATA when the PEM holds neither. */
RN_MUST rn_result rn_x509_key_hash(struct rn_view pem, uint8_t out_hash[static 32],
                                   struct rn_error *err);

/* SHA-256 of the first certificate (DER). RN_E_DATA when there is none. */
RN_MUST rn_result rn_x509_fingerprint(struct rn_view pem, uint8_t out_hash[static 32],
                                      struct rn_error *err);

#endif
