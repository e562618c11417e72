/* SPDX-License-Identifier: Apache-2.0
 *
 * The number of rn_port_trace_begin: FNV-1a over the arguments' bytes. Argument structs have no
 * padding (cudaargs.h), so equal arguments have equal bytes.
 */
#ifndef RN_TRAINER_KERNELS_CUDA_CUDATRACE_H
#define RN_TRAINER_KERNELS_CUDA_CUDATRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rn_cuda_trace {
    bool on;
    uint64_t number;
};

static inline void rn_cuda_trace_begin(struct rn_cuda_trace *trace)
{
    *trace = (struct rn_cuda_trace){true, 14695981039346656037u};
}

static inline uint64_t rn_cuda_trace_end(struct rn_cuda_trace *trace)
{
    trace->on = false;
    return trace->number;
}

static inline void rn_cuda_trace_add(struct rn_cuda_trace *trace, const void *bytes, size_t length)
{
    for (size_t i = 0; trace->on && i < length; i++) {
        trace->number = (trace->number ^ ((const uint8_t *)bytes)[i]) * 1099511628211u;
    }
}

#endif
