/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo bench: hands over to rondo-bench, which is a program of its own, so that what measures does
 * not ride in what runs beside the data.
 */
#include "base/guard.h"
#include "services/cli/kit/child.h"
#include "services/cli/rondo.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "rondo-bench"

/* In place of this process; comes back when there is no such program. */
static rn_result run(struct rn_command *command, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(rn_program_beside(PROGRAM, path, err));
    (void)execv(path, command->argv);
    if (errno == ENOENT) {
        (void)execvp(PROGRAM, command->argv);
    }
    return rn_fail(err, RN_E_UNSUPPORTED,
                   "rondo-bench cannot be started (%s); it is a program of its own: build it with "
                   "`cmake --build build/release --target rondo-bench`, or put it into PATH",
                   strerror(errno));
}

const struct rn_command_def rn_cmd_bench = {
    .name = "bench",
    .summary = "measure this machine with rondo-bench, where that is installed",
    .formats = "text",
    .raw = true,
    .exits = RN_EXITS(69, 71),
    .detail = "All words are handed to rondo-bench, found beside rondo or in PATH; `rondo bench "
              "--help` and `rondo bench train --help` are its own.",
    .examples = "  rondo bench train --shape base --quick\n  rondo bench gemm",
    .run = run,
};
