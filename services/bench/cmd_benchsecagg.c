/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo-bench secagg: what secure aggregation costs a member and the coordinator, for cohorts and
 * vectors of many sizes, beside AES-256-CTR of OpenSSL and, on request, beside Flower.
 */
#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/bench/benchchild.h"
#include "services/bench/benchplace.h"
#include "services/bench/benchprogram.h"
#include "services/bench/secaggcell.h"
#include "services/bench/secaggreport.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/kit/progress.h"
#include "services/cli/kit/stopflag.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SELF "/proc/self/exe"
#define LIMIT_MS 7200000u
#define ALONE 100000000u /* elements from which on only the member's side is measured */

extern const char rn_secagg_peer_text[];

struct secagg_settings {
    const char *python, *kernel;
    uint64_t threads;
    bool quick;
};

/* ---- What is measured ---- */

static const uint32_t cohorts[] = {3, 10, 50, 100, 1000};
static const uint64_t lengths[] = {100000, 1000000, 10000000, ALONE};
static const struct quick_row {
    uint32_t members, lost;
    uint64_t elements;
} quick_rows[] = {{3, 0, 100000}, {10, 0, 100000}, {10, 1, 1000000}, {1000, 100, 100000}};

static void add_row(struct rn_secagg_report *report, uint32_t members, uint32_t lost,
                    uint64_t elements)
{
    RN_BUG_IF(report->row_count == RN_SECAGG_ROWS_MAX);
    struct rn_sa_graph_sizes sizes;
    rn_secagg_sizes(members, &sizes);
    report->rows[report->row_count++] = (struct rn_secagg_row){
        .members = members, .lost = lost, .elements = elements, .neighbours = sizes.degree};
}

static void plan_rows(struct rn_secagg_report *report, bool quick)
{
    for (size_t i = 0; quick && i < RN_ARRAY_LENGTH(quick_rows); i++) {
        add_row(report, quick_rows[i].members, quick_rows[i].lost, quick_rows[i].elements);
    }
    for (size_t i = 0; !quick && i < RN_ARRAY_LENGTH(cohorts); i++) {
        for (size_t k = 0; k < RN_ARRAY_LENGTH(lengths); k++) {
            const uint32_t lost = cohorts[i] / 10; /* 3 members survive no loss */
            add_row(report, cohorts[i], 0, lengths[k]);
            if (lost > 0 && lengths[k] < ALONE) {
                add_row(report, cohorts[i], lost, lengths[k]);
            }
        }
    }
}

/* ---- Each side in a process of its own, for its peak memory ---- */

static void read_figures(void *context, const char *line)
{
    json_t **out = context;
    json_t *root = json_loads(line, 0, NULL);
    if (root != NULL) {
        json_decref(*out);
        *out = root;
    }
}

static double figure_of(const json_t *root, const char *name)
{
    return json_number_value(json_object_get(root, name));
}

struct run {
    const struct secagg_settings *s;
    const struct rn_bench_place *place;
    const char *kernel;
};

static rn_result measure_side(const struct run *run, const struct rn_secagg_row *row,
                              const char *side, struct rn_bench_use *use, json_t **out,
                              struct rn_error *err)
{
    char errors[RN_PATH_MAX];
    char text[5][24];
    RN_TRY(rn_path_join(errors, run->place->dir, "errors", err));
    (void)rn_text_format(text[0], sizeof(text[0]), "%u", row->members);
    (void)rn_text_format(text[1], sizeof(text[1]), "%u", row->neighbours);
    (void)rn_text_format(text[2], sizeof(text[2]), "%u", row->lost);
    (void)rn_text_format(text[3], sizeof(text[3]), "%llu", (unsigned long long)row->elements);
    (void)rn_text_format(text[4], sizeof(text[4]), "%llu", (unsigned long long)run->s->threads);
    const char *const argv[] = {
        SELF,           "secagg-child", "--side",   side,        "--members",  text[0],
        "--neighbours", text[1],        "--lost",   text[2],     "--elements", text[3],
        "--threads",    text[4],        "--kernel", run->kernel, NULL};
    *out = NULL;
    RN_TRY(rn_bench_child_run(argv, errors, LIMIT_MS, read_figures, out, use, err));
    RN_ENSURE(*out != NULL, err, RN_E_INCOMPLETE, "the measuring process printed nothing");
    return rn_ok();
}

static rn_result measure_client(const struct run *run, struct rn_secagg_row *row,
                                struct rn_error *err)
{
    struct rn_bench_use use;
    json_t *figures = NULL;
    RN_TRY(measure_side(run, row, "client", &use, &figures, err));
    row->client_s = figure_of(figures, "seconds");
    row->mask_to_aes = figure_of(figures, "mask_rate") / figure_of(figures, "cipher_rate");
    row->mask_rate = figure_of(figures, "mask_rate");
    row->upload_bytes = (uint64_t)figure_of(figures, "upload_bytes");
    row->wire = figure_of(figures, "upload_bytes") / figure_of(figures, "packed_bytes");
    row->client_peak = use.peak_bytes;
    row->peak = use.peak_bytes;
    json_decref(figures);
    return rn_ok();
}

