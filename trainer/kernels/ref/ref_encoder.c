/* SPDX-License-Identifier: Apache-2.0
 *
 * Embedding, LayerNorm and attention of the reference backend.
 */
#include "trainer/kernels/ref/ref_kernels.h"

#include <math.h>

/* y = LayerNorm of x (which may be y); hands out mean and 1 / standard deviation. */
static void norm_row(const double *x, size_t cols, const float *gamma, const float *beta, float eps,
                     double *y, double out_stats[2])
{
    double mean = 0.0;
    for (size_t c = 0; c < cols; c++) {
        mean += x[c];
    }
    mean /= (double)cols;
    double variance = 0.0;
    for (size_t c = 0; c < cols; c++) {
        variance += (x[c] - mean) * (x[c] - mean);
    }
    const double rstd = 1.0 / sqrt(variance / (double)cols + (double)eps);
    for (size_t c = 0; c < cols; c++) {
        y[c] = (x[c] - mean) * rstd * (double)gamma[c] + (double)beta[c];
    }
    out_stats[0] = mean;
    out_stats[1] = rstd;
}

void rn_ref_embed(struct rn_lane *lane, const struct rn_embedding *e, const int32_t *ids,
                  const int32_t *type_ids, const int32_t *position_ids, struct rn_mat y)
{
    (void)lane;
    for (size_t t = 0; t < y.rows; t++) {
        const float *word = e->words + (size_t)ids[t] * y.cols;
        const float *position = e->positions + (size_t)position_ids[t] * y.cols;
        const float *type = e->types != NULL ? e->types + (size_t)type_ids[t] * y.cols : NULL;
        double *row = rn_row_f64(y, t);
        for (size_t c = 0; c < y.cols; c++) {
            row[c] = (double)word[c] + (type != NULL ? (double)type[c] : 0.0) + (double)position[c];
        }
        double stats[2];
        norm_row(row, y.cols, e->gamma, e->beta, e->eps, row, stats);
    }
}

void rn_ref_norm(struct rn_lane *lane, struct rn_mat x, const float *gamma, const float *beta,
                 float eps, struct rn_mat y, struct rn_mat stats)
{
    (void)lane;
    for (size_t t = 0; t < x.rows; t++) {
        norm_row(rn_row_f64(x, t), x.cols, gamma, beta, eps, rn_row_f64(y, t),
                 rn_row_f64(stats, t));
    }
}

void rn_ref_norm_back(struct rn_lane *lane, struct rn_mat x, struct rn_mat stats,
                      const float *gamma, struct rn_mat dy, struct rn_mat dx)
{
    (void)lane;
    for (size_t t = 0; t < x.rows; t++) {
        const double *x_row = rn_row_f64(x, t);
        const double *dy_row = rn_row_f64(dy, t);
        double *dx_row = rn_row_f64(dx, t);
        const double mean = rn_row_f64(stats, t)[0];
        const double rstd = rn_row_f64(stats, t)[1];
        double g_mean = 0.0;
        double gx_mean = 0.0;
        for (size_t c = 0; c < x.cols; c++) {
            const double g = dy_row[c] * (double)gamma[c];
            g_mean += g;
            gx_mean += g * (x_row[c] - mean) * rstd;
        }
        g_mean /= (double)x.cols;
        gx_mean /= (double)x.cols;
        for (size_t c = 0; c < x.cols; c++) {
            const double g = dy_row[c] * (double)gamma[c];
            dx_row[c] = rstd * (g - g_mean - (x_row[c] - mean) * rstd * gx_mean);
        }
    }
}

static double dot(const double *a, const double *b, size_t n)
{
    double s = 0.0;
    for (size_t i = 0; i < n; i++) {
        s += a[i] * b[i];
    }
    return s;
}

