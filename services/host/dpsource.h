/* SPDX-License-Identifier: Apache-2.0
 *
 * Randomness of DP-SGD for one training: two keys fresh from the operating system, one for the
 * choice of records and one for the noise, so that the two have nothing in common.
 */
#ifndef RN_SERVICES_HOST_DPSOURCE_H
#define RN_SERVICES_HOST_DPSOURCE_H

#include "crypto/discretenoise.h"
#include "crypto/noise.h"
#include "trainer/trainer.h"

/* Holds secret keys: clean it up with RN_CLEANUP(rn_dp_source_clear). */
struct rn_dp_source {
    struct rn_noise noises;
    struct rn_discrete_noise shares; /* of the same key: a training draws from one of both */
    struct rn_stream samples;
    uint32_t threads;       /* that draw noise; 0 is 1 */
    uint8_t commitment[32]; /* rn_privacy_keys_commit of the two keys */
};

/* RN_E_SYSTEM when the system has no randomness. */
RN_MUST rn_result rn_dp_source_draw(struct rn_dp_source *out, struct rn_error *err);
/* Wipes. */
void rn_dp_source_clear(struct rn_dp_source *source);
/* Sets noise, uniform and context of a spec; the source is borrowed until the training is over.
 * shares: the noise is discrete, a share of what the members add together; its deviation is a whole
 * number of grid steps then. */
void rn_dp_source_lend(struct rn_dp_source *source, bool shares, struct rn_dp_spec *spec);

#endif
