/* SPDX-License-Identifier: Apache-2.0 */
#include "trainer/kernels/cuda/cudagraph.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    uint8_t key[RN_GRAPH_KEY_MAX];
    size_t bytes; /* 0 = free */
    uint64_t used;
    uint64_t generation;                 /* of the recording or the number */
    struct rn_port_recording *recording; /* NULL = seen once */
    uint64_t number;                     /* check: of the operations */
    bool numbered;
};

enum mode { RECORD, CHECK, OFF };
enum state { IDLE, DIRECT, RECORDING, CHECKING };

struct rn_cuda_graphs {
    struct rn_port *port;
    enum mode mode;
    enum state state;
    struct entry *open; /* between begin and end */
    uint64_t clock;
    struct entry entries[RN_CUDA_GRAPHS_MAX];
};

static enum mode chosen_mode(void)
{
    const char *text = getenv("RONDO_CUDA_GRAPHS");
    return text == NULL                 ? RECORD
           : strcmp(text, "off") == 0   ? OFF
           : strcmp(text, "check") == 0 ? CHECK
                                        : RECORD;
}

struct rn_cuda_graphs *rn_cuda_graphs_new(struct rn_port *port)
{
    struct rn_cuda_graphs *graphs = rn_alloc(1, sizeof(*graphs));
    graphs->port = port;
    graphs->mode = chosen_mode();
    return graphs;
}

void rn_cuda_graphs_free(struct rn_cuda_graphs *graphs)
{
    if (graphs == NULL) {
        return;
    }
    RN_BUG_IF(graphs->state != IDLE);
    for (size_t i = 0; i < RN_CUDA_GRAPHS_MAX; i++) {
        rn_port_recording_free(graphs->port, graphs->entries[i].recording);
    }
    rn_free(graphs);
}

static struct entry *find(struct rn_cuda_graphs *graphs, const void *key, size_t bytes)
{
    for (size_t i = 0; i < RN_CUDA_GRAPHS_MAX; i++) {
        struct entry *entry = &graphs->entries[i];
        if (entry->bytes == bytes && memcmp(entry->key, key, bytes) == 0) {
            return entry;
        }
    }
    return NULL;
}

/* In the place of the entry longest unused. */
static struct entry *add(struct rn_cuda_graphs *graphs, const void *key, size_t bytes)
{
    struct entry *entry = &graphs->entries[0];
    for (size_t i = 1; i < RN_CUDA_GRAPHS_MAX; i++) {
        entry = graphs->entries[i].used < entry->used ? &graphs->entries[i] : entry;
    }
    rn_port_recording_free(graphs->port, entry->recording);
    *entry = (struct entry){.bytes = bytes};
    memcpy(entry->key, key, bytes);
    return entry;
}

bool rn_cuda_graphs_begin(struct rn_cuda_graphs *graphs, const void *key, size_t bytes)
{
    RN_BUG_IF(graphs->state != IDLE || bytes == 0 || bytes > RN_GRAPH_KEY_MAX);
    const uint64_t generation = rn_port_generation(graphs->port);
    struct entry *entry = graphs->mode == OFF ? NULL : find(graphs, key, bytes);
    const bool seen = entry != NULL;
    graphs->state = DIRECT;
    if (graphs->mode == OFF) {
        return false;
    }
    entry = seen ? entry : add(graphs, key, bytes);
    entry->used = ++graphs->clock;
    graphs->open = entry;
    if (entry->generation != generation) {
        rn_port_recording_free(graphs->port, entry->recording);
        entry->recording = NULL;
        entry->numbered = false;
        entry->generation = generation;
    }
    if (graphs->mode == CHECK) {
        graphs->state = CHECKING;
        rn_port_trace_begin(graphs->port);
    } else if (entry->recording != NULL) {
        rn_port_replay(graphs->port, entry->recording);
        graphs->state = IDLE;
        return true;
    } else if (seen) {
        graphs->state = RECORDING;
        rn_port_record_begin(graphs->port);
    }
    return false;
}

static void end_check(struct rn_cuda_graphs *graphs)
{
    struct entry *entry = graphs->open;
    const uint64_t number = rn_port_trace_end(graphs->port);
    if (entry->numbered && entry->number != number) {
        rn_port_note(graphs->port, "recorded pass",
                     "other operations or arguments than before under the same key");
    }
    entry->number = number;
    entry->numbered = true;
}

void rn_cuda_graphs_end(struct rn_cuda_graphs *graphs)
{
    RN_BUG_IF(graphs->state == IDLE);
    if (graphs->state == CHECKING) {
        end_check(graphs);
    } else if (graphs->state == RECORDING) {
        struct entry *entry = graphs->open;
        entry->recording = rn_port_record_end(graphs->port);
        if (entry->recording != NULL) {
            rn_port_replay(graphs->port, entry->recording);
        } else {
            graphs->mode = OFF; /* the failure is told by the next sync */
        }
    }
    graphs->state = IDLE;
}
