/* SPDX-License-Identifier: Apache-2.0
 *
 * faces: two sets of survivors, and a certificate for either.
 */
#include <string.h>

#include "base/guard.h"
#include "tests/scenario/hostile.h"

/* What one half of the members is shown. */
struct face {
    struct rn_sa_set half;
    struct rn_sa_transcript t;
    struct rn_buffer survivors;
    struct rn_buffer votes[RN_SA_MEMBERS_MAX];
    struct rn_sa_set voted;
    bool revealed;
};

static struct face faces[2];
static bool faced;
static bool certified;

/* The second half is told that the first member is lost. */
static void make_faces(const struct rn_sa_aggregator *a)
{
    for (uint32_t which = 0; which < 2; which++) {
        struct face *face = &faces[which];
        struct rn_sa_set survivors = a->complete;
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
        if (which == 1) {
            rn_sa_set_remove(&survivors, 0);
        }
        face->half = half_of(a, which);
        face->t = rn_sa_transcript_copy(&a->t);
        rn_sa_survivors_write(a->inbox[RN_SA_DONE], &survivors, &body);
        const rn_result allowed = rn_sa_survivors_apply(&face->t, rn_buffer_view(&body), NULL);
        RN_BUG_IF(!rn_is_ok(allowed));
        write_broadcast(a, &face->t, RN_SA_SURVIVORS, rn_buffer_view(&body), &face->survivors);
    }
    faced = true;
    struck();
}

static void show_faces(struct rn_sa_aggregator *a, struct rn_sa_actions *actions, size_t from)
{
    struct rn_sa_message m;
    for (size_t i = from, count = actions->count; i < count; i++) {
        if (actions->items[i].kind != RN_SA_SEND ||
            !is_of_type(rn_buffer_view(&actions->items[i].bytes), RN_SA_SURVIVORS, &m)) {
            continue;
        }
        if (!faced) {
            make_faces(a);
        }
        const struct rn_sa_set to = actions->items[i].to;
        for (uint32_t which = 0; which < 2; which++) {
            const struct rn_sa_set half = rn_sa_set_both(&to, &faces[which].half);
            send_to(actions, &half, rn_buffer_view(&faces[which].survivors));
        }
        actions->items[i].to = (struct rn_sa_set){{0}};
    }
}

/* Both certificates go to everybody: the own half's, and the other's, which contradicts it. */
static void certify_faces(struct rn_sa_aggregator *a, struct rn_sa_actions *actions)
{
    for (uint32_t which = 0; which < 2; which++) {
        struct face *face = &faces[which];
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
        rn_sa_votes_write(face->votes, &face->voted, &body);
        write_broadcast(a, &face->t, RN_SA_CERTIFICATE, rn_buffer_view(&body), &message);
        send_to(actions, &a->t.joined, rn_buffer_view(&message));
    }
    certified = true;
    a->config.params.vote.hard_ms = a->now_ms - a->stage_since_ms + PATIENCE_MS;
}

static bool hear_faces(struct rn_sa_aggregator *a, struct rn_view message,
                       struct rn_sa_actions *actions)
{
    struct rn_sa_message m;
    if (!faced || !rn_is_ok(rn_sa_message_parse(message, &m, NULL))) {
        return false;
    }
    for (uint32_t which = 0; which < 2; which++) {
        struct face *face = &faces[which];
        if (m.type == RN_SA_REVEAL && memcmp(m.transcript, face->t.t2, RN_HASH_BYTES) == 0) {
            face->revealed = true;
        } else if (m.type == RN_SA_VOTE && m.body.length == RN_SA_VOTE_BODY &&
                   !rn_sa_set_has(&face->voted, m.sender) &&
                   memcmp(m.body.data + 4, face->t.t2, RN_HASH_BYTES) == 0) {
            rn_buffer_append(&face->votes[m.sender], message.data, message.length);
            rn_sa_set_add(&face->voted, m.sender);
        }
    }
    if (!certified && rn_sa_set_equal(&faces[0].voted, &faces[0].half) &&
        rn_sa_set_equal(&faces[1].voted, &faces[1].half)) {
        certify_faces(a, actions);
    }
    if (faces[0].revealed && faces[1].revealed) {
        won();
    }
    return m.type == RN_SA_VOTE || m.type == RN_SA_REVEAL;
}

static void leave(void)
{
    for (uint32_t which = 0; which < 2; which++) {
        rn_sa_transcript_clear(&faces[which].t);
        rn_buffer_clear(&faces[which].survivors);
        for (uint32_t i = 0; i < RN_SA_MEMBERS_MAX; i++) {
            rn_buffer_clear(&faces[which].votes[i]);
        }
    }
    memset(faces, 0, sizeof faces);
    faced = certified = false;
}

const struct attack attack_faces = {
    .name = "faces", .hear = hear_faces, .act = show_faces, .leave = leave};
