/* SPDX-License-Identifier: Apache-2.0
 *
 * What a simulation knows after a round, as one file that is replaced as a whole after every round:
 * a process that is killed goes on from its last round, to the same adapter.
 *
 *     "RNSIM1\0\0" | SHA-256 of the settings | u32 rows | rows | model (rn_round_model_write)
 *     | u64 floats | local heads | SHA-256 of all before
 *
 * Integers are little-endian, heads are as they lie in memory. The hash finds accidents, not an
 * attacker.
 */
#ifndef RN_SERVICES_SIMULATE_SIMSTATE_H
#define RN_SERVICES_SIMULATE_SIMSTATE_H

#include "services/simulate/simworld.h"

#define RN_SIM_STATE "state.bin" /* in the output folder */

/* One round. */
struct rn_sim_row {
    uint32_t round;
    uint32_t active;  /* RN_ROUND_ bits */
    uint32_t clients; /* in the sum */
    double loss;      /* mean per example of their training; NaN: not summed */
    uint64_t examples;
    uint64_t clipped;
    double metric, dev_loss; /* of the adapter after the round; NaN: not judged */
    uint64_t uplink_bytes;   /* what one member would send, by the plan's formula */
    uint8_t after[RN_HASH_BYTES];
    uint64_t milliseconds;
};

struct rn_sim_rows {
    struct rn_sim_row *items; /* owned; in the order of rounds, from 1 */
    uint32_t count, capacity;
};
void rn_sim_rows_add(struct rn_sim_rows *rows, const struct rn_sim_row *row);
void rn_sim_rows_clear(struct rn_sim_rows *rows);

RN_MUST rn_result rn_sim_state_write(const char *directory,
                                     const uint8_t settings[static RN_HASH_BYTES],
                                     const struct rn_sim_world *world,
                                     const struct rn_sim_rows *rows, struct rn_error *err);
/* *out_found false: there is none. RN_E_USAGE when it is of other settings, RN_E_DATA when it is
 * damaged or does not fit the world; nothing has changed then. */
RN_MUST rn_result rn_sim_state_read(const char *directory,
                                    const uint8_t settings[static RN_HASH_BYTES],
                                    struct rn_sim_world *world, struct rn_sim_rows *rows,
                                    bool *out_found, struct rn_error *err);

/* The rows as rounds.csv. */
void rn_sim_rows_csv(const struct rn_sim_rows *rows, struct rn_buffer *out);

#endif
