/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a benchmark keeps its files: a directory of its own under $TMPDIR, removed at the end, and
 * the models of the shapes, there or in a directory that the user keeps.
 */
#ifndef RN_SERVICES_BENCH_BENCHPLACE_H
#define RN_SERVICES_BENCH_BENCHPLACE_H

#include "base/file.h"
#include "services/bench/benchsetting.h"

struct rn_bench_place {
    char dir[RN_PATH_MAX]; /* "" when there is none */
    const char *kept;      /* models stand in its folders "large", ...; NULL: in dir */
};

/* Makes the directory. */
RN_MUST rn_result rn_bench_place_open(const char *kept_models, struct rn_bench_place *out,
                                      struct rn_error *err);
/* Removes the directory with everything in it; kept models stay. */
void rn_bench_place_close(struct rn_bench_place *place);

/* The directory with the shape's model, written if it is not there yet (with progress unless
 * quiet). RN_E_IO when the disk has not the room, saying what to do. */
RN_MUST rn_result rn_bench_place_model(const struct rn_bench_place *place,
                                       const struct rn_bench_shape *shape, bool quiet,
                                       char out[static RN_PATH_MAX], struct rn_error *err);

#endif
