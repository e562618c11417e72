/* SPDX-License-Identifier: Apache-2.0
 *
 * Cutting a batch into blocks: the unit of work of a lane. Blocks are runs of examples of nearly
 * equal token counts, so that lanes finish together and a device meets few shapes.
 */
#include "trainer/pass/lanes.h"

/* Where several lanes may work, a batch is cut into a multiple of this many blocks, unless they
 * would fall below so many tokens. */
#define RN_BLOCK_TOKENS_MIN 64
#define RN_BLOCKS_UNIT 4

/* Each block as full as it may be, in order. */
static uint32_t cut_full(const struct rn_example *examples, uint32_t count, uint32_t most,
                         uint32_t *out_first)
{
    uint32_t blocks = 0;
    uint64_t tokens = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || tokens + examples[i].length > most ||
            i - out_first[blocks - 1] == RN_BLOCK_SEQUENCES_MAX) {
            out_first[blocks++] = i;
            tokens = 0;
        }
        tokens += examples[i].length;
    }
    out_first[blocks] = count;
    return blocks;
}

/* At most `wanted` blocks whose bounds are the places in the order nearest to equal shares of the
 * tokens; 0 when one of them is too large. */
static uint32_t cut_even(const struct rn_example *examples, uint32_t count, uint64_t total,
                         uint32_t most, uint32_t wanted, uint32_t *out_first)
{
    uint32_t blocks = 0;
    uint64_t before = 0; /* tokens of examples 0 .. i-1 */
    uint64_t begun = 0;  /* of those, before the present block */
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t bound = blocks * total / wanted; /* where the next block should begin */
        const uint64_t after = before + examples[i].length;
        const bool nearer = after > bound && bound - before < after - bound;
        if (i == 0 || (blocks < wanted && (before >= bound || nearer))) {
            out_first[blocks++] = i;
            begun = before;
        }
        if (after - begun > most || i - out_first[blocks - 1] == RN_BLOCK_SEQUENCES_MAX) {
            return 0;
        }
        before = after;
    }
    out_first[blocks] = count;
    return blocks;
}

uint32_t rn_blocks_cut(const struct rn_lanes *lanes, const struct rn_example *examples,
                       uint32_t count, uint32_t *out_first)
{
    const uint32_t most = lanes->options.tokens;
    if (lanes->options.switches.plain_batches) {
        return cut_full(examples, count, most, out_first);
    }
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        total += examples[i].length;
    }
    const uint32_t unit = lanes->kernels->lanes_max > 1 ? RN_BLOCKS_UNIT : 1;
    uint32_t wanted = (uint32_t)((total + most - 1) / most);
    wanted = (wanted + unit - 1) / unit * unit;
    if (total / wanted < RN_BLOCK_TOKENS_MIN) {
        wanted = (uint32_t)(total / RN_BLOCK_TOKENS_MIN) + 1;
    }
    wanted = wanted < count ? wanted : count;
    uint32_t blocks = 0;
    for (; wanted <= count && blocks == 0; wanted += unit) {
        blocks = cut_even(examples, count, total, most, wanted, out_first);
    }
    return blocks != 0 ? blocks : cut_full(examples, count, most, out_first);
}
