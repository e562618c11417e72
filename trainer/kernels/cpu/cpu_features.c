/* SPDX-License-Identifier: Apache-2.0
 *
 * Detection of instruction sets, and the permission to use tile registers.
 */
#include "trainer/kernels/cpu/cpu_features.h"

#include "base/guard.h"

#include <pthread.h>
#include <unistd.h>

#if defined(__x86_64__)

#include <asm/prctl.h>
#include <cpuid.h>
#include <sys/syscall.h>

#ifndef ARCH_REQ_XCOMP_PERM
#define ARCH_REQ_XCOMP_PERM 0x1023
#endif
#define XFEATURE_XTILEDATA 18

/* AMX-BF16: leaf 7.0, EDX bit 22; AMX-TILE: bit 24. */
static bool processor_has_amx(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & 1u << 24) != 0 &&
           (d & 1u << 22) != 0;
}

/* AVX512_BF16: leaf 7.1, EAX bit 5. */
static bool processor_has_bf16(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & 1u << 5) != 0;
}

/* Tile data are 8 KiB of state for each thread, which the system saves only for those who ask. An
 * older system knows neither the call nor the registers, and refuses. */
static bool tiles_permitted(void)
{
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

/* The builtins look at what the system saves of the wide registers too. */
static void find_sets(struct rn_cpu_features *out)
{
    __builtin_cpu_init();
    out->avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    out->avx512 = out->avx2 && __builtin_cpu_supports("avx512f") &&
                  __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
    out->avx512_bf16 = out->avx512 && processor_has_bf16();
    out->amx = out->avx512_bf16 && processor_has_amx() && tiles_permitted();
}

#else

static void find_sets(struct rn_cpu_features *out)
{
    (void)out;
}

#endif

static size_t cache_bytes(int name, size_t usual)
{
    const long bytes = sysconf(name);
    return bytes > 0 ? (size_t)bytes : usual;
}

static struct rn_cpu_features features;

static void find(void)
{
    features.l2 = cache_bytes(_SC_LEVEL2_CACHE_SIZE, (size_t)1 << 20);
    find_sets(&features);
}

const struct rn_cpu_features *rn_cpu_features(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    RN_BUG_IF(pthread_once(&once, find) != 0);
    return &features;
}
