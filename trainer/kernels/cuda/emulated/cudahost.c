/* SPDX-License-Identifier: Apache-2.0 */
#include "trainer/kernels/cuda/emulated/cudahost.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/kernels/cuda/emulated/cudafibre.h"

#include <stdio.h>

enum { WARP = 32, COPIES_MAX = 64, SLOT_BYTES = 32 };

enum state { READY, AT_BLOCK_BARRIER, AT_WARP_OPERATION, DONE };

struct copy {
    void *to;
    const void *from;
};

/* One device thread. */
struct lane {
    enum state state;
    int line;      /* where it waits */
    unsigned mask; /* for whom it waits in a warp operation */
    unsigned turn; /* which of the two exchange slots it used last */
    struct rn_dim index;
    int copies;
    struct copy copy[COPIES_MAX];
};

struct rn_dim threadIdx, blockIdx, blockDim, gridDim;

/* The section of static shared memory; absent when no kernel of the program has any. */
extern unsigned char shared_start[] __asm__("__start_device_shared") __attribute__((weak));
extern unsigned char shared_stop[] __asm__("__stop_device_shared") __attribute__((weak));

static struct lane lanes[RN_CUDAHOST_THREADS_MAX];
static unsigned char exchange[RN_CUDAHOST_THREADS_MAX / WARP][2][WARP][SLOT_BYTES];
static unsigned char dynamic_shared[RN_CUDAHOST_SHARED_MAX] __attribute__((aligned(128)));
static int lane_count;
static int current;
static bool failed;
static unsigned random_state;

static struct {
    rn_cudahost_kernel *kernel;
    const char *name;
    const void *args;
} launch;

static void complain(const char *what, int line)
{
    fprintf(stderr, "%s, line %d: thread %d of block (%u,%u,%u): %s\n", launch.name, line, current,
            blockIdx.x, blockIdx.y, blockIdx.z, what);
    failed = true;
}

/* ---- called by kernels, on a fibre ---- */

static void lane_main(void)
{
    launch.kernel(launch.args);
    lanes[current].state = DONE;
}

static void wait_here(enum state state, int line, unsigned mask)
{
    lanes[current].state = state;
    lanes[current].line = line;
    lanes[current].mask = mask;
    rn_cudafibre_yield();
}

unsigned rn_cudahost_lane(void)
{
    return (unsigned)current % WARP;
}

void *rn_cudahost_shared(void)
{
    return dynamic_shared;
}

void rn_cudahost_block_barrier(int line)
{
    wait_here(AT_BLOCK_BARRIER, line, 0);
}

/* Leaves bytes for the other lanes of mask and waits until all of them have. Two slots alternate,
 * so that a fast lane cannot overwrite what a slow one still has to read. */
static void exchange_put(unsigned mask, const void *bytes, size_t length, int line)
{
    struct lane *lane = &lanes[current];
    const unsigned self = rn_cudahost_lane();
    if ((mask >> self & 1) == 0) {
        complain("not in its own mask", line);
    }
    lane->turn ^= 1;
    if (length > 0) {
        memcpy(exchange[current / WARP][lane->turn][self], bytes, length);
    }
    wait_here(AT_WARP_OPERATION, line, mask);
}

static void exchange_take(unsigned mask, void *bytes, size_t length, unsigned from, int line)
{
    if ((mask >> from & 1) == 0) {
        complain("reads a lane outside the mask", line);
        memset(bytes, 0xff, length);
        return;
    }
    memcpy(bytes, exchange[current / WARP][lanes[current].turn][from], length);
}

void rn_cudahost_warp_barrier(unsigned mask, int line)
{
    exchange_put(mask, NULL, 0, line);
}

float rn_cudahost_shuffle(unsigned mask, float value, unsigned source, int line)
{
    exchange_put(mask, &value, sizeof value, line);
    exchange_take(mask, &value, sizeof value, source, line);
    return value;
}

double rn_cudahost_shuffle_double(unsigned mask, double value, unsigned source, int line)
{
    exchange_put(mask, &value, sizeof value, line);
    exchange_take(mask, &value, sizeof value, source, line);
    return value;
}

