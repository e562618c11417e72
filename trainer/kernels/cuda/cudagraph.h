/* SPDX-License-Identifier: Apache-2.0
 *
 * Recorded passes of one lane (kernels.h, graph_begin).
 *
 * A key seen for the first time is run as it comes, so that everything that is made on first use
 * (plans, code loaded late) exists; the second time it is recorded and replayed; from then on it is
 * replayed alone. A released memory makes every recording invalid: the key is recorded anew.
 * RN_CUDA_GRAPHS_MAX keys are kept; the one longest unused makes room.
 *
 * RONDO_CUDA_GRAPHS=off issues every operation; =check issues every operation too, and fails the
 * next sync when the arguments under a key differ from those it had before.
 */
#ifndef RN_TRAINER_KERNELS_CUDA_CUDAGRAPH_H
#define RN_TRAINER_KERNELS_CUDA_CUDAGRAPH_H

#include "trainer/kernels/cuda/cudaport.h"

#define RN_CUDA_GRAPHS_MAX 64

struct rn_cuda_graphs;

struct rn_cuda_graphs *rn_cuda_graphs_new(struct rn_port *port);
void rn_cuda_graphs_free(struct rn_cuda_graphs *graphs); /* accepts NULL */
/* The two operations of the table; bytes of the key at most RN_GRAPH_KEY_MAX. */
bool rn_cuda_graphs_begin(struct rn_cuda_graphs *graphs, const void *key, size_t bytes);
void rn_cuda_graphs_end(struct rn_cuda_graphs *graphs);

#endif
