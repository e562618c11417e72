/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeps the transport's certificate fresh while a service runs, and tells of its end in time.
 *
 * Every few seconds the files of credfiles.h are looked at (stat, no reading). When they have
 * changed and then stood still for one period, so that a key and a certificate that are replaced
 * one after the other are not read in between, they are loaded and handed to rn_rpc_reload: streams
 * that are open live on, new handshakes use the new certificate. What does not fit (broken, key and
 * certificate of different pairs, another site's, expired) is refused with a reason; the old
 * certificate stays, and the same files are tried again now and then, since time may mend them.
 *
 * Everything happens on the loop's thread.
 */
#ifndef RN_SERVICES_HOST_CREDWATCH_H
#define RN_SERVICES_HOST_CREDWATCH_H

#include "base/bytes.h"
#include "services/rpc/rpc.h"

#define RN_CREDWATCH_PERIOD_MS 5000U

enum rn_credwatch_kind {
    RN_CREDWATCH_RELOADED,
    RN_CREDWATCH_REFUSED,  /* the old one stays; the same reason is told once */
    RN_CREDWATCH_EXPIRING, /* told once for each stage and certificate */
    RN_CREDWATCH_EXPIRED,
};

struct rn_credwatch_event {
    enum rn_credwatch_kind kind;
    const char *text;     /* a sentence; valid during the call */
    int64_t seconds_left; /* of the certificate in use; negative once it has expired */
};

/* How near the end of a certificate is: below 30, 7 and 1 days. A stage that is longer than half of
 * the certificate's whole life says nothing and is skipped. */
enum rn_credwatch_stage {
    RN_CREDWATCH_FAR = 0,
    RN_CREDWATCH_MONTH,
    RN_CREDWATCH_WEEK,
    RN_CREDWATCH_DAY,
    RN_CREDWATCH_OVER,
};
enum rn_credwatch_stage rn_credwatch_stage_of(uint64_t not_before_ms, uint64_t not_after_ms,
                                              uint64_t wall_ms);

struct rn_credwatch_options {
    const char *directory; /* copied */
    uint32_t period_ms;    /* 0: RN_CREDWATCH_PERIOD_MS */
    void (*on_event)(void *context, const struct rn_credwatch_event *event);
    void *context;
};

struct rn_credwatch;

/* The first look, and with it the first word on an end that is near, comes from the loop. What was
 * replaced between the opening of rpc and then is loaded like any change. */
struct rn_credwatch *rn_credwatch_new(struct rn_rpc *rpc,
                                      const struct rn_credwatch_options *options);
/* Loads now, changed or not: for SIGHUP (rn_sigwatch_on_hangup). */
void rn_credwatch_reload(void *watch);
/* After rn_rpc_close, which drops its timer. NULL is fine. */
void rn_credwatch_free(struct rn_credwatch *watch);

/* An on_event that writes the service's log. */
void rn_credwatch_log(void *context, const struct rn_credwatch_event *event);

/* Appends "certificate":{"expires":"2027-01-31T12:00:00.000Z","seconds_left":N}: the status view's
 * part about the certificate in use. */
void rn_credwatch_status(const struct rn_rpc *rpc, struct rn_buffer *out);

#endif
