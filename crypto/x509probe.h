/* SPDX-License-Identifier: Apache-2.0
 *
 * One TLS handshake over a connected socket, to name what gRPC does not: which side refused whom,
 * and why. For `rondo doctor`.
 */
#ifndef RN_CRYPTO_X509PROBE_H
#define RN_CRYPTO_X509PROBE_H

#include "base/bytes.h"
#include "crypto/tlspolicy.h"

struct rn_x509_probe {
    char protocol[16];       /* "TLSv1.3" */
    char cipher[64];         /* negotiated suite */
    struct rn_tls_leaf peer; /* certificate that the peer showed */
};

/* Connects as a client with the given certificate and requires TLS 1.3, a peer certificate under
 * the CA and exactly expected_uri in it. socket is connected and blocking with its own time-outs
 * (SO_RCVTIMEO, SO_SNDTIMEO); it stays open and belongs to the caller. Waits for the peer's first
 * bytes, because only they tell that it accepted our certificate. RN_E_UNAVAILABLE when the peer
 * closed or was silent, RN_E_PEER_AUTH when a certificate was refused: the sentence says whose. */
RN_MUST rn_result rn_x509_probe_run(int socket, struct rn_view key_pem, struct rn_view chain_pem,
                                    struct rn_view ca_pem, const char *expected_uri,
                                    struct rn_x509_probe *out_probe, struct rn_error *err);

#endif
