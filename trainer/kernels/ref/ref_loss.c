/* SPDX-License-Identifier: Apache-2.0
 *
 * Losses, flat vectors and optimisers of the reference backend. Parameters and gradients are stored
 * as float32; the arithmetic between two stores is float64.
 */
#include "trainer/kernels/ref/ref_kernels.h"

#include <math.h>

void rn_ref_cross_entropy(struct rn_lane *lane, struct rn_mat logits, const int32_t *labels,
                          float scale, struct rn_mat dlogits, double *loss)
{
    (void)lane;
    for (size_t i = 0; i < logits.rows; i++) {
        const double *row = rn_row_f64(logits, i);
        double most = row[0];
        for (size_t c = 1; c < logits.cols; c++) {
            most = row[c] > most ? row[c] : most;
        }
        double sum = 0.0;
        for (size_t c = 0; c < logits.cols; c++) {
            sum += exp(row[c] - most);
        }
        const double log_sum = most + log(sum);
        loss[i] = log_sum - row[labels[i]];
        for (size_t c = 0; dlogits.data != NULL && c < logits.cols; c++) {
            const double one = c == (size_t)labels[i] ? 1.0 : 0.0;
            rn_row_f64(dlogits, i)[c] = (double)scale * (exp(row[c] - log_sum) - one);
        }
    }
}

void rn_ref_squared_error(struct rn_lane *lane, struct rn_mat logits, const float *targets,
                          float scale, struct rn_mat dlogits, double *loss)
{
    (void)lane;
    for (size_t i = 0; i < logits.rows; i++) {
        const double difference = rn_row_f64(logits, i)[0] - (double)targets[i];
        loss[i] = difference * difference;
        if (dlogits.data != NULL) {
            rn_row_f64(dlogits, i)[0] = 2.0 * (double)scale * difference;
        }
    }
}

void rn_ref_vector_add(struct rn_lane *lane, size_t n, const float *x, float *y)
{
    (void)lane;
    for (size_t i = 0; i < n; i++) {
        y[i] += x[i];
    }
}

void rn_ref_vector_scale(struct rn_lane *lane, size_t n, float factor, float *x)
{
    (void)lane;
    for (size_t i = 0; i < n; i++) {
        x[i] *= factor;
    }
}

double rn_ref_vector_square_sum(struct rn_lane *lane, size_t n, const float *x)
{
    (void)lane;
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    return sum;
}

void rn_ref_sgd(struct rn_lane *lane, size_t n, float lr, float weight_decay, const float *g,
                float *p)
{
    (void)lane;
    for (size_t i = 0; i < n; i++) {
        const double step = (double)g[i] + (double)weight_decay * (double)p[i];
        p[i] = (float)((double)p[i] - (double)lr * step);
    }
}

void rn_ref_adamw(struct rn_lane *lane, size_t n, const struct rn_adamw *o, const float *g,
                  float *m, float *v, float *p)
{
    (void)lane;
    const double beta1 = (double)o->beta1;
    const double beta2 = (double)o->beta2;
    const double lr = (double)o->lr;
    for (size_t i = 0; i < n; i++) {
        const double gradient = (double)g[i];
        const double m_new = beta1 * (double)m[i] + (1.0 - beta1) * gradient;
        const double v_new = beta2 * (double)v[i] + (1.0 - beta2) * gradient * gradient;
        const double root = sqrt(v_new) / sqrt(o->correction2) + (double)o->eps;
        const double decayed = (double)p[i] * (1.0 - lr * (double)o->weight_decay);
        m[i] = (float)m_new;
        v[i] = (float)v_new;
        p[i] = (float)(decayed - lr / o->correction1 * m_new / root);
    }
}
