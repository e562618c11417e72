/* SPDX-License-Identifier: Apache-2.0
 *
 * Products in bfloat16 with float32 sums, by oneDNN: a strip of rows (cpu_strip.h) times a slice of
 * a packed right factor, into float32 scratch of the lane. The caller's pass over the scratch does
 * the rest. Each shape of a slice has one primitive, of as many rows as a strip has: another number
 * of rows is another primitive to the library, which may then add in another order, and with AMX
 * does.
 *
 * Everything runs on the calling thread alone: one lane per thread. Lanes share matrices.
 */
#ifndef RN_TRAINER_KERNELS_CPU_CPU_ONEDNN_H
#define RN_TRAINER_KERNELS_CPU_CPU_ONEDNN_H

#include "base/result.h"
#include "trainer/kernels/cpu/cpu_strip.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_ONEDNN_SLICE 1024 /* most columns of one product */
#define RN_ONEDNN_DEPTH 32   /* depths are padded with zeros to a multiple of this */

struct rn_onednn;        /* the library's engine and the primitives so far: one per device */
struct rn_onednn_matrix; /* a frozen right factor */
struct rn_onednn_lane;   /* scratch and memory objects of one thread */

/* "oneDNN 2.6.3" */
void rn_onednn_version(size_t size, char *out);
/* RN_E_UNSUPPORTED when the library gives no CPU engine. */
RN_MUST rn_result rn_onednn_new(struct rn_onednn **out, struct rn_error *err);
void rn_onednn_free(struct rn_onednn *onednn); /* accepts NULL; after lanes and matrices */

/* Rows of a strip: 64 where the library multiplies with AMX, 16 where it does not, since there
 * sixteen cost next to nothing in speed and least at a block's ragged end. */
size_t rn_onednn_strip(const struct rn_onednn *onednn);
/* Whether the library multiplies bfloat16 with AMX. Settles what it uses. */
bool rn_onednn_has_amx(void);

/* Whether the library, on this machine, gives a row the same bits at every place of a strip and in
 * any company: tried once per process (some ms), on several shapes. Where it does not, or refuses
 * bfloat16, it is not used. Each further shape is tried when its first matrix comes
 * (rn_onednn_matrix_new). */
bool rn_onednn_row_exact(void);

/* For tests alone, before the process' first product: the library multiplies as on a processor
 * without AMX. A bug when it has already settled to use it. */
void rn_onednn_without_amx(void);

/* The right factor with element [i][c] = w[i * step_i + c * step_c], i < depth, c < columns.
 * RN_E_UNSUPPORTED when a row of a product of its shape changes its bits with its place. */
RN_MUST rn_result rn_onednn_matrix_new(struct rn_onednn *onednn, const float *w, size_t depth,
                                       size_t columns, size_t step_i, size_t step_c,
                                       struct rn_onednn_matrix **out, struct rn_error *err);
void rn_onednn_matrix_free(struct rn_onednn_matrix *matrix); /* accepts NULL */
size_t rn_onednn_matrix_bytes(const struct rn_onednn_matrix *matrix);
/* Elements of a row of the left factor: depth padded. */
size_t rn_onednn_depth(const struct rn_onednn_matrix *matrix);
size_t rn_onednn_slices(const struct rn_onednn_matrix *matrix);

/* width: the greatest depth that will come. */
RN_MUST rn_result rn_onednn_lane_new(struct rn_onednn *onednn, size_t width,
                                     struct rn_onednn_lane **out, struct rn_error *err);
size_t rn_onednn_lane_strip(const struct rn_onednn_lane *lane); /* rn_onednn_strip of its owner */
void rn_onednn_lane_free(struct rn_onednn_lane *lane);          /* accepts NULL */
/* [strip][depth padded]: room for rows that must be copied. */
uint16_t *rn_onednn_rows(struct rn_onednn_lane *lane);

/* A strip of rows (without gaps, depth padded) times a slice. The sums hold until the lane's next
 * product. The first call with a shape that came after the lane allocates. */
struct rn_strip_sums rn_onednn_product(struct rn_onednn_lane *lane,
                                       const struct rn_onednn_matrix *matrix, size_t slice,
                                       const uint16_t *rows);

/* Whether rows of random numbers keep their bits when a strip of them is turned around and when
 * every other row is replaced, in this slice. */
bool rn_onednn_rows_keep(struct rn_onednn_lane *lane, const struct rn_onednn_matrix *matrix,
                         size_t slice);

#endif
