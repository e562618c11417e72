/* SPDX-License-Identifier: Apache-2.0
 *
 * The drawing of the share graph: what leaves is held against the disks, and against what left
 * before; and what a schedule does to it.
 */
#include <string.h>

#include "base/guard.h"
#include "services/round/roundsession.h"
#include "tests/simulation/jobparts.h"

static bool is_coordinator(const struct job_node *node)
{
    return node->place == node->job->coordinator;
}

/* ---- Disks */

struct search {
    struct rn_view bytes; /* a document; empty: any */
    bool found;
};

static rn_result look(void *argument, uint64_t position, const struct rn_store_key *key,
                      struct rn_view body, struct rn_error *err)
{
    struct search *search = argument;
    (void)position;
    (void)key;
    (void)err;
    search->found |= search->bytes.length == 0 || rn_view_equal(body, search->bytes);
    return rn_ok();
}

static bool holds(struct job_node *node, enum rn_record_kind kind, struct search search)
{
    const struct rn_store_query query = {.kind = kind};
    RN_BUG_IF(!rn_is_ok(rn_store_scan(node->store, &query, look, &search, NULL)));
    return search.found;
}

bool job_epoch_has(struct job_node *node)
{
    const struct job *job = node->job;
    return !rn_round_needs_epoch(&job->plan, job->roster.count) ||
           (holds(node, RN_RECORD_EPOCH_SET, (struct search){0}) &&
            holds(node, RN_RECORD_EPOCH_REVEALS, (struct search){0}));
}

/* ---- What leaves */

/* One set an attempt, attempts go up, and the disk has it. The entry does not name the set, so the
 * node's own record is asked which one its signature is under. */
static void check_reveal(struct job_node *node, const struct rn_epoch_message *message)
{
    struct job *job = node->job;
    const struct rn_store_query query = {.kind = RN_RECORD_EPOCH_SET};
    struct rn_store_record record = {0};
    struct rn_job_epoch *epoch = rn_job_epoch_new(&node->basis);
    uint32_t place = 0;
    bool found = false;
    RN_BUG_IF(!rn_is_ok(rn_store_latest(node->store, &query, &record, &found, NULL)));
    if (!found || !rn_is_ok(rn_job_epoch_take_set(epoch, rn_buffer_view(&record.body), NULL)) ||
        !rn_is_ok(
            rn_sa_epoch_reveal_check(&epoch->context, &epoch->set, message->body, &place, NULL))) {
        job_fail(job, "member %u reveals under a set that its disk does not hold",
                 (unsigned)node->place);
    }
    const struct rn_sa_epoch_revealed *before = &node->revealed;
    if (node->lost_state == 0 &&
        (epoch->set.attempt < before->attempt ||
         (epoch->set.attempt == before->attempt &&
          memcmp(epoch->set.hash, before->set_hash, RN_HASH_BYTES) != 0))) {
        job_fail(job, "member %u reveals twice in attempt %u, or in an earlier one",
                 (unsigned)node->place, (unsigned)epoch->set.attempt);
    }
    node->revealed.attempt = epoch->set.attempt;
    memcpy(node->revealed.set_hash, epoch->set.hash, RN_HASH_BYTES);
    rn_buffer_clear(&record.body);
    rn_job_epoch_free(epoch);
}

static void check_document(struct job_node *node, const struct rn_epoch_message *message)
{
    static const uint8_t none[RN_HASH_BYTES];
    struct job *job = node->job;
    const bool set = message->kind == RN_EPOCH_SET;
    uint8_t hash[RN_HASH_BYTES];
    if (!holds(node, set ? RN_RECORD_EPOCH_SET : RN_RECORD_EPOCH_REVEALS,
               (struct search){.bytes = message->body})) {
        job_fail(job, "the coordinator sends a document that its disk does not hold");
    }
    rn_sha256(hash, "simulation", &message->body, 1);
    uint8_t *known = job->sets[message->attempt];
    if (set && node->lost_state == 0 && memcmp(known, none, sizeof(none)) != 0 &&
        memcmp(known, hash, sizeof(hash)) != 0) {
        job_fail(job, "two sets in attempt %u", (unsigned)message->attempt);
    }
    if (set) {
        memcpy(known, hash, sizeof(hash));
    }
}

/* Another contribution under the member's own signature. */
static void alter(const struct job_node *node, struct rn_buffer *bytes)
{
    uint8_t *entry = bytes->data + bytes->length - RN_SA_EPOCH_ENTRY_BYTES;
    uint8_t message[RN_HASH_BYTES + 4 + RN_HASH_BYTES];
    entry[4] ^= 1;
    memcpy(message, node->revealed.set_hash, RN_HASH_BYTES);
    memcpy(message + RN_HASH_BYTES, entry, 4 + RN_HASH_BYTES);
    rn_identity_sign(node->identity, "rondo/v1 secagg epoch reveal",
                     rn_view_of(message, sizeof(message)), entry + 4 + RN_HASH_BYTES);
}

static bool said_by_member(struct job_node *node, const struct rn_epoch_message *message,
                           struct rn_buffer *bytes)
{
    const struct job *job = node->job;
    if (!node->signed_enough) {
        job_fail(job, "member %u draws without the signatures of its policy",
                 (unsigned)node->place);
    }
    if (message->kind != RN_EPOCH_REVEAL) {
        return true;
    }
    check_reveal(node, message);
    if ((job->alters >> node->place & 1) != 0) {
        alter(node, bytes);
    }
    return (job->mute >> node->place & 1) == 0;
}

static bool said_to_member(struct job_node *node, const struct rn_epoch_message *message,
                           uint32_t member)
{
    const struct job *job = node->job;
    if (message->kind != RN_EPOCH_SET && message->kind != RN_EPOCH_REVEALS) {
        return true;
    }
    check_document(node, message);
    const uint32_t lost = message->kind == RN_EPOCH_SET ? job->no_set : job->no_reveals;
    return member == job->options.members || (lost >> member & 1) == 0;
}

bool job_epoch_say(struct job_node *node, uint64_t connection, struct rn_buffer *bytes)
{
    struct rn_wire_envelope envelope;
    struct rn_epoch_message message;
    if (!rn_is_ok(rn_wire_envelope_decode(rn_buffer_view(bytes), &envelope, NULL)) ||
        envelope.body != RN_WIRE_EPOCH) {
        return true;
    }
    if (!rn_is_ok(rn_epoch_message_read(envelope.as.epoch, &message, NULL))) {
        job_fail(node->job, "node %u says what is no message", (unsigned)node->place);
    }
    return is_coordinator(node)
               ? said_to_member(node, &message, job_net_member(node->job, connection))
               : said_by_member(node, &message, bytes);
}