/* One query row of one head against keys and values first .. first+length-1. */
static void attend(struct rn_lane *lane, const struct rn_attention *a, size_t head, size_t first,
                   size_t length, size_t row, struct rn_mat q, struct rn_mat k, struct rn_mat v,
                   struct rn_mat out, struct rn_mat lse)
{
    const size_t at = head * a->head_dim;
    double *p = lane->scores;
    double most = -HUGE_VAL;
    for (size_t j = 0; j < length; j++) {
        p[j] = (double)a->scale *
               dot(rn_row_f64(q, row) + at, rn_row_f64(k, first + j) + at, a->head_dim);
        most = p[j] > most ? p[j] : most;
    }
    double sum = 0.0;
    for (size_t j = 0; j < length; j++) {
        sum += exp(p[j] - most);
    }
    const double log_sum = most + log(sum);
    double *o = rn_row_f64(out, row) + at;
    for (size_t c = 0; c < a->head_dim; c++) {
        o[c] = 0.0;
    }
    for (size_t j = 0; j < length; j++) {
        const double weight = exp(p[j] - log_sum);
        for (size_t c = 0; c < a->head_dim; c++) {
            o[c] += weight * rn_row_f64(v, first + j)[at + c];
        }
    }
    rn_row_f64(lse, row)[head] = log_sum;
}

void rn_ref_attention(struct rn_lane *lane, const struct rn_attention *a, struct rn_mat q,
                      struct rn_mat k, struct rn_mat v, struct rn_mat out, struct rn_mat lse)
{
    for (size_t i = 0; i < a->sequences.count; i++) {
        const size_t first = (size_t)a->sequences.cu[i];
        const size_t length = (size_t)a->sequences.cu[i + 1] - first;
        for (size_t head = 0; head < a->heads; head++) {
            for (size_t t = 0; t < (a->first_query ? 1 : length); t++) {
                attend(lane, a, head, first, length, a->first_query ? i : first + t, q, k, v, out,
                       lse);
            }
        }
    }
}

/* The gradients that one query row causes; dk and dv add. */
static void attend_back(const struct rn_attention *a, size_t head, size_t first, size_t length,
                        size_t row, struct rn_mat q, struct rn_mat k, struct rn_mat v,
                        struct rn_mat out, struct rn_mat lse, struct rn_mat dout, struct rn_mat dq,
                        struct rn_mat dk, struct rn_mat dv)
{
    const size_t at = head * a->head_dim;
    const size_t width = a->head_dim;
    const double *q_row = rn_row_f64(q, row) + at;
    const double *dout_row = rn_row_f64(dout, row) + at;
    const double log_sum = rn_row_f64(lse, row)[head];
    const double delta = dot(rn_row_f64(out, row) + at, dout_row, width);
    double *dq_row = rn_row_f64(dq, row) + at;
    for (size_t c = 0; c < width; c++) {
        dq_row[c] = 0.0;
    }
    for (size_t j = 0; j < length; j++) {
        const double *k_row = rn_row_f64(k, first + j) + at;
        const double p = exp((double)a->scale * dot(q_row, k_row, width) - log_sum);
        const double dp = dot(dout_row, rn_row_f64(v, first + j) + at, width);
        const double ds = p * (dp - delta) * (double)a->scale;
        for (size_t c = 0; c < width; c++) {
            rn_row_f64(dv, first + j)[at + c] += p * dout_row[c];
            rn_row_f64(dk, first + j)[at + c] += ds * q_row[c];
            dq_row[c] += ds * k_row[c];
        }
    }
}

void rn_ref_attention_back(struct rn_lane *lane, const struct rn_attention *a, struct rn_mat q,
                           struct rn_mat k, struct rn_mat v, struct rn_mat out, struct rn_mat lse,
                           struct rn_mat dout, struct rn_mat dq, struct rn_mat dk, struct rn_mat dv)
{
    rn_host_zero_mat(lane, dk);
    rn_host_zero_mat(lane, dv);
    for (size_t i = 0; i < a->sequences.count; i++) {
        const size_t first = (size_t)a->sequences.cu[i];
        const size_t length = (size_t)a->sequences.cu[i + 1] - first;
        for (size_t head = 0; head < a->heads; head++) {
            for (size_t t = 0; t < (a->first_query ? 1 : length); t++) {
                attend_back(a, head, first, length, a->first_query ? i : first + t, q, k, v, out,
                            lse, dout, dq, dk, dv);
            }
        }
    }
}

void rn_ref_scatter_add_rows(struct rn_lane *lane, struct rn_mat x, const int32_t *index,
                             struct rn_mat y)
{
    (void)lane;
    for (size_t i = 0; i < x.rows; i++) {
        for (size_t c = 0; c < x.cols; c++) {
            rn_row_f64(y, (size_t)index[i])[c] += rn_row_f64(x, i)[c];
        }
    }
}