static double half_of(uint32_t pair, int high)
{
    const uint32_t bits = high ? pair & 0xffff0000u : pair << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

/* Fragment layout: PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type". */
void rn_cudahost_mma(float d[4], const uint32_t a[4], const uint32_t b[2], int line)
{
    const uint32_t mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    uint32_t rows[16][8], columns[8][8];
    exchange_put(0xffffffffu, mine, sizeof mine, line);
    for (unsigned from = 0; from < WARP; from++) {
        uint32_t theirs[6];
        const unsigned group = from / 4, pair = from % 4;
        exchange_take(0xffffffffu, theirs, sizeof theirs, from, line);
        rows[group][pair] = theirs[0];
        rows[group + 8][pair] = theirs[1];
        rows[group][pair + 4] = theirs[2];
        rows[group + 8][pair + 4] = theirs[3];
        columns[group][pair] = theirs[4];
        columns[group][pair + 4] = theirs[5];
    }
    for (unsigned i = 0; i < 4; i++) {
        const unsigned row = rn_cudahost_lane() / 4 + (i >= 2 ? 8 : 0);
        const unsigned column = rn_cudahost_lane() % 4 * 2 + i % 2;
        double sum = (double)d[i];
        for (int k = 0; k < 8; k++) {
            sum += half_of(rows[row][k], 0) * half_of(columns[column][k], 0);
            sum += half_of(rows[row][k], 1) * half_of(columns[column][k], 1);
        }
        d[i] = (float)sum;
    }
}

/* PTX ISA, ldmatrix.x4: lane 8i+j names row j of matrix i; out[i] is this lane's pair of it. */
void rn_cudahost_ldmatrix(uint32_t out[4], const void *row, bool transposed, int line)
{
    const unsigned self = rn_cudahost_lane();
    if (((uintptr_t)row & 15) != 0) {
        complain("ldmatrix row not aligned to 16 bytes", line);
    }
    exchange_put(0xffffffffu, &row, sizeof row, line);
    for (unsigned i = 0; i < 4; i++) {
        uint16_t pair[2];
        for (unsigned k = 0; k < 2; k++) {
            const unsigned r = transposed ? self % 4 * 2 + k : self / 4;
            const unsigned c = transposed ? self / 4 : self % 4 * 2 + k;
            const uint16_t *theirs;
            exchange_take(0xffffffffu, (void *)&theirs, sizeof theirs, i * 8 + r, line);
            pair[k] = theirs[c];
        }
        out[i] = (uint32_t)pair[0] | (uint32_t)pair[1] << 16;
    }
    /* On the device the reads are over when the instruction is; here another lane could already
     * write again, so nobody goes on before all have read. */
    exchange_put(0xffffffffu, NULL, 0, line);
}

void rn_cudahost_copy16(void *shared, const void *global)
{
    struct lane *lane = &lanes[current];
    RN_BUG_IF(lane->copies == COPIES_MAX);
    if ((((uintptr_t)shared | (uintptr_t)global) & 15) != 0) {
        complain("asynchronous copy not aligned to 16 bytes", 0);
        return;
    }
    lane->copy[lane->copies].to = shared;
    lane->copy[lane->copies].from = global;
    lane->copies++;
}

void rn_cudahost_copy_wait(void)
{
    struct lane *lane = &lanes[current];
    for (int i = 0; i < lane->copies; i++) {
        memcpy(lane->copy[i].to, lane->copy[i].from, 16);
    }
    lane->copies = 0;
}

/* ---- the scheduler ---- */

static unsigned next_random(unsigned below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 16) % below;
}

