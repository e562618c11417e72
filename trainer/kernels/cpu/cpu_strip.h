/* SPDX-License-Identifier: Apache-2.0
 *
 * What a product of bfloat16 rows hands to the pass that finishes it: float32 sums of some columns
 * for some rows, in scratch of the lane that stays in the core's own cache.
 *
 * Products go strip by strip: a strip is a fixed number of rows, the same from the first product of
 * a process to the last, and always full. Where rows run out, rows that nobody reads fill it. So a
 * row's bits depend neither on how many rows there are nor on its place, if they do not depend on
 * its place and company inside one strip.
 */
#ifndef RN_TRAINER_KERNELS_CPU_CPU_STRIP_H
#define RN_TRAINER_KERNELS_CPU_CPU_STRIP_H

#include <stddef.h>

#define RN_STRIP_MAX 64 /* rows of a strip, at most */

/* Columns first .. first+count-1 of the product; row i of the strip at sums + i * ld. */
struct rn_strip_sums {
    size_t first, count, ld;
    const float *sums;
};

#endif
