/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo-bench secagg-child: one side of one row, measured in a process of its own.
 */
#include "base/guard.h"
#include "crypto/setup.h"
#include "services/bench/benchprogram.h"
#include "services/bench/secaggcell.h"

#include <stdio.h>
#include <string.h>

struct child_settings {
    const char *side, *kernel;
    uint64_t members, neighbours, lost, elements, threads;
};

static rn_result client(const struct rn_secagg_cell *cell, struct rn_error *err)
{
    struct rn_secagg_client figures;
    RN_TRY(rn_secagg_client_measure(cell, &figures, err));
    printf("{\"seconds\": %.9f, \"mask_rate\": %.6e, \"cipher_rate\": %.6e, "
           "\"upload_bytes\": %llu, \"packed_bytes\": %llu}\n",
           figures.seconds, figures.mask_rate, figures.cipher_rate,
           (unsigned long long)figures.upload_bytes, (unsigned long long)figures.packed_bytes);
    return rn_ok();
}

static rn_result server(const struct rn_secagg_cell *cell, struct rn_error *err)
{
    struct rn_secagg_server figures;
    RN_TRY(rn_secagg_server_measure(cell, &figures, err));
    printf("{\"unmask\": %.9f, \"replay\": %.9f, \"combine\": %.9f, \"cipher_rate\": %.6e, "
           "\"stream_bytes\": %llu}\n",
           figures.unmask_seconds, figures.replay_seconds, figures.combine_seconds,
           figures.cipher_rate, (unsigned long long)figures.stream_bytes);
    return rn_ok();
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    const struct child_settings *s = command->settings;
    const struct rn_secagg_cell cell = {.members = (uint32_t)s->members,
                                        .neighbours = (uint32_t)s->neighbours,
                                        .lost = (uint32_t)s->lost,
                                        .elements = s->elements,
                                        .threads = (uint32_t)s->threads,
                                        .kernel = strcmp(s->kernel, "vaes") == 0 ? RN_MASK_VAES
                                                                                 : RN_MASK_EVP};
    RN_ENSURE(cell.lost < cell.members && cell.neighbours < cell.members, err, RN_E_USAGE,
              "lost and neighbours must be fewer than the members");
    RN_ENSURE(rn_mask_kernel_here(cell.kernel), err, RN_E_UNSUPPORTED,
              "this processor or build has no AVX2 with VAES");
    RN_TRY(rn_crypto_setup(err));
    return strcmp(s->side, "client") == 0 ? client(&cell, err) : server(&cell, err);
}

static const struct rn_option options[] = {
    {"side", RN_OPT_CHOICE(struct child_settings, side, "client|server"), .required = true,
     .help = "who"},
    {"kernel", RN_OPT_CHOICE(struct child_settings, kernel, "evp|vaes"), .required = true,
     .help = "what makes masks"},
    {"members", RN_OPT_COUNT(struct child_settings, members, "N"), .required = true, .least = 3,
     .most = RN_SECAGG_COHORT_MAX, .help = "members"},
    {"neighbours", RN_OPT_COUNT(struct child_settings, neighbours, "N"), .required = true,
     .least = 2, .most = RN_SECAGG_COHORT_MAX, .help = "of each member"},
    {"lost", RN_OPT_COUNT(struct child_settings, lost, "N"), .most = RN_SECAGG_COHORT_MAX,
     .help = "members"},
    {"elements", RN_OPT_COUNT(struct child_settings, elements, "N"), .required = true, .least = 1,
     .most = 1u << 28, .help = "of the vector"},
    {"threads", RN_OPT_COUNT(struct child_settings, threads, "N"), .fallback = "1", .least = 1,
     .most = RN_SECAGG_THREADS_MAX, .help = "threads"},
    {NULL}};

static const struct rn_option_group groups[] = {{"Measurement", options, 0}, {NULL}};

const struct rn_command_def rn_bench_secagg_child = {
    .name = "secagg-child",
    .summary = "one measurement, for secagg",
    .groups = groups,
    .settings_size = sizeof(struct child_settings),
    .formats = "text",
    .exits = RN_EXITS(69, 71, 81, 82),
    .hidden = true,
    .run = run,
};