static void make_order(int *order, int count, unsigned kind)
{
    for (int i = 0; i < count; i++) {
        order[i] = kind == RN_CUDAHOST_REVERSE ? count - 1 - i : i;
    }
    for (int i = count - 1; i > 0 && kind >= RN_CUDAHOST_SHUFFLED; i--) {
        const int other = (int)next_random((unsigned)i + 1);
        const int kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
}

/* A loop of its own: it also runs over the sanitizer's red zones in the section, which memset may
 * not. The empty assembly keeps the compiler from making a memset of it. */
__attribute__((no_sanitize("address"))) static void poison(unsigned char *from,
                                                           const unsigned char *to)
{
    struct word {
        uint64_t part[4];
    } __attribute__((may_alias));
    const struct word filler = {{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};
    for (; to - from >= (ptrdiff_t)sizeof(filler); from += sizeof(filler)) {
        *(struct word *)(void *)from = filler;
        __asm__ volatile("" : : "r"(from) : "memory");
    }
    for (; from < to; from++) {
        *(volatile unsigned char *)from = 0xff;
    }
}

static void start_block(struct rn_dim block, size_t shared)
{
    if (shared_start != NULL) {
        poison(shared_start, shared_stop);
    }
    memset(dynamic_shared, 0xff, shared);
    for (int i = 0; i < lane_count; i++) {
        const unsigned id = (unsigned)i;
        lanes[i].state = READY;
        lanes[i].turn = 0;
        lanes[i].copies = 0;
        lanes[i].index.x = id % block.x;
        lanes[i].index.y = id / block.x % block.y;
        lanes[i].index.z = id / block.x / block.y;
        rn_cudafibre_start(i, lane_main);
    }
}

/* The lanes of `first`'s warp that wait at the same line for the same mask. */
static unsigned arrived_with(int first, int low, int high)
{
    unsigned arrived = 0;
    for (int i = low; i < high; i++) {
        if (lanes[i].state == AT_WARP_OPERATION && lanes[i].mask == lanes[first].mask &&
            lanes[i].line == lanes[first].line) {
            arrived |= 1u << (i - low);
        }
    }
    return arrived & lanes[first].mask;
}

/* Lets go the lanes whose whole mask has arrived; true when some lane of the warp can run. */
static bool release_warp(int low, int high)
{
    bool ready = false;
    for (int i = low; i < high; i++) {
        if (lanes[i].state != AT_WARP_OPERATION) {
            continue;
        }
        const unsigned mask = lanes[i].mask;
        if (arrived_with(i, low, high) == mask) {
            for (int k = low; k < high; k++) {
                if ((mask >> (k - low) & 1) != 0) {
                    lanes[k].state = READY;
                }
            }
        }
    }
    for (int i = low; i < high; i++) {
        ready |= lanes[i].state == READY;
    }
    return ready;
}

static void run_lane(int i)
{
    current = i;
    threadIdx = lanes[i].index;
    rn_cudafibre_resume(i);
}

/* Runs one warp as far as it can go; true when it was interrupted although it could go on. */
static bool run_warp(int warp, unsigned order)
{
    const int low = warp * WARP;
    const int high = low + WARP < lane_count ? low + WARP : lane_count;
    bool ready = true;
    while (ready) {
        int turns[WARP];
        make_order(turns, high - low, order);
        for (int i = 0; i < high - low; i++) {
            if (lanes[low + turns[i]].state == READY) {
                run_lane(low + turns[i]);
            }
        }
        ready = release_warp(low, high);
        if (ready && order >= RN_CUDAHOST_SHUFFLED && next_random(4) == 0) {
            return true;
        }
    }
    return false;
}

static void run_warps(unsigned order)
{
    const int warps = (lane_count + WARP - 1) / WARP;
    bool interrupted = true;
    while (interrupted) {
        int turns[RN_CUDAHOST_THREADS_MAX / WARP];
        interrupted = false;
        make_order(turns, warps, order);
        for (int i = 0; i < warps; i++) {
            interrupted |= run_warp(turns[i], order);
        }
    }
}

static void show_deadlock(void)
{
    for (int i = 0, shown = 0; i < lane_count && shown < 6; i++) {
        const bool first = i == 0 || lanes[i].state != lanes[i - 1].state ||
                           (lanes[i].state != DONE && lanes[i].line != lanes[i - 1].line);
        if (first) {
            static const char *const names[] = {"ready", "block barrier", "warp operation", "done"};
            fprintf(stderr, "  from thread %d: %s, line %d, mask %08x\n", i, names[lanes[i].state],
                    lanes[i].line, lanes[i].mask);
            shown++;
        }
    }
}

/* No warp can run: opens the block barrier. False when the block is done or stuck. */
static bool release_block(void)
{
    int done = 0, waiting = 0;
    bool mixed = false;
    for (int i = 0; i < lane_count; i++) {
        done += lanes[i].state == DONE;
        waiting += lanes[i].state == AT_BLOCK_BARRIER;
        mixed |= lanes[i].state == AT_BLOCK_BARRIER && lanes[i].line != lanes[0].line;
    }
    if (done == lane_count) {
        return false;
    }
    if (waiting < lane_count || mixed) {
        current = 0;
        complain(mixed && waiting == lane_count ? "__syncthreads() at different lines"
                                                : "threads wait for others that never come",
                 lanes[0].line);
        show_deadlock();
        return false;
    }
    for (int i = 0; i < lane_count; i++) {
        lanes[i].state = READY;
    }
    return true;
}

static void run_block(struct rn_dim block, size_t shared, unsigned order)
{
    start_block(block, shared);
    do {
        run_warps(order);
    } while (!failed && release_block());
    for (int i = 0; i < lane_count; i++) {
        current = i;
        if (!failed && lanes[i].copies > 0) {
            complain("an asynchronous copy was never waited for", 0);
        }
        if (!rn_cudafibre_intact(i)) {
            complain("stack overflow", 0);
        }
    }
}

static bool limits_hold(struct rn_dim grid, struct rn_dim block, size_t shared)
{
    const size_t threads = (size_t)block.x * block.y * block.z;
    return threads >= 1 && threads <= RN_CUDAHOST_THREADS_MAX && block.z <= 64 && grid.x >= 1 &&
           grid.x <= 0x7fffffffu && grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 &&
           grid.z <= 65535 && shared <= RN_CUDAHOST_SHARED_MAX;
}

bool rn_cudahost_launch(rn_cudahost_kernel *kernel, const char *name, struct rn_dim grid,
                        struct rn_dim block, size_t shared, const void *args, unsigned order)
{
    if (!limits_hold(grid, block, shared)) {
        fprintf(stderr, "%s: launch outside the device's limits\n", name);
        return false;
    }
    launch.kernel = kernel;
    launch.name = name;
    launch.args = args;
    lane_count = (int)(block.x * block.y * block.z);
    gridDim = grid;
    blockDim = block;
    failed = false;
    random_state = order * 2654435761u + 1;
    const size_t blocks = (size_t)grid.x * grid.y * grid.z;
    for (size_t b = 0; b < blocks && !failed; b++) {
        const size_t at = order == RN_CUDAHOST_REVERSE ? blocks - 1 - b : b;
        blockIdx.x = (unsigned)(at % grid.x);
        blockIdx.y = (unsigned)(at / grid.x % grid.y);
        blockIdx.z = (unsigned)(at / grid.x / grid.y);
        run_block(block, shared, order);
    }
    return !failed;
}
