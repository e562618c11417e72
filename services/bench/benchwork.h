/* SPDX-License-Identifier: Apache-2.0
 *
 * Rondo's side of a measurement, in a process of its own (`rondo bench train --child ...`), and the
 * lines that it and the peer's script print.
 *
 * Lines, each one JSON object:
 *     {"event": "ready", "detail": "cpu avx512"}                  model and data are loaded
 *     {"event": "step", "pass": 0, "seconds": 0.5}                one measured step, passes from 0
 *     {"event": "note", "text": "..."}                            for the report
 */
#ifndef RN_SERVICES_BENCH_BENCHWORK_H
#define RN_SERVICES_BENCH_BENCHWORK_H

/* argv[0] is "--child"; options as the peer's script takes them. Returns the exit code. */
int rn_bench_work(int argc, char **argv);

#endif
