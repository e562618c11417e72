/* SPDX-License-Identifier: Apache-2.0
 *
 * The harness that runs kernels on the CPU finds what it promises to find: each kernel below has
 * one fault, and the same kernel without it passes.
 */
#include "tests/unit/cuda/cudacheck.h"

#include <unistd.h>

enum { THREADS = 80 }; /* the last warp is half full */

struct fault_args {
    const float *x;
    float *y;
    int32_t fault;
};
enum { SOUND, NO_BARRIER, DIVERGENT, EARLY_RETURN, HALF_MASK, UNWRITTEN, NO_WAIT, MISALIGNED };

/* y[i] = x[THREADS-1-i], through shared memory. */
RN_KERNEL(reverse, struct fault_args)
{
    RN_SHARED float kept[THREADS];
    if (a.fault == EARLY_RETURN && threadIdx.x == 5) {
        return;
    }
    if (a.fault != UNWRITTEN || threadIdx.x != 7) {
        kept[threadIdx.x] = a.x[threadIdx.x];
    }
    if (a.fault == DIVERGENT) {
        if (threadIdx.x < 40) {
            __syncthreads();
        } else {
            __syncthreads();
        }
    } else if (a.fault != NO_BARRIER) {
        __syncthreads();
    }
    a.y[threadIdx.x] = kept[THREADS - 1 - threadIdx.x];
}

/* y[i] = sum over the warp. */
RN_KERNEL(sum, struct fault_args)
{
    const unsigned mask = a.fault == HALF_MASK ? 0x0000ffffu : RN_FULL_WARP;
    float v = a.x[threadIdx.x];
    for (int distance = 16; distance > 0; distance >>= 1) {
        v += __shfl_xor_sync(mask, v, distance);
    }
    a.y[threadIdx.x] = v;
}

/* y = x through asynchronous copies of four floats. */
RN_KERNEL(copy, struct fault_args)
{
    RN_SHARED float kept[32 * 4];
    rn_copy16(kept + threadIdx.x * 4, a.x + threadIdx.x * 4 + (a.fault == MISALIGNED ? 1 : 0));
    if (a.fault != NO_WAIT) {
        rn_copy_wait();
    }
    __syncthreads();
    for (int i = 0; i < 4; i++) {
        a.y[threadIdx.x * 4 + (unsigned)i] = kept[threadIdx.x * 4 + (unsigned)i];
    }
}

/* Whether the launch goes through in every order, with the same bits each time. The harness
 * explains a fault on stderr, which is silenced here: the fault is wanted. */
static bool passes(rn_cudahost_kernel *kernel, unsigned threads, int32_t fault)
{
    static float x[256], y[256], first[256];
    const struct fault_args args = {x, y, fault};
    const int kept = dup(STDERR_FILENO);
    bool good = true;
    for (int i = 0; i < 256; i++) {
        x[i] = (float)i + 0.25f;
    }
    assert_non_null(freopen("/dev/null", "w", stderr));
    for (unsigned order = 0; order < 6 && good; order++) {
        const struct rn_dim one = {1, 1, 1}, block = {threads, 1, 1};
        memset(y, 0xff, sizeof(y));
        good = rn_cudahost_launch(kernel, "kernel", one, block, 0, &args, order);
        if (order == 0) {
            memcpy(first, y, sizeof(y));
        }
        good = good && memcmp(first, y, sizeof(y)) == 0 && !isnan(y[threads - 8]);
    }
    (void)fflush(stderr);
    (void)dup2(kept, STDERR_FILENO);
    (void)close(kept);
    return good;
}

static void sound_kernels_pass(void **state)
{
    (void)state;
    assert_true(passes(reverse, THREADS, SOUND));
    assert_true(passes(sum, 64, SOUND));
    assert_true(passes(copy, 32, SOUND));
}

static void barriers_are_checked(void **state)
{
    (void)state;
    assert_false(passes(reverse, THREADS, NO_BARRIER));
    assert_false(passes(reverse, THREADS, DIVERGENT));
    assert_false(passes(reverse, THREADS, EARLY_RETURN));
}

static void unwritten_shared_memory_is_poison(void **state)
{
    (void)state;
    assert_false(passes(reverse, THREADS, UNWRITTEN));
}

