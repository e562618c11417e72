/* SPDX-License-Identifier: Apache-2.0
 *
 * Cutting a batch into blocks: the unit of work of a lane.
 */
#include "trainer/trainerstate.h"

/* A small batch is still cut in four, so that several threads have work, unless the blocks would
 * fall below this many tokens. */
#define RN_BLOCK_TOKENS_MIN 64
#define RN_BLOCKS_WANTED 4

uint32_t rn_blocks_tokens_max(const struct rn_trainer *trainer)
{
    const uint32_t liked = trainer->kernels->block_tokens;
    return liked > trainer->max_length ? liked : trainer->max_length;
}

uint32_t rn_blocks_cut(const struct rn_trainer *trainer, const struct rn_example *examples,
                       uint32_t count, uint32_t *out_first)
{
    const uint32_t most = rn_blocks_tokens_max(trainer);
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        total += examples[i].length;
    }
    uint64_t target = total / RN_BLOCKS_WANTED;
    if (target < RN_BLOCK_TOKENS_MIN) {
        target = RN_BLOCK_TOKENS_MIN;
    }
    uint32_t blocks = 0;
    uint64_t tokens = 0;
    uint32_t inside = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || tokens >= target || tokens + examples[i].length > most ||
            inside == RN_BLOCK_SEQUENCES_MAX) {
            out_first[blocks++] = i;
            tokens = 0;
            inside = 0;
        }
        tokens += examples[i].length;
        inside++;
    }
    out_first[blocks] = count;
    return blocks;
}
