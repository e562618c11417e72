/* SPDX-License-Identifier: Apache-2.0
 *
 * site.yaml: the configuration of one service (FORMATS.md). Nothing in it changes what a round
 * computes; that is the plan's. Paths may be relative to the site's directory: rn_site_path.
 *
 * A site's directory, as `rondo init` and `rondo join` make it:
 *
 *     identity.key    Ed25519 identity, 0600        roster          exact bytes
 *     tls.key         P-256 TLS key, 0600           plan.yaml       exact bytes
 *     tls.crt         certificate (or key, too)     plan.yaml.sigs  signatures over the plan
 *     ca.crt          the federation's CA           policy.yaml     member only
 *     site.yaml       this file                     state/          journal, socket, adapters
 */
#ifndef RN_POLICY_SITE_H
#define RN_POLICY_SITE_H

#include "base/bytes.h"
#include "crypto/roster.h"
#include "policy/field.h"

#define RN_SITE_VERSION 1
#define RN_SITE_PATH_MAX 1023
#define RN_SITE_ADDRESS_MAX 261 /* 253 of a host name, brackets, colon, port */
#define RN_SITE_COLUMN_MAX 127
#define RN_SITE_PEERS_MAX RN_ROSTER_MEMBERS_MAX /* every member may listen */
/* Of the file: what people write, and the peers as `rondo invite --accept` writes them (name and
 * address in 32 more bytes) with room for a comment. */
#define RN_SITE_BYTES_MAX \
    ((size_t)64 * 1024 + (size_t)RN_SITE_PEERS_MAX * (RN_NAME_MAX + RN_SITE_ADDRESS_MAX + 60))
#define RN_SITE_LIMIT_LEAST ((uint64_t)1 << 20)
#define RN_SITE_LIMIT_MOST ((uint64_t)1 << 40)

enum rn_site_role { RN_SITE_MEMBER = 0, RN_SITE_COORDINATOR };
/* Who opens the connection, seen from this site. */
enum rn_site_direction { RN_SITE_DIAL = 0, RN_SITE_LISTEN, RN_SITE_BOTH };
enum rn_site_data_format {
    RN_SITE_FORMAT_AUTO = 0,
    RN_SITE_FORMAT_TSV,
    RN_SITE_FORMAT_CSV,
    RN_SITE_FORMAT_JSONL,
    RN_SITE_FORMAT_TSV_QUOTED,
    RN_SITE_FORMAT_CSV_SEMICOLON
};
enum rn_site_encoding { RN_SITE_UTF8 = 0, RN_SITE_LATIN1, RN_SITE_WINDOWS1252 };
enum rn_site_backend { RN_SITE_CPU = 0, RN_SITE_CPU_BF16, RN_SITE_REF, RN_SITE_CUDA };
enum rn_site_kernels {
    RN_SITE_KERNELS_AUTO = 0, /* measured at each start */
    RN_SITE_KERNELS_AMX,
    RN_SITE_KERNELS_ONEDNN,
    RN_SITE_KERNELS_FLOAT32
};
enum rn_site_log_format { RN_SITE_LOG_TEXT = 0, RN_SITE_LOG_JSON };
enum rn_site_log_level { RN_SITE_DEBUG = 0, RN_SITE_INFO, RN_SITE_WARN, RN_SITE_ERROR };

/* A member that the coordinator dials (direction listen at the member). */
struct rn_site_peer {
    char name[RN_NAME_MAX + 1];
    char address[RN_SITE_ADDRESS_MAX + 1];
};

struct rn_site_network {
    enum rn_site_direction direction;
    char listen[RN_SITE_ADDRESS_MAX + 1];         /* "" unless it listens */
    char dial[RN_SITE_ADDRESS_MAX + 1];           /* member that dials: the coordinator's address */
    struct rn_site_peer peers[RN_SITE_PEERS_MAX]; /* coordinator that dials */
    uint32_t peers_count;
};

struct rn_site_data {
    char train[RN_SITE_PATH_MAX + 1]; /* "" at a coordinator */
    char dev[RN_SITE_PATH_MAX + 1];   /* "" none */
    enum rn_site_data_format format;
    enum rn_site_encoding encoding;
    char text[RN_SITE_COLUMN_MAX + 1]; /* column, or its number from 0 without header */
    char pair[RN_SITE_COLUMN_MAX + 1]; /* second text of a pair; "" none */
    char label[RN_SITE_COLUMN_MAX + 1];
    bool header; /* TSV and CSV: the first line names the columns; default true */
};

struct rn_site_compute {
    enum rn_site_backend backend;
    enum rn_site_kernels kernels; /* other than auto: with cpu-bf16 alone */
    uint32_t threads;             /* 0: one per core */
};

/* What a service may take of its machine; 0: a default that suits the machine. */
struct rn_site_limits {
    uint64_t upload_memory; /* coordinator: bytes of unfinished uploads held in memory */
    uint64_t kept_sums;     /* coordinator: bytes on disk of sums that a member still lacks */
};

struct rn_site_log {
    enum rn_site_log_format format;
    enum rn_site_log_level level;
};

struct rn_site {
    uint32_t version;
    enum rn_site_role role;
    char federation[RN_NAME_MAX + 1];
    char name[RN_NAME_MAX + 1]; /* the member's; "coordinator" at the coordinator */
    struct rn_site_network network;
    char state[RN_SITE_PATH_MAX + 1];
    char model[RN_SITE_PATH_MAX + 1];
    struct rn_site_data data;
    struct rn_site_compute compute;
    struct rn_site_limits limits;
    struct rn_site_log log;
};

/* RN_E_CONFIG with line and field. */
RN_MUST rn_result rn_site_parse(struct rn_view text, const char *source, struct rn_site *out_site,
                                struct rn_error *err);

/* Every field of the file. */
const struct rn_field_table *rn_site_fields(void);

/* path itself when absolute, else below directory. */
RN_MUST rn_result rn_site_path(char out[static RN_PATH_MAX], const char *directory,
                               const char *path, struct rn_error *err);

/* Words as trainer and log take them. */
const char *rn_site_backend_name(enum rn_site_backend backend);
const char *rn_site_kernels_name(enum rn_site_kernels kernels);
/* NULL for auto. */
const char *rn_site_format_name(enum rn_site_data_format format);
const char *rn_site_encoding_name(enum rn_site_encoding encoding);
/* The values of such names, NULL for the default; false for another name. */
bool rn_site_format_find(const char *name, enum rn_site_data_format *out);
bool rn_site_encoding_find(const char *name, enum rn_site_encoding *out);

#endif
