/* SPDX-License-Identifier: Apache-2.0
 *
 * What can happen to a state machine of this folder. Both take the same inputs; `peer` is the
 * member's place at the coordinator, and RN_SA_COORDINATOR at a member. Everything in an input is
 * borrowed for the step.
 */
#ifndef RN_SERVICES_FEDERATION_INPUT_H
#define RN_SERVICES_FEDERATION_INPUT_H

#include "base/bytes.h"
#include "services/round/roundmeasure.h"
#include "trainer/trainer.h"

/* How a training ended (RN_EFFECT_TRAIN). Laid out like the order's values. */
struct rn_trained {
    rn_result result; /* RN_E_ROUND_ABORTED when cancelled */
    const struct rn_error *err;
    uint32_t round;
    const float *before;
    const float *after;
    const float *local_head; /* NULL unless local */
    /* Where the plan's noise is shared: the noisy sum, in the order of the round's selection; the
     * adapter has not moved. NULL otherwise. */
    const int64_t *whole;
    size_t whole_count;
    uint64_t examples;
    uint64_t steps;
    double loss_sum;
    struct rn_round_measure start; /* valid: as the order's `measure` asked */
    uint64_t milliseconds;
};

/* How a publication ended (RN_EFFECT_PUBLISH). */
struct rn_published {
    rn_result result;
    const struct rn_error *err;
    uint32_t round;
    bool final, best;
    bool evaluated;
    struct rn_metrics metrics; /* when evaluated */
    double metric;             /* the plan's own */
    const char *directory;     /* "" when nothing was written */
};

enum rn_input_kind {
    RN_INPUT_TICK = 1,    /* every 200 ms or so; training: how far it is */
    RN_INPUT_OPENED,      /* connection, peer: a session stream of a proved identity stands */
    RN_INPUT_MESSAGE,     /* connection, peer, bytes: one Envelope as it came */
    RN_INPUT_GONE,        /* connection, peer, code: that stream has ended */
    RN_INPUT_LOST,        /* connection, peer: a SEND found no room; there is room again */
    RN_INPUT_BULK_OPENED, /* peer: its bulk stream stands (again): what was on the old may be lost
                           */
    RN_INPUT_BULK,        /* peer, bytes: one BulkChunk as it came */
    RN_INPUT_BULK_SENT,   /* peer, session, code: every wanted chunk was handed to the transport, or
                             code says why the chunk function failed */
    RN_INPUT_UNREACHABLE, /* peer, code: dialling failed or was refused */
    RN_INPUT_TRAINED,
    RN_INPUT_PUBLISHED,
    RN_INPUT_SIGNATURES, /* bytes: text of plan.yaml.sigs at this site, which has changed */
    RN_INPUT_KEPT,       /* code, text: how a KEEP ended; text is a sentence unless RN_OK */
    RN_INPUT_LOGGED,     /* number: entries in the log now, signed for; count: LOGs that ended */
    RN_INPUT_MIRRORED,   /* code, text: how a MIRROR ended; bytes: the report to send, if any;
                            number: entries of the copy */
    RN_INPUT_DRAIN,      /* count: finish what cannot be resumed, then END; from 2 on END at once */
    RN_INPUT_ABORT,      /* text: the operator of this site ends the job */
};

struct rn_input {
    enum rn_input_kind kind;
    uint64_t connection;
    uint32_t peer;
    struct rn_view bytes;
    enum rn_code code;
    const uint8_t *session;
    unsigned count;
    uint64_t number;
    const char *text;
    struct {
        uint32_t step, steps;
        uint32_t measured; /* blocks of development data judged before the first step */
        double loss;       /* of the last batch; NaN before the first */
    } training;
    const struct rn_trained *trained;
    const struct rn_published *published;
};

#endif
