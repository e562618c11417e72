/* SPDX-License-Identifier: Apache-2.0 */
#include "services/bench/secaggreport.h"

#include "base/guard.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

#define MIB (1.0 / (1 << 20))
#define GIGA 1e-9
#define COMPARED_ELEMENTS 1000000u /* wire and widest look at vectors of this length */

/* What the ratios of a whole run should be. */
#define GOAL_MASK_EVP 0.8
#define GOAL_MASK_FUSED 1.0
#define GOAL_SERVER 3.0
#define GOAL_REPLAY 1.5
#define GOAL_WIRE 1.02
#define GOAL_FLOWER_CLIENT 8.0
#define GOAL_FLOWER_SERVER 50.0

struct ratios {
    double mask_to_aes, mask_to_aes_evp, server_to_stream, replay_to_stream, wire_overhead;
    double flower_client, flower_server;
};

static bool wider(const struct rn_secagg_row *row, const struct rn_secagg_row *than)
{
    if (row->neighbours != than->neighbours) {
        return row->neighbours > than->neighbours;
    }
    return row->elements <= COMPARED_ELEMENTS && row->elements >= than->elements;
}

const struct rn_secagg_row *rn_secagg_report_widest(const struct rn_secagg_report *report)
{
    const struct rn_secagg_row *widest = &report->rows[0];
    for (size_t i = 1; i < report->row_count; i++) {
        if (report->rows[i].elements <= COMPARED_ELEMENTS && wider(&report->rows[i], widest)) {
            widest = &report->rows[i];
        }
    }
    return widest;
}

static struct ratios ratios_of(const struct rn_secagg_report *report)
{
    const struct rn_secagg_row *widest = rn_secagg_report_widest(report);
    struct ratios r = {.mask_to_aes = widest->mask_to_aes,
                       .mask_to_aes_evp = report->mask_to_aes_evp,
                       .server_to_stream = widest->server_to_stream,
                       .replay_to_stream = widest->replay_to_stream};
    for (size_t i = 0; i < report->row_count; i++) {
        const struct rn_secagg_row *row = &report->rows[i];
        if (row->elements >= COMPARED_ELEMENTS) {
            r.wire_overhead = fmax(r.wire_overhead, row->wire);
        }
    }
    for (size_t i = 0; i < report->flower_count; i++) {
        const struct rn_secagg_flower *f = &report->flower[i];
        const double client = f->client_s / f->own_client_s;
        const double server = f->server_s / f->own_server_s;
        r.flower_client = i == 0 ? client : fmin(r.flower_client, client);
        r.flower_server = i == 0 ? server : fmin(r.flower_server, server);
    }
    return r;
}

static json_t *measured(double value)
{
    return value > 0.0 ? json_real(value) : json_null();
}

static json_t *row_json(const struct rn_secagg_row *row)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:f, s:f, s:I}", "members",
                     (json_int_t)row->members, "elements", (json_int_t)row->elements, "lost",
                     (json_int_t)row->lost, "neighbours", (json_int_t)row->neighbours,
                     "client_mask_s", measured(row->client_s), "server_unmask_s",
                     measured(row->server_s), "replay_s", measured(row->replay_s), "combine_s",
                     measured(row->combine_s), "peak_mib", (double)row->peak * MIB,
                     "client_peak_mib", (double)row->client_peak * MIB, "bytes_per_member",
                     (json_int_t)row->upload_bytes);
}

static json_t *flower_json(const struct rn_secagg_report *report)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < report->flower_count; i++) {
        const struct rn_secagg_flower *f = &report->flower[i];
        (void)json_array_append_new(
            rows, json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f}", "flwr",
                            report->flower_version, "members", (json_int_t)f->members, "lost",
                            (json_int_t)f->lost, "elements", (json_int_t)RN_SECAGG_FLOWER_ELEMENTS,
                            "client_s", f->client_s, "server_s", f->server_s, "rondo_client_s",
                            f->own_client_s, "rondo_server_s", f->own_server_s));
    }
    return rows;
}

struct json_t *rn_secagg_report_json(const struct rn_secagg_report *report)
{
    const struct ratios r = ratios_of(report);
    json_t *rows = json_array();
    for (size_t i = 0; i < report->row_count; i++) {
        (void)json_array_append_new(rows, row_json(&report->rows[i]));
    }
    json_t *ratios =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "mask_to_aes", measured(r.mask_to_aes),
                  "mask_to_aes_evp", measured(r.mask_to_aes_evp), "server_to_stream",
                  measured(r.server_to_stream), "replay_to_stream", measured(r.replay_to_stream),
                  "wire_overhead", measured(r.wire_overhead), "flower_client",
                  measured(r.flower_client), "flower_server", measured(r.flower_server));
    return json_pack("{s:s, s:I, s:o, s:o, s:o}", "kernel", report->kernel, "threads",
                     (json_int_t)report->threads, "rows", rows, "ratios", ratios, "flower",
                     flower_json(report));
}

static void print_seconds(double seconds)
{
    if (seconds > 0.0) {
        printf(" %10.4f", seconds);
    } else {
        printf(" %10s", "-");
    }
}

static void print_ratio(const char *name, double value, double goal, bool at_most)
{
    if (value > 0.0) {
        const bool met = at_most ? value <= goal : value >= goal;
        printf("  %-18s %8.3f   at %s %g: %s\n", name, value, at_most ? "most" : "least", goal,
               met ? "met" : "not met");
    } else {
        printf("  %-18s %8s\n", name, "-");
    }
}

void rn_secagg_report_print(const struct rn_secagg_report *report)
{
    const struct ratios r = ratios_of(report);
    const double mask_goal = report->kernel[0] == 'e' ? GOAL_MASK_EVP : GOAL_MASK_FUSED;
    printf("masks by %s, threads %u\n", report->kernel, report->threads);
    printf("%8s %10s %5s %10s %10s %10s %10s %10s %12s\n", "members", "elements", "lost",
           "client s", "unmask s", "replay s", "mask GB/s", "peak MiB", "upload bytes");
    for (size_t i = 0; i < report->row_count; i++) {
        const struct rn_secagg_row *row = &report->rows[i];
        printf("%8u %10llu %5u", row->members, (unsigned long long)row->elements, row->lost);
        print_seconds(row->client_s);
        print_seconds(row->server_s);
        print_seconds(row->replay_s);
        printf(" %10.2f %10.1f %12llu\n", row->mask_rate * GIGA, (double)row->peak * MIB,
               (unsigned long long)row->upload_bytes);
    }
    for (size_t i = 0; i < report->flower_count; i++) {
        const struct rn_secagg_flower *f = &report->flower[i];
        printf("Flower %s, %u members, %u lost: client %.3f s (Rondo %.4f), server %.3f s "
               "(Rondo %.4f)\n",
               report->flower_version, f->members, f->lost, f->client_s, f->own_client_s,
               f->server_s, f->own_server_s);
    }
    printf("ratios\n");
    print_ratio("mask_to_aes", r.mask_to_aes, mask_goal, false);
    print_ratio("mask_to_aes_evp", r.mask_to_aes_evp, GOAL_MASK_EVP, false);
    print_ratio("server_to_stream", r.server_to_stream, GOAL_SERVER, true);
    print_ratio("replay_to_stream", r.replay_to_stream, GOAL_REPLAY, true);
    print_ratio("wire_overhead", r.wire_overhead, GOAL_WIRE, true);
    print_ratio("flower_client", r.flower_client, GOAL_FLOWER_CLIENT, false);
    print_ratio("flower_server", r.flower_server, GOAL_FLOWER_SERVER, false);
}
