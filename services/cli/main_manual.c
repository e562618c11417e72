/* SPDX-License-Identifier: Apache-2.0
 *
 * Build tool, not installed: writes DIR/man1/NAME.1 and the completion scripts of every program.
 * Usage: rondo-manual DIR.
 */
#include "base/file.h"
#include "base/guard.h"
#include "services/bench/benchprogram.h"
#include "services/cli/kit/completion.h"
#include "services/cli/kit/manpage.h"
#include "services/cli/rondo.h"
#include "services/coordinator/coordinatorservice.h"
#include "services/trainer/memberservice.h"

#include <stdio.h>

static const struct rn_program *const programs[] = {&rn_program_rondo, &rn_program_bench,
                                                    &rn_program_coordinator, &rn_program_trainer};

/* Where each shell looks for the script of a command NAME. */
static const struct {
    const char *folder, *prefix, *suffix;
    void (*write)(const struct rn_program *program, struct rn_buffer *out);
} shells[] = {{"bash", "", "", rn_completion_bash},
              {"zsh", "_", "", rn_completion_zsh},
              {"fish", "", ".fish", rn_completion_fish}};

static rn_result write_completion(const struct rn_program *program, size_t shell, const char *root,
                                  struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    char folder[RN_PATH_MAX];
    char path[RN_PATH_MAX];
    char file[64];
    RN_TRY(rn_path_join(folder, root, shells[shell].folder, err));
    RN_TRY(rn_directory_make(folder, 0755, err));
    (void)rn_text_format(file, sizeof file, "%s%s%s", shells[shell].prefix, program->name,
                         shells[shell].suffix);
    RN_TRY(rn_path_join(path, folder, file, err));
    shells[shell].write(program, &text);
    return rn_file_write(path, rn_buffer_view(&text), 0644, err);
}

static rn_result write_all(const char *root, struct rn_error *err)
{
    char manual[RN_PATH_MAX];
    RN_TRY(rn_directory_make(root, 0755, err));
    RN_TRY(rn_path_join(manual, root, "man1", err));
    RN_TRY(rn_directory_make(manual, 0755, err));
    for (size_t i = 0; i < RN_ARRAY_LENGTH(programs); i++) {
        RN_TRY(rn_manual_write(programs[i], manual, err));
        for (size_t shell = 0; shell < RN_ARRAY_LENGTH(shells); shell++) {
            RN_TRY(write_completion(programs[i], shell, root, err));
        }
    }
    return rn_ok();
}

int main(int argc, char **argv)
{
    struct rn_error err = {{0}};
    if (argc != 2) {
        (void)fprintf(stderr, "usage: rondo-manual DIR\n");
        return rn_exit_code((rn_result){RN_E_USAGE});
    }
    const rn_result result = write_all(argv[1], &err);
    if (!rn_is_ok(result)) {
        (void)fprintf(stderr, "rondo-manual: %s\n", err.text);
    }
    return rn_exit_code(result);
}
