/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections between each member and the coordinator: in order within a direction, lost whole when
 * they break, noticed by each side in its own time, replaced before the other side has noticed.
 */
#include "tests/simulation/jobparts.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"

enum { UP = 0, DOWN = 1 }; /* to the coordinator, to the member */

static struct rn_view secagg_of(const struct job_packet *packet)
{
    struct rn_wire_envelope envelope;
    struct rn_wire_chunk chunk;
    const struct rn_view bytes = rn_buffer_view(&packet->bytes);
    if (packet->bulk) {
        return rn_is_ok(rn_wire_chunk_decode(bytes, &chunk, NULL)) ? chunk.data
                                                                   : (struct rn_view){0};
    }
    const bool is_secagg = rn_is_ok(rn_wire_envelope_decode(bytes, &envelope, NULL)) &&
                           envelope.body == RN_WIRE_SECAGG;
    return is_secagg ? envelope.as.secagg : (struct rn_view){0};
}

static struct job_packet *add_packet(struct job *job)
{
    if (job->packet_count == job->packet_capacity) {
        const size_t capacity = job->packet_capacity == 0 ? 64 : 2 * job->packet_capacity;
        job->packets =
            rn_realloc(job->packets, job->packet_capacity, capacity, sizeof(*job->packets));
        job->packet_capacity = capacity;
    }
    return &job->packets[job->packet_count++];
}

uint32_t job_net_member(const struct job *job, uint64_t number)
{
    for (uint32_t i = 0; i < job->options.members; i++) {
        if (number != 0 && job->links[i].number == number) {
            return i;
        }
    }
    return job->options.members;
}

bool job_net_stands(const struct job *job, uint32_t member)
{
    return job->links[member].number != 0;
}

void job_net_send(struct job_node *from, uint64_t number, bool bulk, struct rn_view bytes)
{
    struct job *job = from->job;
    const uint32_t member = job_net_member(job, number);
    if (member == job->options.members) {
        return; /* gone */
    }
    struct job_link *link = &job->links[member];
    const int way = from->place == job->coordinator ? DOWN : UP;
    struct job_packet *packet = add_packet(job);
    const uint64_t at = job->now + job_below(job, job->options.delay_ms + 1);
    link->last[way] = at > link->last[way] ? at : link->last[way];
    *packet = (struct job_packet){.at = link->last[way],
                                  .order = job->order++,
                                  .from = from->place,
                                  .to = way == UP ? job->coordinator : member,
                                  .number = number,
                                  .bulk = bulk};
    rn_buffer_append(&packet->bytes, bytes.data, bytes.length);
    const struct rn_view secagg = secagg_of(packet);
    if (secagg.length > 0) {
        job_check_said(from, secagg);
    }
    if (!bulk && job->options.break_percent > 0 && !job->healed && job_below(job, 400) == 0) {
        rn_buffer_clear(&packet->bytes); /* no room: lost, and said to be */
        job->packet_count--;
        link->dropped = way == UP ? link->dropped : true;
        if (way == UP) {
            job_net_lose(job, member, 0, job->options.delay_ms, 500);
        }
    }
}

static void tell_gone(struct job *job, uint32_t member, int way)
{
    struct job_link *link = &job->links[member];
    struct job_node *node = &job->nodes[way == UP ? job->coordinator : member];
    link->gone_at[way] = JOB_NEVER;
    job_node_input(node, (struct rn_input){.kind = RN_INPUT_GONE,
                                           .connection = link->gone,
                                           .peer = way == UP ? member : RN_SA_COORDINATOR,
                                           .code = RN_E_UNAVAILABLE});
}

/* What is on its way in both directions is lost. */
void job_net_lose(struct job *job, uint32_t member, uint64_t member_notices,
                  uint64_t coordinator_notices, uint64_t dial_in)
{
    struct job_link *link = &job->links[member];
    if (link->number == 0) {
        return;
    }
    for (int way = UP; way <= DOWN; way++) { /* at most one is unnoticed at a time */
        if (link->gone_at[way] != JOB_NEVER) {
            tell_gone(job, member, way);
        }
    }
    if (link->number == 0) {
        return; /* what was told took this one down */
    }
    link->gone = link->number;
    link->number = 0;
    link->break_at = JOB_NEVER;
    link->dropped = false;
    link->gone_at[UP] = job->now + coordinator_notices;
    link->gone_at[DOWN] = job->now + member_notices;
    link->dial_at = job->now + member_notices + dial_in;
}

void job_net_close(struct job_node *from, uint64_t number)
{
    struct job *job = from->job;
    const uint32_t member = job_net_member(job, number);
    if (member < job->options.members) {
        struct job_link *link = &job->links[member];
        const uint64_t last = link->last[UP] > link->last[DOWN] ? link->last[UP] : link->last[DOWN];
        link->break_at = (last > job->now ? last : job->now) + 1;
    }
}

void job_net_node_down(struct job_node *node, bool in_order)
{
    struct job *job = node->job;
    for (uint32_t i = 0; i < job->options.members; i++) {
        if (i != node->place && node->place != job->coordinator) {
            continue;
        }
        if (in_order) {
            job_net_close(node, job->links[i].number);
        } else {
            job_net_lose(job, i, job_below(job, 3000), job_below(job, 3000), job_below(job, 1000));
        }
    }
}

