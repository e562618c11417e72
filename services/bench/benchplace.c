/* SPDX-License-Identifier: Apache-2.0
 *
 * Temporary directory, free space, models.
 */
#include "services/bench/benchplace.h"

#include "base/guard.h"
#include "services/bench/benchchild.h"
#include "services/cli/kit/progress.h"
#include "services/cli/kit/stopflag.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SPARE_BYTES ((uint64_t)64 << 20) /* texts, scripts, compiled kernels */
#define MODEL_FILES 3

rn_result rn_bench_place_open(const char *kept_models, struct rn_bench_place *out,
                              struct rn_error *err)
{
    const char *base = getenv("TMPDIR");
    struct rn_bench_place place = {.kept = kept_models};
    base = base != NULL && base[0] != '\0' ? base : "/tmp";
    RN_TRY(rn_path_join(place.dir, base, "rondo-bench-XXXXXX", err));
    if (mkdtemp(place.dir) == NULL) {
        return rn_fail(err, RN_E_IO, "%s: cannot make a directory: %s; set TMPDIR", base,
                       strerror(errno));
    }
    *out = place;
    return rn_ok();
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    (void)remove(path);
    return 0;
}

void rn_bench_place_close(struct rn_bench_place *place)
{
    if (place->dir[0] != '\0') {
        (void)nftw(place->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        place->dir[0] = '\0';
    }
}

static rn_result check_space(const char *dir, const struct rn_bench_shape *shape, uint64_t bytes,
                             struct rn_error *err)
{
    struct statvfs disk;
    RN_ENSURE(statvfs(dir, &disk) == 0, err, RN_E_IO, "%s: %s", dir, strerror(errno));
    const uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize;
    RN_ENSURE(left >= bytes + SPARE_BYTES, err, RN_E_IO,
              "%s has %.1f GB left, the %s model takes %.1f GB: set TMPDIR or --keep-model to a "
              "larger disk, or take a smaller --shape",
              dir, (double)left * 1e-9, shape->name, (double)(bytes + SPARE_BYTES) * 1e-9);
    return rn_ok();
}

struct writing {
    struct rn_progress progress;
};

static bool show_writing(void *context, uint64_t done, uint64_t total)
{
    struct writing *writing = context;
    writing->progress.total = total >> 20;
    if (done == total || done >> 20 < total >> 20) { /* the whole is shown once */
        rn_progress_show(&writing->progress, done >> 20, "MiB");
    }
    return !rn_stopped();
}

/* A model that was not finished must not stay in a directory that the user keeps. */
static void remove_model(const char *dir)
{
    static const char *const names[MODEL_FILES] = {"model.safetensors", "tokenizer.json",
                                                   "config.json"};
    char path[RN_PATH_MAX];
    for (size_t i = 0; i < MODEL_FILES; i++) {
        if (rn_is_ok(rn_path_join(path, dir, names[i], NULL))) {
            (void)unlink(path);
        }
    }
    (void)rmdir(dir);
}

rn_result rn_bench_place_model(const struct rn_bench_place *place,
                               const struct rn_bench_shape *shape, bool quiet,
                               char out[static RN_PATH_MAX], struct rn_error *err)
{
    const struct rn_random_model model = rn_bench_model(shape);
    struct writing writing;
    RN_TRY(rn_path_join(out, place->kept != NULL ? place->kept : place->dir, shape->name, err));
    if (rn_random_model_matches(&model, out)) {
        return rn_ok();
    }
    RN_TRY(rn_directory_make(out, 0755, err));
    RN_TRY(check_space(out, shape, rn_random_model_bytes(&model), err));
    rn_progress_init(&writing.progress, "model", 0, quiet);
    const rn_result result = rn_random_model_write(&model, out, show_writing, &writing, err);
    rn_progress_done(&writing.progress);
    if (!rn_is_ok(result)) {
        remove_model(out);
    }
    return result;
}
