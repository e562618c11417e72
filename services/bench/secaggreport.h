/* SPDX-License-Identifier: Apache-2.0
 *
 * What `rondo-bench secagg` found, as JSON and as a table.
 */
#ifndef RN_SERVICES_BENCH_SECAGGREPORT_H
#define RN_SERVICES_BENCH_SECAGGREPORT_H

#include <stddef.h>
#include <stdint.h>

#define RN_SECAGG_ROWS_MAX 40
#define RN_SECAGG_FLOWER_MAX 2
#define RN_SECAGG_FLOWER_ELEMENTS 1000000u

struct json_t;

/* Seconds; 0: not measured. Ratios belong to this row alone. */
struct rn_secagg_row {
    uint32_t members, neighbours, lost;
    uint64_t elements;
    double client_s, server_s, replay_s, combine_s;
    double mask_rate, mask_to_aes, server_to_stream, replay_to_stream, wire;
    uint64_t upload_bytes, client_peak, peak;
};

struct rn_secagg_flower {
    uint32_t members, lost;
    double client_s, server_s, own_client_s, own_server_s;
};

struct rn_secagg_report {
    const char *kernel;
    uint32_t threads;
    struct rn_secagg_row rows[RN_SECAGG_ROWS_MAX];
    size_t row_count;
    double mask_to_aes_evp;
    struct rn_secagg_flower flower[RN_SECAGG_FLOWER_MAX];
    size_t flower_count;
    char flower_version[24];
};

/* The row with most neighbours, of those the one of 10^6 elements or else the longest vector up to
 * that: masking is compared on it. Never NULL. */
const struct rn_secagg_row *rn_secagg_report_widest(const struct rn_secagg_report *report);

/* {"rows": [...], "ratios": {...}, ...}; what was not measured is null. The caller owns it. */
struct json_t *rn_secagg_report_json(const struct rn_secagg_report *report);
void rn_secagg_report_print(const struct rn_secagg_report *report);

#endif
