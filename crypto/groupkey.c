/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/groupkey.h"

#include "base/guard.h"
#include "crypto/kdf.h"

#include <string.h>

#define SIGN_TAG "rondo/v1 group key"
#define MAGIC "RNGK"
#define COMMITMENT_TAG "rondo/v1 group commitment"
#define VERSION 2u
#define HYBRID_VERSION 3u

/* What stands before the boxes. */
struct head {
    uint8_t plan[RN_HASH_BYTES];
    uint8_t keys[RN_HASH_BYTES];
    uint8_t commitment[RN_HASH_BYTES];
    uint32_t maker;
    uint32_t count;
    bool hybrid;
};

static size_t box_bytes(bool hybrid)
{
    return hybrid ? RN_GROUP_HYBRID_BOX_BYTES : RN_GROUP_BOX_BYTES;
}

void rn_group_member_key(const struct rn_identity *identity,
                         const uint8_t plan_hash[static RN_HASH_BYTES],
                         struct rn_secret32 *out_secret, struct rn_channel_public *out_public)
{
    rn_identity_derive(identity, rn_view_of(plan_hash, RN_HASH_BYTES), "group member", out_secret);
    rn_channel_public_of(out_secret, out_public);
}

void rn_group_member_hybrid_key(const struct rn_identity *identity,
                                const uint8_t plan_hash[static RN_HASH_BYTES],
                                struct rn_secret32 *out_secret, struct rn_hybrid_public *out_public)
{
    rn_identity_derive(identity, rn_view_of(plan_hash, RN_HASH_BYTES), "hybrid group member",
                       out_secret);
    rn_hybrid_public_of(out_secret, out_public);
}

static struct rn_hybrid_public hybrid_key(const struct rn_group_keys *keys, uint32_t place)
{
    return (struct rn_hybrid_public){.lattice = keys->lattices[place], .curve = keys->keys[place]};
}

static void hash_hybrid_keys(const struct rn_group_keys *keys, uint8_t out[static RN_HASH_BYTES])
{
    struct rn_sha256 state;
    rn_sha256_init(&state, "rondo/v1 hybrid group keys");
    for (uint32_t i = 0; i < keys->count; i++) {
        const struct rn_hybrid_public key = hybrid_key(keys, i);
        rn_sha256_update(&state, &key, sizeof(key));
    }
    rn_sha256_final(&state, out);
}

static void hash_keys(const struct rn_group_keys *keys, uint8_t out[static RN_HASH_BYTES])
{
    if (keys->hybrid) {
        hash_hybrid_keys(keys, out);
        return;
    }
    const struct rn_view view =
        rn_view_of(keys->keys[0].bytes, (size_t)keys->count * RN_CHANNEL_PUBLIC_BYTES);
    rn_sha256(out, "rondo/v1 group keys", &view, 1);
}

static void commit(const struct rn_secret32 *group, const uint8_t plan_hash[static RN_HASH_BYTES],
                   uint8_t out[static RN_HASH_BYTES])
{
    struct rn_secret32 value; /* public: it stands in the document */
    rn_kdf_sha256(&value, rn_view_of(group->bytes, sizeof(group->bytes)),
                  rn_view_of(plan_hash, RN_HASH_BYTES), COMMITMENT_TAG, rn_view_of(NULL, 0));
    memcpy(out, value.bytes, RN_HASH_BYTES);
}

static struct rn_channel_context context_of(const struct head *head, uint32_t to)
{
    struct rn_channel_context context = {.from = head->maker, .to = to};
    memcpy(context.session, head->plan, RN_HASH_BYTES);
    memcpy(context.transcript, head->keys, RN_HASH_BYTES);
    return context;
}

static void write_head(const struct head *head, struct rn_buffer *out)
{
    rn_buffer_append(out, MAGIC, 4);
    rn_buffer_u32(out, head->hybrid ? HYBRID_VERSION : VERSION);
    rn_buffer_append(out, head->plan, RN_HASH_BYTES);
    rn_buffer_append(out, head->keys, RN_HASH_BYTES);
    rn_buffer_append(out, head->commitment, RN_HASH_BYTES);
    rn_buffer_u32(out, head->maker);
    rn_buffer_u32(out, head->count);
}

