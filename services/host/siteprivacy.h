/* SPDX-License-Identifier: Apache-2.0
 *
 * The privacy ledger of a member (policy/ledger/privacyledger.h) on disk, one file per lineage,
 * held by the one service that may run with its identity. Two copies, as of jobs.ledger
 * (siteledger.h): one beside identity.key, one in the state directory. They are alike, or one is
 * the beginning of the other, and the longer one counts; anything else is a fork and refused. Where
 * the directory of the identity cannot be written there is the copy in the state alone.
 *
 * What returns RN_OK is durable in each copy: one line is appended to each, one fdatasync a copy. A
 * crash, a failed write or a full disk may leave the last line of a copy unfinished; it was never
 * durable, so nothing was done under it, and the next opening cuts it off. After a failure every
 * further call fails (RN_E_IO): open again.
 *
 * Two older copies of both are an old ledger, which these files cannot tell from a new one. So
 * whoever keeps a witness elsewhere (the journal) asks rn_siteprivacy_expect.
 */
#ifndef RN_SERVICES_HOST_SITEPRIVACY_H
#define RN_SERVICES_HOST_SITEPRIVACY_H

#include "base/file.h"
#include "policy/ledger/privacyledger.h"

#define RN_SITE_PRIVACY_PREFIX "privacy-"
#define RN_SITE_PRIVACY_SUFFIX ".ledger" /* privacy-LINEAGE.ledger */

/* Borrowed while open. */
struct rn_siteprivacy_place {
    const char *directory; /* of identity.key */
    const char *state;
    const char *lineage;
    const struct rn_identity *identity;
};

struct rn_siteprivacy;

/* Takes the lock (RN_E_BUSY), reads and checks both copies (RN_E_DATA: damaged, or a fork;
 * RN_E_IDENTITY: another identity's), and brings the shorter one up. Where there is no ledger yet
 * one is begun with the terms, whose identity, lineage, version and bound are filled here;
 * otherwise the terms must equal the header's (RN_E_CONFIG with what differs), commitment aside.
 * terms NULL: whatever the header says; RN_E_NO_INPUT where there is none. */
RN_MUST rn_result rn_siteprivacy_open(const struct rn_siteprivacy_place *place,
                                      const struct rn_privacy_terms *terms,
                                      struct rn_siteprivacy **out, struct rn_error *err);
/* NULL is fine. */
void rn_siteprivacy_free(struct rn_siteprivacy *privacy);

/* The caller knows of an intent with this counter (0: of none): RN_E_DATA when the ledger does not,
 * which is an old copy then. */
RN_MUST rn_result rn_siteprivacy_expect(const struct rn_siteprivacy *privacy, uint64_t counter,
                                        struct rn_error *err);

/* Before data is touched. Derived fields of plan are ignored. RN_OK and nothing written when the
 * plan is there already with the same values, also when it was closed: then it can begin no
 * training. RN_E_REFUSED when it has other values now, when another one is open, or when the budget
 * does not hold it. */
RN_MUST rn_result rn_siteprivacy_begin_plan(struct rn_siteprivacy *privacy,
                                            const struct rn_privacy_plan *plan,
                                            struct rn_error *err);
/* Before the first gradient of a training; derived fields of intent are ignored. *out_counter is
 * what rn_siteprivacy_commit and _expect want. RN_E_REFUSED when the plan is not open, its
 * trainings are used up, or the round is not one of its. */
RN_MUST rn_result rn_siteprivacy_intent(struct rn_siteprivacy *privacy,
                                        const struct rn_privacy_intent *intent,
                                        uint64_t *out_counter, struct rn_error *err);
/* Before the first byte of an update is sent (SENT), and when its fate is known; of the latest
 * intent alone. RN_OK and nothing written for what stands there already; RN_E_REFUSED for another
 * output of the same intent, or any after FAILED. */
RN_MUST rn_result rn_siteprivacy_commit(struct rn_siteprivacy *privacy, uint64_t counter,
                                        const uint8_t output[static 32],
                                        enum rn_privacy_status status, struct rn_error *err);
/* RN_OK and nothing written when it is closed already. */
RN_MUST rn_result rn_siteprivacy_close_plan(struct rn_siteprivacy *privacy,
                                            const uint8_t plan[static 32], struct rn_error *err);
/* Before the release leaves. */
RN_MUST rn_result rn_siteprivacy_release(struct rn_siteprivacy *privacy,
                                         const struct rn_privacy_release *release,
                                         struct rn_error *err);
/* Before a training whose update leaves without noise; no plan may be open. RN_OK and nothing
 * written when the last such record is of the same plan. */
RN_MUST rn_result rn_siteprivacy_mark_nonprivate(struct rn_siteprivacy *privacy,
                                                 const uint8_t plan[static 32], const char *name,
                                                 struct rn_error *err);

/* What it holds; borrowed. */
const struct rn_privacy_ledger *rn_siteprivacy_ledger(const struct rn_siteprivacy *privacy);

/* ---- For those who look, without lock. */

/* One file of any size, each signature checked; a last line that is not finished is not read.
 * RN_E_NO_INPUT, RN_E_DATA, RN_E_IDENTITY. The caller frees. */
RN_MUST rn_result rn_siteprivacy_read(const char *path, struct rn_privacy_ledger **out,
                                      struct rn_error *err);

#define RN_SITE_PRIVACY_LINEAGES_MAX 64
/* Lineages of the ledgers in a directory, sorted; *out_count at most
 * RN_SITE_PRIVACY_LINEAGES_MAX (RN_E_DATA for more), each of RN_PRIVACY_NAME_MAX + 1 bytes. */
struct rn_siteprivacy_lineages {
    uint32_t count;
    char names[RN_SITE_PRIVACY_LINEAGES_MAX][RN_PRIVACY_NAME_MAX + 1];
};
RN_MUST rn_result rn_siteprivacy_lineages(const char *directory,
                                          struct rn_siteprivacy_lineages *out,
                                          struct rn_error *err);
/* directory/privacy-LINEAGE.ledger */
RN_MUST rn_result rn_siteprivacy_path(const char *directory, const char *lineage,
                                      char out[static RN_PATH_MAX], struct rn_error *err);

#endif
