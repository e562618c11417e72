/* SPDX-License-Identifier: Apache-2.0
 *
 * Who holds which records in a simulation: the options --data, --partition, --clients and client
 * files, as one data file a client.
 *
 *     uniform, quantity:ALPHA, dirichlet:ALPHA, labels:K, column:NAME
 *                 divide --data (trainer/data/datapartition.h); the parts are written to
 *                 OUT/parts/client-0001.jsonl and on, so that services can train on the same files
 *     files       the operands behind the plan, a client each, in their order
 */
#ifndef RN_SERVICES_CLI_SIMULATE_SIMCLIENTS_H
#define RN_SERVICES_CLI_SIMULATE_SIMCLIENTS_H

#include "base/file.h"
#include "policy/plan.h"
#include "services/cli/desk/datacolumns.h"
#include "services/cli/kit/commands.h"

struct rn_sim_data_settings {
    struct rn_data_columns columns; /* path: --data, or NULL */
    const char *partition;
    uint64_t clients; /* 0: not given */
    uint64_t seed;
};

struct rn_sim_clients {
    struct rn_data_spec *specs; /* [count] */
    char (*paths)[RN_PATH_MAX]; /* [count]: of the specs */
    size_t *records;            /* [count]; 0: not counted, a client's own file */
    size_t count;
};
void rn_sim_clients_clear(struct rn_sim_clients *clients);

/* files: the client files, for "files" alone. Borrows from settings. RN_E_USAGE for a partition
 * that is none. Writes parts below out, replacing what stands there. */
RN_MUST rn_result rn_sim_clients_make(struct rn_sim_data_settings *settings,
                                      const struct rn_plan *plan, const char *const *files,
                                      size_t file_count, const char *out,
                                      struct rn_sim_clients *clients, struct rn_error *err);

#endif