static void dial(struct job *job, uint32_t member)
{
    struct job_link *link = &job->links[member];
    struct job_node *node = &job->nodes[member];
    struct job_node *coordinator = &job->nodes[job->coordinator];
    if (node->store == NULL || coordinator->store == NULL) {
        link->dial_at = job->now + 500;
        if (node->store != NULL) {
            job_node_input(node, (struct rn_input){.kind = RN_INPUT_UNREACHABLE,
                                                   .peer = RN_SA_COORDINATOR,
                                                   .code = RN_E_UNAVAILABLE});
        }
        return;
    }
    link->number = ++job->numbers;
    link->break_at = JOB_NEVER;
    link->last[UP] = link->last[DOWN] = job->now;
    struct rn_input input = {.kind = RN_INPUT_OPENED, .connection = link->number, .peer = member};
    job_node_input(coordinator, input);
    input.peer = RN_SA_COORDINATOR;
    job_node_input(node, input);
    input = (struct rn_input){.kind = RN_INPUT_BULK_OPENED, .peer = member};
    job_node_input(coordinator, input);
    input.peer = RN_SA_COORDINATOR;
    job_node_input(node, input);
}

static void link_due(struct job *job, uint32_t member)
{
    struct job_link *link = &job->links[member];
    if (link->break_at <= job->now) {
        job_net_lose(job, member, 0, job_below(job, 200), 200);
    }
    for (int way = UP; way <= DOWN; way++) {
        if (link->gone_at[way] <= job->now) {
            tell_gone(job, member, way);
        }
    }
    if (link->number == 0 && link->dial_at <= job->now) {
        dial(job, member);
    }
    if (link->dropped && link->number != 0) {
        link->dropped = false;
        job_node_input(
            &job->nodes[job->coordinator],
            (struct rn_input){.kind = RN_INPUT_LOST, .connection = link->number, .peer = member});
    }
}

/* Who waits says so in its greeting: a coordinator that does not listen. */
static void unhear(struct job_packet *packet)
{
    struct rn_wire_envelope envelope;
    if (rn_is_ok(rn_wire_envelope_decode(rn_buffer_view(&packet->bytes), &envelope, NULL)) &&
        envelope.body == RN_WIRE_HELLO) {
        envelope.as.hello.waits = false;
        packet->bytes.length = 0;
        RN_BUG_IF(!rn_is_ok(rn_wire_envelope_encode(&envelope, &packet->bytes, NULL)));
    }
}

static bool is_stop(const struct job_packet *packet)
{
    struct rn_wire_envelope envelope;
    return !packet->bulk &&
           rn_is_ok(rn_wire_envelope_decode(rn_buffer_view(&packet->bytes), &envelope, NULL)) &&
           envelope.body == RN_WIRE_STOP;
}

static void deliver(struct job *job, struct job_packet *packet)
{
    struct job_node *node = &job->nodes[packet->to];
    const uint32_t member = packet->to == job->coordinator ? packet->from : packet->to;
    if (job->links[member].number != packet->number || node->store == NULL) {
        return;
    }
    if (packet->to == job->coordinator && job->drops_stops && is_stop(packet)) {
        return;
    }
    const struct rn_view secagg = secagg_of(packet);
    if (packet->to == job->coordinator && job->deaf && secagg.length == 0) {
        unhear(packet);
    }
    if (packet->to == job->coordinator && job_few_vote_is_lost(job, member, secagg)) {
        return;
    }
    job_node_input(node, (struct rn_input){
                             .kind = packet->bulk ? RN_INPUT_BULK : RN_INPUT_MESSAGE,
                             .connection = packet->number,
                             .peer = packet->to == job->coordinator ? member : RN_SA_COORDINATOR,
                             .bytes = rn_buffer_view(&packet->bytes),
                         });
    if (secagg.length > 0) {
        job_check_heard(node, secagg);
    }
}

static size_t first_packet(const struct job *job)
{
    size_t best = job->packet_count;
    for (size_t i = 0; i < job->packet_count; i++) {
        const struct job_packet *p = &job->packets[i];
        const struct job_packet *b = &job->packets[best];
        if (job->nodes[p->to].asleep_until > job->now) {
            continue;
        }
        if (best == job->packet_count || p->at < b->at || (p->at == b->at && p->order < b->order)) {
            best = i;
        }
    }
    return best;
}

void job_net_due(struct job *job)
{
    for (uint32_t i = 0; i < job->options.members; i++) {
        link_due(job, i);
    }
    for (size_t best = first_packet(job);
         best < job->packet_count && job->packets[best].at <= job->now; best = first_packet(job)) {
        struct job_packet packet = job->packets[best];
        job->packets[best] = job->packets[--job->packet_count];
        deliver(job, &packet);
        rn_buffer_clear(&packet.bytes);
    }
}

uint64_t job_net_next(const struct job *job)
{
    uint64_t next = JOB_NEVER;
    const size_t best = first_packet(job);
    if (best < job->packet_count) {
        next = job->packets[best].at;
    }
    for (uint32_t i = 0; i < job->options.members; i++) {
        const struct job_link *link = &job->links[i];
        const uint64_t times[4] = {link->break_at, link->gone_at[UP], link->gone_at[DOWN],
                                   link->number == 0 ? link->dial_at : JOB_NEVER};
        for (size_t k = 0; k < RN_ARRAY_LENGTH(times); k++) {
            next = times[k] < next ? times[k] : next;
        }
    }
    return next;
}
