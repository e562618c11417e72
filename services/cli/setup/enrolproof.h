/* SPDX-License-Identifier: Apache-2.0
 *
 * What both ends of an enrolment agree on: the items of invitation, request, welcome and renewal,
 * and the proof that a request was made with its invitation.
 */
#ifndef RN_SERVICES_CLI_SETUP_ENROLPROOF_H
#define RN_SERVICES_CLI_SETUP_ENROLPROOF_H

#include "base/bytes.h"
#include "crypto/secret.h"

enum rn_invite_item {
    RN_INVITE_FEDERATION,
    RN_INVITE_MEMBER,
    RN_INVITE_ADDRESS,
    RN_INVITE_COORDINATOR,
    RN_INVITE_EXPIRES,
    RN_INVITE_TOKEN,
    RN_INVITE_AUTHORITY,
    RN_INVITE_PLAN,
    RN_INVITE_ITEMS
};
enum rn_request_item {
    RN_REQUEST_FEDERATION,
    RN_REQUEST_MEMBER,
    RN_REQUEST_ADDRESS, /* where the member listens, or "-" */
    RN_REQUEST_KEY,
    RN_REQUEST_CSR,
    RN_REQUEST_PROOF,
    RN_REQUEST_SIGNATURE,
    RN_REQUEST_ITEMS
};
enum rn_welcome_item {
    RN_WELCOME_FEDERATION,
    RN_WELCOME_MEMBER,
    RN_WELCOME_CERTIFICATE,
    RN_WELCOME_ROSTER,
    RN_WELCOME_PLAN,
    RN_WELCOME_SIGNATURES,
    RN_WELCOME_ITEMS
};
enum rn_renewal_item {
    RN_RENEWAL_FEDERATION,
    RN_RENEWAL_MEMBER,
    RN_RENEWAL_CERTIFICATE,
    RN_RENEWAL_ITEMS
};
/* Names for rn_bundle_parse, in the order of the enums. */
extern const char *const rn_invite_items[RN_INVITE_ITEMS];
extern const char *const rn_request_items[RN_REQUEST_ITEMS];
extern const char *const rn_welcome_items[RN_WELCOME_ITEMS];
extern const char *const rn_renewal_items[RN_RENEWAL_ITEMS];

#define RN_JOIN_REQUEST_TAG "rondo/v1 join request"

/* HKDF-SHA256(token, salt = SHA-256 of everything in the request before the proof). */
void rn_join_proof(struct rn_secret32 *out_proof, const struct rn_secret32 *token,
                   struct rn_view before);

#endif
