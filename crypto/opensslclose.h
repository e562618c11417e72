/* SPDX-License-Identifier: Apache-2.0
 *
 * RN_CLEANUP functions of the OpenSSL objects that several files of this room hold.
 */
#ifndef RN_CRYPTO_OPENSSLCLOSE_H
#define RN_CRYPTO_OPENSSLCLOSE_H

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

static inline void rn_openssl_bio_close(BIO **bio)
{
    BIO_free(*bio);
}
static inline void rn_openssl_key_close(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}
static inline void rn_openssl_certificate_close(X509 **certificate)
{
    X509_free(*certificate);
}

#endif
