/* SPDX-License-Identifier: Apache-2.0
 *
 * A dominating pair that is given by points: losses in ascending order with their masses of P, as
 * a distribution along v in [0, count], in which point i has the part [i, i + 1) with constant
 * density. A bin may take a share of a point, which is post-processing too. The functions are those
 * of pldpair.h for such a pair.
 */
#ifndef RN_POLICY_PLDPOINTS_H
#define RN_POLICY_PLDPOINTS_H

#include "policy/accountant/pldlaw.h"
#include "policy/accountant/pldpair.h"

struct rn_pld_points {
    uint32_t count;
    double *loss, *mass;
    double *below; /* mass before point i; count + 1 */
};

/* Of a law from below, for t slots. Cells whose means are out of order are put together. The owner
 * calls rn_pld_points_free. */
void rn_pld_points_init(struct rn_pld_points *points, const struct rn_pld_law *law, uint32_t slots,
                        enum rn_pld_direction direction);
void rn_pld_points_free(struct rn_pld_points *points);

double rn_pld_points_loss(const struct rn_pld_points *points, double v);
double rn_pld_points_density(const struct rn_pld_points *points, double v);
double rn_pld_points_inverse(const struct rn_pld_points *points, double loss, double low,
                             double high);
double rn_pld_points_below(const struct rn_pld_points *points, double v);
void rn_pld_points_walk(const struct rn_pld_points *points, double low, double high,
                        rn_pld_node *node, void *context);

#endif
