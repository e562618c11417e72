/* SPDX-License-Identifier: Apache-2.0
 *
 * The device's port, shared by its two files.
 */
#ifndef RN_TRAINER_KERNELS_CUDA_CUDAPORT_DEVICE_H
#define RN_TRAINER_KERNELS_CUDA_CUDAPORT_DEVICE_H

#include "trainer/kernels/cuda/cudachoice.h"
#include "trainer/kernels/cuda/cudaport.h"
#include "trainer/kernels/cuda/cudatrace.h"

#include <cublasLt.h>
#include <cuda_runtime.h>

#define RN_PORT_WORKSPACE ((size_t)32 << 20)

struct rn_port {
    cudaStream_t stream;
    cublasLtHandle_t blas;
    void *workspace;
    bool failed;
    bool recording;
    uint64_t generation;
    struct rn_cuda_trace trace;
    char failure[256];
    char name[300];
    struct rn_cuda_choice choice; /* of products' algorithms */
};

/* Notes a failure. */
void rn_port_check(struct rn_port *port, const char *what, cudaError_t code);
/* cudaproduct_device.c: whose plans they are, and those of the environment's file. */
void rn_port_plans_open(struct rn_port *port);

#endif