static rn_result measure_server(const struct run *run, struct rn_secagg_row *row,
                                struct rn_error *err)
{
    struct rn_bench_use use;
    json_t *figures = NULL;
    RN_TRY(measure_side(run, row, "server", &use, &figures, err));
    const double once = figure_of(figures, "stream_bytes") / figure_of(figures, "cipher_rate");
    row->server_s = figure_of(figures, "unmask");
    row->replay_s = figure_of(figures, "replay");
    row->combine_s = figure_of(figures, "combine");
    row->server_to_stream = row->server_s / once;
    row->replay_to_stream = row->replay_s / once;
    row->peak = use.peak_bytes > row->peak ? use.peak_bytes : row->peak;
    json_decref(figures);
    return rn_ok();
}

static rn_result measure_rows(const struct run *run, struct rn_secagg_report *report, bool quiet,
                              struct rn_error *err)
{
    struct rn_progress progress;
    rn_result result = rn_ok();
    rn_progress_init(&progress, "secagg", report->row_count, quiet);
    for (size_t i = 0; i < report->row_count && rn_is_ok(result); i++) {
        struct rn_secagg_row *row = &report->rows[i];
        char note[64];
        (void)rn_text_format(note, sizeof(note), "%u members, %llu elements, %u lost", row->members,
                             (unsigned long long)row->elements, row->lost);
        rn_progress_show(&progress, i, note);
        result = measure_client(run, row, err);
        if (rn_is_ok(result) && row->elements < ALONE) {
            result = measure_server(run, row, err);
        }
    }
    rn_progress_done(&progress);
    return result;
}

/* The client of the row with most neighbours once more, with OpenSSL alone. */
static rn_result measure_evp(const struct run *run, struct rn_secagg_report *report,
                             struct rn_error *err)
{
    const struct run evp = {run->s, run->place, rn_mask_kernel_name(RN_MASK_EVP)};
    struct rn_secagg_row row = *rn_secagg_report_widest(report);
    RN_TRY(measure_client(&evp, &row, err));
    report->mask_to_aes_evp = row.mask_to_aes;
    return rn_ok();
}

/* ---- Flower ---- */

static rn_result measure_flower(const struct run *run, uint32_t members, uint32_t lost,
                                struct rn_secagg_report *report, struct rn_error *err)
{
    char script[RN_PATH_MAX];
    char errors[RN_PATH_MAX];
    char text[2][24];
    struct rn_bench_use use;
    struct rn_secagg_row row = {.members = members,
                                .lost = lost,
                                .elements = RN_SECAGG_FLOWER_ELEMENTS,
                                .neighbours = members - 1};
    struct rn_secagg_flower *flower = &report->flower[report->flower_count];
    json_t *figures = NULL;
    RN_TRY(rn_path_join(script, run->place->dir, "secagg_peer.py", err));
    RN_TRY(rn_path_join(errors, run->place->dir, "errors", err));
    RN_TRY(rn_file_write(script, rn_view_text(rn_secagg_peer_text), 0644, err));
    (void)rn_text_format(text[0], sizeof(text[0]), "%u", members);
    (void)rn_text_format(text[1], sizeof(text[1]), "%u", lost);
    const char *const argv[] = {run->s->python, script,   "--members", text[0], "--elements",
                                "1000000",      "--lost", text[1],     NULL};
    RN_TRY(rn_bench_child_run(argv, errors, LIMIT_MS, read_figures, &figures, &use, err));
    rn_result own = measure_client(run, &row, err);
    own = rn_is_ok(own) ? measure_server(run, &row, err) : own;
    const char *version = json_string_value(json_object_get(figures, "flwr"));
    *flower = (struct rn_secagg_flower){.members = members,
                                        .lost = lost,
                                        .client_s = figure_of(figures, "client"),
                                        .server_s = figure_of(figures, "server") +
                                                    figure_of(figures, "combining"),
                                        .own_client_s = row.client_s,
                                        .own_server_s = row.server_s + row.combine_s};
    (void)rn_text_format(report->flower_version, sizeof(report->flower_version), "%.20s",
                         version != NULL ? version : "?");
    json_decref(figures);
    RN_TRY(own);
    RN_ENSURE(flower->client_s > 0.0 && flower->server_s > 0.0, err, RN_E_INCOMPLETE,
              "%s measured nothing with Flower", run->s->python);
    report->flower_count++;
    return rn_ok();
}

static rn_result measure(const struct run *run, struct rn_secagg_report *report, bool quiet,
                         struct rn_error *err)
{
    if (run->s->python != NULL) { /* first: a Python without flwr is told at once */
        RN_TRY(measure_flower(run, 10, 1, report, err));
        RN_TRY(measure_flower(run, 50, 5, report, err));
    }
    RN_TRY(measure_rows(run, report, quiet, err));
    return measure_evp(run, report, err);
}

