/* SPDX-License-Identifier: Apache-2.0
 *
 * What the bfloat16 backends multiply with, chosen by measurement once a process.
 *
 * Candidates: own products in AMX tiles; oneDNN, where a row keeps its bits in it; own float32
 * products over bfloat16 storage, which every machine has. On many processors bfloat16 dot products
 * without AMX run at half the rate of float32, on others at twice: no list of models, the rate
 * decides. With AMX, oneDNN is no candidate: it has the same instructions, is slower, and came so
 * near on a busy machine that the choice wavered; it can be named. Each candidate multiplies
 * [RN_CPU_TRIAL_ROWS, K] by [K, N] of a usual shape a few times in turn with the others on the
 * calling thread; the fastest pass in processor time counts.
 *
 * The choice must not waver between two starts, since each candidate adds in an order of its own:
 * the order of preference is the order of enum rn_cpu_candidate, one that is not at least
 * RN_CPU_CHOICE_GAIN times as fast as float32 is out, and a later one is taken before an earlier
 * one only where it is RN_CPU_CHOICE_GAIN times as fast. Known machines lie far from these lines
 * (2 and 1/2 between bfloat16 and float32, 4 and more with AMX). Where the choice has to stay
 * whatever happens, it is named (rn_kernels_find_by).
 */
#ifndef RN_TRAINER_KERNELS_CPU_CPU_CHOICE_H
#define RN_TRAINER_KERNELS_CPU_CPU_CHOICE_H

#include "trainer/kernels/kernels.h"

#define RN_CPU_CHOICE_GAIN 1.2
#define RN_CPU_TRIAL_ROWS 128

enum rn_cpu_candidate { RN_CPU_BY_AMX, RN_CPU_BY_ONEDNN, RN_CPU_BY_FLOAT32, RN_CPU_CANDIDATES };

/* Operations a second on one thread; 0: not there, refused, or not measured. */
struct rn_cpu_rates {
    double rate[RN_CPU_CANDIDATES];
};

/* The rule alone. */
enum rn_cpu_candidate rn_cpu_choose(const struct rn_cpu_rates *rates);

/* "amx", "onednn", "float32" */
const char *rn_cpu_candidate_name(enum rn_cpu_candidate candidate);

/* What this process takes, measured at the first call. out_rates (may be NULL) are all 0 where
 * float32 is the only candidate. */
enum rn_cpu_candidate rn_cpu_choice(struct rn_cpu_rates *out_rates);

/* The bfloat16 backends' table by one candidate; NULL when this machine lacks or refuses it. */
const struct rn_kernels *rn_kernels_cpu_bf16_by(enum rn_cpu_candidate candidate, bool residual_f32);

#endif
