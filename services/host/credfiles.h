/* SPDX-License-Identifier: Apache-2.0
 *
 * The TLS files of a site's directory:
 *
 *     tls.key   private key           tls.crt   own certificate, then its chain      ca.crt   CA
 *
 * tls.key may be left out: then tls.crt holds key and chain in one PEM file, which is read in one
 * piece, so that a rename over it replaces both at once. Nothing here judges what is read
 * (crypto/tlspolicy.h does); blocks of another kind in a file are left out, so that no key ever
 * stands in chain_pem.
 */
#ifndef RN_SERVICES_HOST_CREDFILES_H
#define RN_SERVICES_HOST_CREDFILES_H

#include "base/bytes.h"
#include "services/rpc/rpc.h"

struct rn_credfiles {
    struct rn_buffer key_pem, chain_pem, ca_pem;
};

/* RN_E_NO_INPUT or RN_E_DATA names the file; out holds nothing then. */
RN_MUST rn_result rn_credfiles_read(const char *directory, struct rn_credfiles *out,
                                    struct rn_error *err);
/* Wipes the key. Zeroed or cleared already is fine. */
void rn_credfiles_clear(struct rn_credfiles *files);
/* Borrowed, as rn_rpc_open and rn_rpc_reload take it. */
struct rn_rpc_material rn_credfiles_material(const struct rn_credfiles *files);

/* What tells one state of the three files from another, without reading them. */
#define RN_CREDFILES 3
struct rn_credfiles_stamp {
    struct {
        uint64_t device, inode, bytes; /* 0: there is none */
        int64_t modified_s, modified_ns;
    } files[RN_CREDFILES];
};
void rn_credfiles_stamp(const char *directory, struct rn_credfiles_stamp *out);
bool rn_credfiles_stamp_equal(const struct rn_credfiles_stamp *a,
                              const struct rn_credfiles_stamp *b);

#endif
