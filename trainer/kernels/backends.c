/* SPDX-License-Identifier: Apache-2.0
 *
 * Choice of a backend: the one file here that knows them all.
 */
#include "trainer/kernels/kernels.h"

#include "base/file.h"
#include "base/guard.h"

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

static const char *named_library;

void rn_kernels_cuda_library(const char *path)
{
    named_library = path;
}

/* The library's path: named by the program, beside the program, or left to the loader. */
static const char *library_path(char buffer[static RN_PATH_MAX])
{
    static const char name[] = "librondo-cuda.so";
    if (named_library != NULL) {
        return named_library;
    }
    char program[RN_PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (length <= 0) {
        return name;
    }
    program[length] = '\0';
    char *slash = strrchr(program, '/');
    if (slash == NULL) {
        return name;
    }
    *slash = '\0';
    const bool there =
        rn_is_ok(rn_path_join(buffer, program, name, NULL)) && rn_file_exists(buffer);
    return there ? buffer : name;
}

rn_result rn_kernels_cuda(const struct rn_kernels **out, struct rn_error *err)
{
    char buffer[RN_PATH_MAX];
    const char *path = library_path(buffer);
    /* Kept open for the life of the process: the table points into it. */
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    RN_ENSURE(library != NULL, err, RN_E_UNSUPPORTED,
              "backend cuda: %s cannot be opened; build it, and put it beside the program", path);
    const struct rn_kernels *(*table)(void) = NULL;
    void *symbol = dlsym(library, "rn_kernels_cuda_table");
    memcpy(&table, &symbol, sizeof(table));
    RN_ENSURE(table != NULL, err, RN_E_UNSUPPORTED, "backend cuda: %s is not Rondo's library",
              path);
    const struct rn_kernels *kernels = table();
    RN_ENSURE(kernels != NULL, err, RN_E_UNSUPPORTED, "backend cuda: no device answers");
    RN_ENSURE(kernels->version == RN_KERNELS_VERSION, err, RN_E_UNSUPPORTED,
              "backend cuda: %s is of version %u, this program wants %u", path, kernels->version,
              RN_KERNELS_VERSION);
    *out = kernels;
    return rn_ok();
}

static bool has_choice(const struct rn_kernels *kernels)
{
    return strncmp(kernels->name, "cpu-bf16", 8) == 0;
}

rn_result rn_kernels_find_by(const char *name, const char *products, const struct rn_kernels **out,
                             struct rn_error *err)
{
    RN_TRY(rn_kernels_find(name, out, err));
    if (products == NULL || strcmp(products, "auto") == 0) {
        return rn_ok();
    }
    RN_ENSURE(has_choice(*out), err, RN_E_USAGE, "backend %s has no choice of kernels, only auto",
              (*out)->name);
    return rn_kernels_cpu_bf16_named(products, (*out)->residual == RN_F32, out, err);
}

void rn_kernels_measured(const struct rn_kernels *kernels, char out[RN_KERNELS_MEASURED_MAX])
{
    out[0] = '\0';
    if (has_choice(kernels)) {
        rn_kernels_cpu_measured(out);
    }
}

rn_result rn_kernels_find(const char *name, const struct rn_kernels **out, struct rn_error *err)
{
    if (name == NULL || strcmp(name, "cpu") == 0) {
        *out = rn_kernels_cpu();
        return rn_ok();
    }
    if (strcmp(name, "cpu-openblas") == 0) {
        *out = rn_kernels_cpu_openblas();
        return rn_ok();
    }
    if (strcmp(name, "cpu-bf16") == 0 || strcmp(name, "cpu-bf16-residual-f32") == 0) {
        *out = rn_kernels_cpu_bf16(strcmp(name, "cpu-bf16") != 0);
        return rn_ok();
    }
    if (strcmp(name, "ref") == 0) {
        *out = rn_kernels_ref();
        return rn_ok();
    }
    if (strcmp(name, "cuda") == 0) {
        return rn_kernels_cuda(out, err);
    }
    return rn_fail(err, RN_E_USAGE,
                   "backend %s is unknown: cpu, cpu-bf16, cpu-bf16-residual-f32, ref or cuda",
                   name);
}