static uint64_t cores(void)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1                             ? 1
           : online < (long)RN_SECAGG_THREADS_MAX ? (uint64_t)online
                                                  : RN_SECAGG_THREADS_MAX;
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    struct secagg_settings *s = command->settings;
    RN_CLEANUP(rn_bench_place_close) struct rn_bench_place place = {.kept = NULL};
    struct rn_secagg_report *RN_CLEANUP(rn_free_cleanup) report = rn_alloc(1, sizeof(*report));
    const bool evp = strcmp(s->kernel, "evp") == 0 || !rn_mask_kernel_here(RN_MASK_VAES);
    RN_ENSURE(strcmp(s->kernel, "vaes") != 0 || !evp, err, RN_E_UNSUPPORTED,
              "this processor or build has no AVX2 with VAES");
    report->kernel = rn_mask_kernel_name(evp ? RN_MASK_EVP : RN_MASK_VAES);
    s->threads = s->threads == 0 ? cores() : s->threads;
    report->threads = (uint32_t)s->threads;
    plan_rows(report, s->quick);
    rn_stop_catch();
    RN_TRY(rn_bench_place_open(NULL, &place, err));
    const struct run one = {s, &place, report->kernel};
    RN_TRY(measure(&one, report, command->quiet, err));
    if (command->json) {
        return rn_json_print(rn_secagg_report_json(report), err);
    }
    rn_secagg_report_print(report);
    return rn_ok();
}

static const struct rn_option options[] = {
    {"quick", RN_OPT_FLAG(struct secagg_settings, quick),
     .help = "four rows, seconds instead of minutes"},
    {"python", RN_OPT_FILE(struct secagg_settings, python),
     .help = "Python with flwr: also measure Flower's SecAgg+"},
    {"threads", RN_OPT_COUNT(struct secagg_settings, threads, "N"), .fallback = "1",
     RN_BOUNDS_THREADS,
     .help = "of Rondo, 0: one per core; the cipher that it is compared with has one"},
    {"kernel", RN_OPT_CHOICE(struct secagg_settings, kernel, "best|evp|vaes"), .fallback = "best",
     .help = "what makes masks: OpenSSL, AES instructions fused with the addition, or the faster"},
    {NULL}};

static const struct rn_option_group groups[] = {{"Measurement", options, 0}, {NULL}};

static const char detail[] =
    "The arithmetic of one session with the functions that members and coordinator call, 16 bits\n"
    "a value, no network, no signatures, no sharing of secrets:\n"
    "  client   keys of the masks, quantise, mask, pack, chunk by chunk\n"
    "  unmask   keys; the self masks of the survivors and the pair masks between lost members and\n"
    "           survivors off the sum; reduction and range check\n"
    "  replay   what a member does to check the sum: a packed vector per survivor added up, then\n"
    "           the same masks off; it must give the sum back, or the command fails\n"
    "  upload   bytes of the Chunk and Done messages of one member\n"
    "  peak     greatest resident memory of the processes of the row (a client holds its adapter)\n"
    "Times are processor time with one thread, wall time with more; of vectors up to 10^6 "
    "elements\n"
    "in cohorts up to 128 members the best of five.\n"
    "Up to 128 members all share masks with all. Of more members\n"
    "the same functions are measured on a ring in which each shares masks with as many others as\n"
    "a plan's with a tenth corrupt and a tenth lost (140 of 1000). 10^8\n"
    "elements are measured for the client alone.\n"
    "\n"
    "mask_to_aes compares the bytes a second of masking with AES-256-CTR through OpenSSL in\n"
    "blocks of 16 KiB, as `openssl speed -evp aes-256-ctr` measures it, in the same process;\n"
    "mask_to_aes_evp is the same with --kernel evp. server_to_stream and replay_to_stream compare\n"
    "with making the same key stream once in that way (1000 members, 10^6 elements, 100 lost; "
    "with\n"
    "--quick 100,000). Flower's ratios are\n"
    "the smaller of 10 members with one lost and 50 with five, 10^6 elements: its time for "
    "masking\n"
    "a vector, and for its unmask stage, divided by Rondo's (unmask, and combining the shares).";

static const char examples[] = "  rondo-bench secagg --quick\n"
                               "  rondo-bench secagg --format json | tail -n 1\n"
                               "  rondo-bench secagg --quick --python ~/venv/bin/python";

const struct rn_command_def rn_bench_secagg = {
    .name = "secagg",
    .summary = "measure masking, unmasking and replay, beside AES and Flower",
    .groups = groups,
    .settings_size = sizeof(struct secagg_settings),
    .exits = RN_EXITS(69, 71, 81, 82),
    .detail = detail,
    .examples = examples,
    .run = run,
};