static void warp_masks_are_checked(void **state)
{
    (void)state;
    assert_false(passes(sum, 64, HALF_MASK));
    assert_false(passes(sum, 48, SOUND)); /* a full mask in half a warp never completes */
}

static void copies_are_checked(void **state)
{
    (void)state;
    assert_false(passes(copy, 32, NO_WAIT));
    assert_false(passes(copy, 32, MISALIGNED));
}

static void launch_limits_hold(void **state)
{
    (void)state;
    const struct rn_dim one = {1, 1, 1};
    const struct {
        struct rn_dim grid, block;
        size_t shared;
    } wrong[] = {
        {{1, 65536, 1}, one, 0}, {{1, 1, 65536}, one, 0}, {one, {1025, 1, 1}, 0},
        {one, {1, 1, 65}, 0},    {{0, 1, 1}, one, 0},     {one, one, RN_CUDAHOST_SHARED_MAX + 1},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(rn_cudahost_launch(sum, "sum", wrong[i].grid, wrong[i].block, wrong[i].shared,
                                        NULL, 0));
    }
}

/* mma and ldmatrix against a plain product, with every element of every fragment told apart. */
struct tile_args {
    const struct rn_bf16 *x, *y; /* x[16][16], y[8][16] and its transpose [16][8] twice as wide */
    const struct rn_bf16 *y_by_k;
    float *plain, *transposed;
};

RN_KERNEL(tile, struct tile_args)
{
    RN_SHARED struct rn_bf16 x[16 * 16];
    RN_SHARED struct rn_bf16 y[16 * 16];
    RN_SHARED struct rn_bf16 y_by_k[16 * 16];
    const int lane = (int)threadIdx.x;
    uint32_t left[4], right[4];
    float d[4] = {0.0f, 0.0f, 0.0f, 0.0f}, e[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int i = lane; i < 256; i += 32) {
        x[i] = a.x[i];
        y[i] = a.y[i];
        y_by_k[i] = a.y_by_k[i];
    }
    __syncthreads();
    rn_ldmatrix(left, x + lane % 16 * 16 + lane / 16 * 8);
    rn_ldmatrix(right, y + (lane / 16 * 8 + lane % 8) * 16 + lane / 8 % 2 * 8);
    rn_mma(d, left, right);
    rn_ldmatrix_transposed(right, y_by_k + lane % 16 * 16 + lane / 16 * 8);
    rn_mma(e, left, right);
    for (int i = 0; i < 4; i++) {
        const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
        a.plain[row * 8 + column] = d[i];
        a.transposed[row * 8 + column] = e[i];
    }
}

static void tensor_core_fragments_are_those_of_the_manual(void **state)
{
    (void)state;
    struct rn_bf16 x[256], y[256], y_by_k[256];
    float plain[128], transposed[128];
    for (int i = 0; i < 256; i++) {
        x[i] = rn_to_bf16(check_random());
        y[i] = rn_to_bf16(check_random());
    }
    for (int n = 0; n < 16; n++) {
        for (int k = 0; k < 16; k++) {
            y_by_k[k * 16 + n] = y[n * 16 + k];
        }
    }
    const struct tile_args args = {x, y, y_by_k, plain, transposed};
    const struct rn_dim one = {1, 1, 1}, warp = {32, 1, 1};
    for (unsigned order = 0; order < 4; order++) {
        assert_true(rn_cudahost_launch(tile, "tile", one, warp, 0, &args, order));
        for (int row = 0; row < 16; row++) {
            for (int n = 0; n < 8; n++) {
                double wanted = 0.0;
                for (int k = 0; k < 16; k++) {
                    wanted +=
                        (double)rn_from_bf16(x[row * 16 + k]) * (double)rn_from_bf16(y[n * 16 + k]);
                }
                assert_true(fabs((double)plain[row * 8 + n] - wanted) < 1e-6);
                assert_true(fabs((double)transposed[row * 8 + n] - wanted) < 1e-6);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_kernels_pass),
        cmocka_unit_test(barriers_are_checked),
        cmocka_unit_test(unwritten_shared_memory_is_poison),
        cmocka_unit_test(warp_masks_are_checked),
        cmocka_unit_test(copies_are_checked),
        cmocka_unit_test(launch_limits_hold),
        cmocka_unit_test(tensor_core_fragments_are_those_of_the_manual),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
