/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated network's packets on their way: a heap, the first to arrive on top. Part of
 * simulator.c.
 */
#ifndef RN_TESTS_SIMULATION_PACKETS_H
#define RN_TESTS_SIMULATION_PACKETS_H

#include "base/alloc.h"
#include "tests/simulation/simulator.h"

static bool is_before(const struct sim_packet *a, const struct sim_packet *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void swap_packets(struct sim *sim, size_t i, size_t k)
{
    const struct sim_packet packet = sim->packets[i];
    sim->packets[i] = sim->packets[k];
    sim->packets[k] = packet;
}

static void rise(struct sim *sim, size_t k)
{
    while (k > 0 && is_before(&sim->packets[k], &sim->packets[(k - 1) / 2])) {
        swap_packets(sim, k, (k - 1) / 2);
        k = (k - 1) / 2;
    }
}

static void sink(struct sim *sim, size_t k)
{
    for (size_t child = 2 * k + 1; child < sim->packet_count; child = 2 * k + 1) {
        const bool right = child + 1 < sim->packet_count &&
                           is_before(&sim->packets[child + 1], &sim->packets[child]);
        child += right ? 1 : 0;
        if (!is_before(&sim->packets[child], &sim->packets[k])) {
            return;
        }
        swap_packets(sim, k, child);
        k = child;
    }
}

static void enqueue(struct sim *sim, uint32_t from, uint32_t to, struct rn_view bytes)
{
    if (sim->packet_count == sim->packet_capacity) {
        const size_t capacity = sim->packet_capacity == 0 ? 64 : 2 * sim->packet_capacity;
        sim->packets =
            rn_realloc(sim->packets, sim->packet_capacity, capacity, sizeof *sim->packets);
        sim->packet_capacity = capacity;
    }
    struct sim_packet *packet = &sim->packets[sim->packet_count++];
    const uint64_t most = sim->options.delay_ms;
    *packet = (struct sim_packet){
        .at = sim->now + (most == 0 ? 0 : sim_random(sim) % most),
        .order = sim->order++,
        .from = from,
        .to = to,
    };
    rn_buffer_append(&packet->bytes, bytes.data, bytes.length);
    rise(sim, sim->packet_count - 1);
}

static void forget_packets(struct sim *sim)
{
    for (size_t i = 0; i < sim->packet_count; i++) {
        rn_buffer_clear(&sim->packets[i].bytes);
    }
    sim->packet_count = 0;
}

#endif
