/* SPDX-License-Identifier: Apache-2.0
 *
 * Nothing is allocated after the first step. This program's own malloc and its relatives stand
 * before the C library's, so what any library takes is counted too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>

#include "tests/unit/base/textfixture.h"
#include "tests/unit/trainer/cpuclasses.h"
#include "tests/unit/trainer/savingmodel.h"

static atomic_size_t allocations;

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTED 1
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

void *malloc(size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(memory, bytes);
}

void *memalign(size_t alignment, size_t bytes);
void *memalign(size_t alignment, size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return memalign(alignment, bytes);
}

int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    *out = memalign(alignment, bytes);
    return *out == NULL ? 12 : 0;
}
#else
#define COUNTED 0
#endif

struct counts {
    size_t after_first;
    size_t after_last;
    uint32_t steps;
};

static bool count_at(void *context, const struct rn_train_progress *progress)
{
    struct counts *counts = context;
    if (progress->step == 1) {
        counts->after_first = atomic_load(&allocations);
    }
    counts->after_last = atomic_load(&allocations);
    counts->steps = progress->step;
    return true;
}

static void noise(void *context, size_t n, double deviation, int64_t *out)
{
    (void)context;
    for (size_t i = 0; i < n; i++) {
        out[i] = (int64_t)(deviation * (i % 3 == 0 ? 1 : -1));
    }
}

static void uniform(void *context, size_t n, uint64_t *out)
{
    uint64_t *x = context;
    for (size_t i = 0; i < n; i++) {
        *x = *x * 6364136223846793005u + 1442695040888963407u;
        out[i] = *x;
    }
}

static void train(const struct rn_trainer_spec *spec, const char *folder,
                  const struct rn_dp_spec *dp)
{
    struct rn_trainer *trainer = saving_open(spec);
    struct rn_dataset *data = golden_data(trainer, folder);
    const struct rn_train_spec training = {.active = RN_MATRIX_AB,
                                           .optimizer = RN_OPTIMIZER_ADAMW,
                                           .lr_a = 3e-3,
                                           .lr_b = 5e-3,
                                           .clip = dp == NULL ? 0.5 : 0,
                                           .batch = 7,
                                           .steps = 12, /* four epochs, each of its own order */
                                           .shuffle = true,
                                           .seed = 5,
                                           .dp = dp};
    struct rn_error err;
    struct counts counts = {0};
    must(rn_trainer_train(trainer, data, &training, count_at, &counts, NULL, &err), &err);
    assert_int_equal(counts.steps, training.steps);
    if (COUNTED != 0 && (counts.after_first == 0 || counts.after_first != counts.after_last)) {
        fail_msg("%s, %s: %zu allocations after the first step", spec->backend, folder,
                 counts.after_last - counts.after_first);
    }
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
}

static void steps_allocate_nothing(void **state)
{
    (void)state;
    uint64_t x = 1;
    const struct rn_dp_spec dp = {.clip_norm = 1,
                                  .noise_multiplier = 1,
                                  .denominator = 7,
                                  .sampling = RN_DP_POISSON,
                                  .threshold = UINT64_MAX / 4,
                                  .context = &x,
                                  .noise = noise,
                                  .uniform = uniform};
    for (size_t b = 0; b < SAVING_BACKENDS; b++) {
        if (cpu_class_leaves_out(saving_backends[b])) {
            continue;
        }
        char model[RN_PATH_MAX];
        struct rn_trainer_spec spec = saving_spec(model, "bert-40", saving_backends[b], true);
        train(&spec, "bert-40", NULL);
        train(&spec, "bert-40", &dp);
        spec.cache_bytes = (uint64_t)1 << 20;
        train(&spec, "bert-40", NULL);
        spec.cache_bytes = RN_CACHE_BYTES_MIN; /* it runs full */
        spec.cache_dir = fixture_folder;
        train(&spec, "bert-40", NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_allocate_nothing),
    };
    return run_in_classes(CPU_CLASSES_UNLIKE,
                          &(struct class_tests){"allocations", tests, RN_ARRAY_LENGTH(tests),
                                                fixture_setup, fixture_remove});
}
