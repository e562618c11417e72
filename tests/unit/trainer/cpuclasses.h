/* SPDX-License-Identifier: Apache-2.0
 *
 * The same tests once per class of processor that this machine has, whatever the program would
 * choose, each in a process of its own, since oneDNN settles what it uses once a process. The last
 * line says which classes ran; tests/run repeats it.
 */
#ifndef RN_TESTS_UNIT_TRAINER_CPUCLASSES_H
#define RN_TESTS_UNIT_TRAINER_CPUCLASSES_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trainer/kernels/cpu/cpu_class.h"

/* UNLIKE: only the highest of the classes that give the same bits by test_exactness and
 * test_kernel_table (float32, and bfloat16 without its instructions), for tests of many seconds. */
enum cpu_classes { CPU_CLASSES_ALL, CPU_CLASSES_UNLIKE };

enum { CLASS_LACKING = 77, CLASS_REFUSED = 78 }; /* exit codes of a class that did not run */

static const char *const cpu_class_names[RN_CPU_CLASSES] = {
    "scalar", "AVX2", "AVX512", "AVX512-BF16", "oneDNN with AMX", "AMX", "tiles in C"};

/* A sanitizer looks for what no bit shows, and every instruction costs it many times as much: there
 * each class runs each kernel once at some shape, and all shapes are for the other builds. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { CPU_CLASSES_SANITIZED = 1 };
#else
enum { CPU_CLASSES_SANITIZED = 0 };
#endif

static enum rn_cpu_class cpu_class;  /* of this process */
static bool cpu_class_common = true; /* this process tests what is the same in all that run */

/* A group of cmocka. */
struct class_tests {
    const char *name;
    const struct CMUnitTest *tests;
    size_t count;
    CMFixtureFunction setup, teardown; /* may be NULL */
};

/* Whether this process runs the lowest class. */
static inline bool cpu_class_lowest(void)
{
    return cpu_class == RN_CPU_CLASS_SCALAR;
}

/* Whether this process leaves a backend out, since another one runs the same machine code: `ref`
 * knows no class, and the float32 of `cpu` none beyond AVX512 (rn_cpu_class_take). */
static inline bool cpu_class_leaves_out(const char *backend)
{
    return (strcmp(backend, "ref") == 0 && !cpu_class_common) ||
           (strcmp(backend, "cpu") == 0 && cpu_class > RN_CPU_CLASS_AVX512);
}

/* Runs a class; its exit code. */
static inline int cpu_class_run(enum rn_cpu_class level, const struct class_tests *t)
{
    char group[128];
    (void)fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        const enum rn_cpu_taken taken = rn_cpu_class_take(level);
        if (taken != RN_CPU_TAKEN) {
            exit(taken == RN_CPU_LACKING ? CLASS_LACKING : CLASS_REFUSED);
        }
        cpu_class = level;
        (void)snprintf(group, sizeof(group), "%s, class %s", t->name, cpu_class_names[level]);
        exit(_cmocka_run_group_tests(group, t->tests, t->count, t->setup, t->teardown) == 0 ? 0
                                                                                            : 1);
    }
    int status = 0;
    if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status)) {
        return WEXITSTATUS(status);
    }
    printf("%s, class %s: did not come to its end\n", t->name, cpu_class_names[level]);
    return 1;
}

static inline void cpu_class_list(const char *label, const int *codes, int low, int high)
{
    bool any = false;
    for (int level = 0; level < RN_CPU_CLASSES; level++) {
        if (codes[level] >= low && codes[level] <= high) {
            printf("%s %s", any ? "" : label, cpu_class_names[level]);
            any = true;
        }
    }
}

#if defined(__SANITIZE_THREAD__)
/* It allows no threads after a fork: what the program chooses, in this process. */
static inline int run_in_classes(enum cpu_classes which, const struct class_tests *tests)
{
    (void)which;
    printf("processor classes: ran this processor's own alone, under ThreadSanitizer\n");
    return _cmocka_run_group_tests(tests->name, tests->tests, tests->count, tests->setup,
                                   tests->teardown);
}
#else
/* For main: the number of classes that failed. */
static inline int run_in_classes(enum cpu_classes which, const struct class_tests *tests)
{
    enum { ALIKE = -1 };
    int codes[RN_CPU_CLASSES];
    int failed = 0;
    bool any = false;
    bool alike = false; /* a class that has the bits of those below has run */
    for (int level = RN_CPU_CLASSES - 1; level >= 0; level--) {
        const bool own_bits = level >= RN_CPU_CLASS_AVX512_BF16;
        if (which == CPU_CLASSES_UNLIKE && alike) {
            codes[level] = ALIKE;
            continue;
        }
        cpu_class_common = which == CPU_CLASSES_UNLIKE ? !own_bits : level == RN_CPU_CLASS_SCALAR;
        codes[level] = cpu_class_run((enum rn_cpu_class)level, tests);
        const bool ran = codes[level] != CLASS_LACKING && codes[level] != CLASS_REFUSED;
        any = any || ran;
        failed += ran && codes[level] != 0;
        alike = alike || (ran && !own_bits);
    }
    cpu_class_common = true;
    printf("processor classes:");
    cpu_class_list(" ran", codes, 0, CLASS_LACKING - 1);
    cpu_class_list("; not on this machine:", codes, CLASS_LACKING, CLASS_LACKING);
    cpu_class_list("; not used, as its products change a row's bits:", codes, CLASS_REFUSED,
                   CLASS_REFUSED);
    printf("\n");
    return any ? failed : 1; /* no test at all is no success */
}
#endif

#define RUN_IN_CLASSES(which, name, tests) \
    run_in_classes(                        \
        which, &(struct class_tests){name, tests, sizeof(tests) / sizeof((tests)[0]), NULL, NULL})

#endif