static void write_hybrid_boxes(const struct head *head, const struct rn_secret32 *coins,
                               const struct rn_group_keys *keys, const struct rn_secret32 *group,
                               struct rn_buffer *out)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        const struct rn_channel_context context = context_of(head, i);
        const struct rn_hybrid_public key = hybrid_key(keys, i);
        uint8_t box[RN_GROUP_HYBRID_BOX_BYTES];
        rn_hybrid_seal(&key, coins, &context, rn_view_of(group->bytes, sizeof(group->bytes)), box);
        rn_buffer_append(out, box, sizeof(box));
    }
}

static void write_boxes(const struct head *head, const struct rn_secret32 *own,
                        const struct rn_group_keys *keys, const struct rn_secret32 *group,
                        struct rn_buffer *out)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        const struct rn_channel_context context = context_of(head, i);
        uint8_t box[RN_GROUP_BOX_BYTES];
        const rn_result sealed =
            rn_channel_seal(own, &keys->keys[i], &context,
                            rn_view_of(group->bytes, sizeof(group->bytes)), box, NULL);
        RN_BUG_IF(!rn_is_ok(sealed)); /* every key was checked when it came */
        rn_buffer_append(out, box, sizeof(box));
    }
}

void rn_group_document_write(const struct rn_identity *maker, const struct rn_group_keys *keys,
                             const uint8_t plan_hash[static RN_HASH_BYTES], struct rn_buffer *out)
{
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 own = {{0}};
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 group = {{0}};
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 coins = {{0}};
    struct rn_channel_public unused;
    struct head head = {.maker = RN_GROUP_MAKER, .count = keys->count, .hybrid = keys->hybrid};
    uint8_t signature[RN_SIGNATURE_BYTES];
    RN_BUG_IF(keys->hybrid && keys->count > RN_GROUP_HYBRID_MEMBERS_MAX);
    rn_group_member_key(maker, plan_hash, &own, &unused);
    rn_identity_derive(maker, rn_view_of(plan_hash, RN_HASH_BYTES), "group coins", &coins);
    rn_identity_derive(maker, rn_view_of(plan_hash, RN_HASH_BYTES), "group key", &group);
    memcpy(head.plan, plan_hash, RN_HASH_BYTES);
    hash_keys(keys, head.keys);
    commit(&group, plan_hash, head.commitment);
    out->length = 0;
    write_head(&head, out);
    if (keys->hybrid) {
        write_hybrid_boxes(&head, &coins, keys, &group, out);
    } else {
        write_boxes(&head, &own, keys, &group, out);
    }
    rn_identity_sign(maker, SIGN_TAG, rn_buffer_view(out), signature);
    rn_buffer_append(out, signature, sizeof(signature));
    RN_BUG_IF(out->failed);
}

/* Everything but the signature is looked at as numbers; the reader stands at the boxes then. */
static rn_result read_head(struct rn_view document, struct rn_reader *r, struct head *out,
                           struct rn_error *err)
{
    *r = rn_reader_of(document);
    const struct rn_view magic = rn_read_view(r, 4);
    const uint32_t version = rn_read_u32(r);
    rn_read_copy(r, out->plan, RN_HASH_BYTES);
    rn_read_copy(r, out->keys, RN_HASH_BYTES);
    rn_read_copy(r, out->commitment, RN_HASH_BYTES);
    out->maker = rn_read_u32(r);
    out->count = rn_read_u32(r);
    RN_ENSURE(!r->failed && memcmp(magic.data, MAGIC, 4) == 0, err, RN_E_PEER_FORMAT,
              "group key: not such a document");
    RN_ENSURE(version == VERSION || version == HYBRID_VERSION, err, RN_E_PEER_FORMAT,
              "group key: a document of version %u", (unsigned)version);
    out->hybrid = version == HYBRID_VERSION;
    const uint32_t most = out->hybrid ? RN_GROUP_HYBRID_MEMBERS_MAX : RN_ROSTER_MEMBERS_MAX;
    RN_ENSURE(out->count <= most &&
                  document.length == RN_GROUP_FIXED_BYTES + out->count * box_bytes(out->hybrid),
              err, RN_E_PEER_FORMAT, "group key: the document's length is not that of its count");
    return rn_ok();
}

