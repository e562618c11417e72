/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of a site's directory as the set-up commands read and write them, leniently: a directory
 * that is only half set up is normal here. Running services use services/host/sitefiles.h.
 */
#ifndef RN_SERVICES_CLI_SETUP_SETUPFILES_H
#define RN_SERVICES_CLI_SETUP_SETUPFILES_H

#include "base/file.h"
#include "crypto/identity.h"
#include "crypto/roster.h"
#include "policy/plan.h"
#include "policy/rules.h"
#include "policy/signature.h"
#include "policy/site.h"

#define RN_SETUP_PEM_MAX ((size_t)64 * 1024)

/* ---- A new directory that appears complete or not at all: made beside its final path, renamed at
 * the end, removed when abandoned. */
struct rn_setup_stage {
    char final_path[RN_PATH_MAX];
    char partial[RN_PATH_MAX]; /* write here until commit; "" when there is nothing to remove */
};
/* RN_E_USAGE when path exists and is not an empty directory. */
RN_MUST rn_result rn_setup_stage_begin(struct rn_setup_stage *stage, const char *path,
                                       struct rn_error *err);
RN_MUST rn_result rn_setup_stage_commit(struct rn_setup_stage *stage, struct rn_error *err);
/* Removes what was not committed. For RN_CLEANUP. */
void rn_setup_stage_clear(struct rn_setup_stage *stage);

/* ---- Single files below a directory. */
RN_MUST rn_result rn_setup_read(const char *directory, const char *name, size_t max,
                                struct rn_buffer *out, struct rn_error *err);
RN_MUST rn_result rn_setup_write(const char *directory, const char *name, struct rn_view content,
                                 unsigned mode, struct rn_error *err);
/* A private key in PEM, refused when others can reach it (rn_file_private_check). Wipe it. */
RN_MUST rn_result rn_setup_read_key(const char *directory, const char *name, struct rn_buffer *out,
                                    struct rn_error *err);
bool rn_setup_has(const char *directory, const char *name);
RN_MUST rn_result rn_setup_identity(const char *directory, struct rn_identity **out,
                                    struct rn_error *err);

/* Keeps a second set-up command out of the same directory until it is unlocked (rn_file_unlock).
 * RN_E_BUSY when one is at work there. */
RN_MUST rn_result rn_setup_lock(const char *directory, int *out_lock, struct rn_error *err);

/* ---- What a directory says so far. Plain data and buffers; clear in every case. */
struct rn_setup {
    char directory[RN_PATH_MAX];
    struct rn_site site;
    struct rn_buffer plan_bytes;
    struct rn_plan plan;
    bool has_roster;
    struct rn_buffer roster_bytes;
    struct rn_roster roster;
    struct rn_plan_signatures signatures; /* empty for this plan when none are usable */
    bool has_policy;
    struct rn_policy policy;
};
/* Reads site.yaml and, where they are there, plan.yaml, roster, plan.yaml.sigs and policy.yaml.
 * Signatures of another plan are dropped. Free with rn_setup_free. */
RN_MUST rn_result rn_setup_open(const char *directory, struct rn_setup **out, struct rn_error *err);
/* The same one by one, for `rondo doctor`: begin, then each file whose absence is no failure but
 * site.yaml's. Signatures come after the plan. */
RN_MUST rn_result rn_setup_begin(const char *directory, struct rn_setup **out,
                                 struct rn_error *err);
RN_MUST rn_result rn_setup_load_site(struct rn_setup *setup, struct rn_error *err);
RN_MUST rn_result rn_setup_load_plan(struct rn_setup *setup, struct rn_error *err);
RN_MUST rn_result rn_setup_load_roster(struct rn_setup *setup, struct rn_error *err);
RN_MUST rn_result rn_setup_load_signatures(struct rn_setup *setup, struct rn_error *err);
RN_MUST rn_result rn_setup_load_policy(struct rn_setup *setup, struct rn_error *err);
void rn_setup_free(struct rn_setup *setup);
void rn_setup_free_cleanup(struct rn_setup **setup);

/* In the exact text of a plan, replaces the 64 hex digits of `key` in the top-level section. The
 * text is parsed again afterwards by the caller. RN_E_CONFIG when the line is not found. */
RN_MUST rn_result rn_setup_replace_hash(struct rn_buffer *text, const char *section,
                                        const char *key, const uint8_t value[static 32],
                                        struct rn_error *err);

/* The same for the number after "seed:" at the left margin: a seed that was drawn now. */
RN_MUST rn_result rn_setup_replace_seed(struct rn_buffer *text, struct rn_error *err);

/* A plan file on its own. */
RN_MUST rn_result rn_setup_plan_read(const char *path, struct rn_plan *out, struct rn_error *err);

/* An absolute path of something that exists. RN_E_NO_INPUT when it does not. */
RN_MUST rn_result rn_setup_absolute(const char *path, char out[static RN_PATH_MAX],
                                    struct rn_error *err);

/* "host:port" cut at the last colon, brackets removed, a port from 0 to 65535. RN_E_USAGE when
 * malformed. */
RN_MUST rn_result rn_setup_address_split(const char *address, char out_host[static 256],
                                         char out_port[static 8], struct rn_error *err);
/* The same for an address that somebody else dials: port 0 is none. */
RN_MUST rn_result rn_setup_address_reach(const char *address, char out_host[static 256],
                                         struct rn_error *err);

#endif
