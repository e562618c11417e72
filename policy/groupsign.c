/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/groupsign.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <string.h>

static struct rn_view document_of(const struct rn_plan_signatures *signatures)
{
    return rn_view_of(signatures->document, signatures->document_bytes);
}

bool rn_signatures_group_keys(const struct rn_plan_signatures *signatures,
                              const struct rn_roster *roster, struct rn_group_keys *out)
{
    uint32_t found = 0;
    *out = (struct rn_group_keys){.hybrid = signatures->hybrid, .count = roster->count};
    if (signatures->hybrid && roster->count > RN_GROUP_HYBRID_MEMBERS_MAX) {
        return false; /* refused by the plan check before */
    }
    for (uint32_t i = 0; i < signatures->count; i++) {
        const struct rn_plan_signature *entry = &signatures->entries[i];
        const int place = rn_roster_find_key(roster, &entry->key);
        if (place >= 0) {
            out->keys[place] = entry->group;
            if (signatures->hybrid) {
                out->lattices[place] = signatures->lattices[i];
            }
            found++;
        }
    }
    return signatures->blind && found == roster->count;
}

rn_result rn_signatures_group_check(const struct rn_plan_signatures *signatures,
                                    const struct rn_roster *roster, struct rn_error *err)
{
    struct rn_group_keys keys;
    if (signatures->document_bytes == 0) {
        return rn_ok();
    }
    RN_ENSURE(rn_signatures_group_keys(signatures, roster, &keys), err, RN_E_PEER_PROTOCOL,
              "group key: its document comes without the signatures of all members");
    return rn_group_document_check(document_of(signatures), roster, &keys, signatures->plan_hash,
                                   err);
}

bool rn_signatures_group_make(struct rn_plan_signatures *signatures, const struct rn_roster *roster,
                              const struct rn_identity *identity, uint32_t self)
{
    struct rn_group_keys keys;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer document = {0};
    if (self != RN_GROUP_MAKER || signatures->document_bytes != 0 ||
        !rn_signatures_group_keys(signatures, roster, &keys)) {
        return false;
    }
    rn_group_document_write(identity, &keys, signatures->plan_hash, &document);
    RN_BUG_IF(document.length > sizeof signatures->document);
    memcpy(signatures->document, document.data, document.length);
    signatures->document_bytes = (uint32_t)document.length;
    return true;
}

rn_result rn_signatures_group_open(const struct rn_plan_signatures *signatures,
                                   const struct rn_roster *roster,
                                   const struct rn_identity *identity, uint32_t self,
                                   struct rn_secret32 *out, struct rn_error *err)
{
    struct rn_group_keys keys;
    RN_ENSURE(signatures->document_bytes != 0, err, RN_E_NO_INPUT,
              "the group key of this blind plan is not here yet: '%s' makes it, once all members "
              "have signed",
              roster->members[RN_GROUP_MAKER].name);
    RN_BUG_IF(!rn_signatures_group_keys(signatures, roster, &keys));
    return rn_group_document_open(document_of(signatures), &keys, identity, self, out, err);
}

void rn_signatures_group_hash(const struct rn_plan_signatures *signatures,
                              uint8_t out[static RN_HASH_BYTES])
{
    memset(out, 0, RN_HASH_BYTES);
    if (signatures->document_bytes != 0) {
        rn_group_document_hash(document_of(signatures), out);
    }
}
