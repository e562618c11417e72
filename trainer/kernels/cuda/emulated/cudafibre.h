/* SPDX-License-Identifier: Apache-2.0
 *
 * Fibres for cudahost: up to 1024 small stacks that the scheduler enters and that give control
 * back. x86-64 switches with six registers by hand (40 ns); other processors use ucontext. Not
 * thread-safe: one scheduler a process.
 */
#ifndef RN_TRAINER_KERNELS_CUDA_CUDAFIBRE_H
#define RN_TRAINER_KERNELS_CUDA_CUDAFIBRE_H

#include <stdbool.h>

#define RN_CUDAFIBRE_MAX 1024
#define RN_CUDAFIBRE_STACK (64 * 1024)

/* Makes fibre `which` ready to run `body` from its start, whatever it did before. */
void rn_cudafibre_start(int which, void (*body)(void));

/* Enters the fibre; returns when it yields or when its body has returned. A fibre whose body has
 * returned must be started again before the next resume. */
void rn_cudafibre_resume(int which);

/* From inside a fibre: back to the scheduler. */
void rn_cudafibre_yield(void);

/* False when the fibre ran over the end of its stack. */
bool rn_cudafibre_intact(int which);

#endif
