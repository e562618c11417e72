/* SPDX-License-Identifier: Apache-2.0
 *
 * Metrics as text and JSON.
 */
#include "services/cli/desk/metricstext.h"

#include <math.h>
#include <stdio.h>

struct named_metric {
    const char *name;
    double value;
};

#define METRIC_COUNT 6

static void list_metrics(const struct rn_metrics *metrics, struct named_metric out[METRIC_COUNT])
{
    out[0] = (struct named_metric){"loss", metrics->loss};
    out[1] = (struct named_metric){"accuracy", metrics->accuracy};
    out[2] = (struct named_metric){"f1", metrics->f1};
    out[3] = (struct named_metric){"matthews", metrics->matthews};
    out[4] = (struct named_metric){"pearson", metrics->pearson};
    out[5] = (struct named_metric){"spearman", metrics->spearman};
}

void rn_metrics_print_json(const struct rn_metrics *metrics)
{
    printf("{");
    rn_metrics_print_json_fields(metrics);
    printf("}");
}

void rn_metrics_print_json_fields(const struct rn_metrics *metrics)
{
    struct named_metric list[METRIC_COUNT];

    list_metrics(metrics, list);
    printf("\"count\": %llu", (unsigned long long)metrics->count);
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        if (isfinite(list[i].value)) {
            printf(", \"%s\": %.9g", list[i].name, list[i].value);
        } else {
            printf(", \"%s\": null", list[i].name);
        }
    }
}

void rn_metrics_print_text(const struct rn_metrics *metrics)
{
    struct named_metric list[METRIC_COUNT];

    list_metrics(metrics, list);
    printf("%llu records", (unsigned long long)metrics->count);
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        if (isfinite(list[i].value)) {
            printf(", %s %.4f", list[i].name, list[i].value);
        }
    }
    printf("\n");
}
