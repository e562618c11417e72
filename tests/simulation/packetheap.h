/* SPDX-License-Identifier: Apache-2.0
 *
 * The packets under way in a simulated network as a heap: the one that is due first, of those the
 * one that was sent first, at index 0. For simulator.c, which thousands of members need fast.
 */
#ifndef RN_TESTS_PACKETHEAP_H
#define RN_TESTS_PACKETHEAP_H

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

#endif