rn_result rn_group_document_check(struct rn_view document, const struct rn_roster *roster,
                                  const struct rn_group_keys *keys,
                                  const uint8_t plan_hash[static RN_HASH_BYTES],
                                  struct rn_error *err)
{
    struct rn_reader r;
    struct head head;
    uint8_t expected[RN_HASH_BYTES];
    RN_TRY(read_head(document, &r, &head, err));
    const size_t signed_bytes = document.length - RN_SIGNATURE_BYTES;
    RN_ENSURE(rn_is_ok(rn_identity_verify(&roster->members[RN_GROUP_MAKER].key, SIGN_TAG,
                                          rn_view_of(document.data, signed_bytes),
                                          document.data + signed_bytes, NULL)),
              err, RN_E_PEER_AUTH, "group key: the document is not signed by '%s'",
              roster->members[RN_GROUP_MAKER].name);
    RN_ENSURE(head.hybrid == keys->hybrid, err, RN_E_PEER_PROTOCOL,
              "group key: the document's boxes are not of the plan's secagg.kem");
    hash_keys(keys, expected);
    RN_ENSURE(head.maker == RN_GROUP_MAKER && head.count == roster->count &&
                  keys->count == roster->count && memcmp(head.plan, plan_hash, RN_HASH_BYTES) == 0,
              err, RN_E_PEER_PROTOCOL, "group key: the document is for another plan or roster");
    RN_ENSURE(memcmp(head.keys, expected, RN_HASH_BYTES) == 0, err, RN_E_PEER_PROTOCOL,
              "group key: the document is sealed to other keys than the members signed for");
    return rn_ok();
}

static rn_result open_box(const struct head *head, const struct rn_group_keys *keys,
                          const struct rn_identity *identity, uint32_t self, struct rn_view box,
                          struct rn_secret32 *out)
{
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 own = {{0}};
    const struct rn_channel_context context = context_of(head, self);
    if (head->hybrid) {
        struct rn_hybrid_public unused;
        rn_group_member_hybrid_key(identity, head->plan, &own, &unused);
        return rn_hybrid_open(&own, &context, box, out->bytes, NULL);
    }
    struct rn_channel_public unused;
    rn_group_member_key(identity, head->plan, &own, &unused);
    return rn_channel_open(&own, &keys->keys[head->maker], &context, box, out->bytes, NULL);
}

rn_result rn_group_document_open(struct rn_view document, const struct rn_group_keys *keys,
                                 const struct rn_identity *identity, uint32_t self,
                                 struct rn_secret32 *out, struct rn_error *err)
{
    struct rn_reader r;
    struct head head;
    uint8_t commitment[RN_HASH_BYTES];
    rn_secret32_clear(out);
    RN_TRY(read_head(document, &r, &head, err));
    RN_BUG_IF(self >= head.count || head.maker >= keys->count);
    (void)rn_read_view(&r, self * box_bytes(head.hybrid));
    const struct rn_view box = rn_read_view(&r, box_bytes(head.hybrid));
    RN_ENSURE(rn_is_ok(open_box(&head, keys, identity, self, box, out)), err, RN_E_PEER_AUTH,
              "group key: the box for this member does not open");
    commit(out, head.plan, commitment);
    if (memcmp(commitment, head.commitment, RN_HASH_BYTES) != 0) {
        rn_secret32_clear(out);
        return rn_fail(err, RN_E_PEER_AUTH,
                       "group key: this member's box holds another key than the others'");
    }
    return rn_ok();
}

void rn_group_document_hash(struct rn_view document, uint8_t out[static RN_HASH_BYTES])
{
    rn_sha256(out, "rondo/v1 group document", &document, 1);
}
