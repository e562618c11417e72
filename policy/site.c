/* SPDX-License-Identifier: Apache-2.0
 *
 * The schema of site.yaml and the rules between its fields.
 */
#include "policy/site.h"

#include <string.h>

#include "base/guard.h"
#include "policy/yamlfile.h"

#define NEED CYAML_FLAG_STRICT
#define MAY (CYAML_FLAG_STRICT | CYAML_FLAG_OPTIONAL)
#define WORD(flags, type, member, words) \
    CYAML_FIELD_ENUM(#member, flags, type, member, words, RN_ARRAY_LENGTH(words))
#define TEXT(flags, type, member) CYAML_FIELD_STRING(#member, flags, type, member, 1)

static const cyaml_strval_t booleans[] = {{"false", 0}, {"true", 1}};
static const cyaml_strval_t roles[] = {{"member", RN_SITE_MEMBER},
                                       {"coordinator", RN_SITE_COORDINATOR}};
static const cyaml_strval_t directions[] = {
    {"dial", RN_SITE_DIAL}, {"listen", RN_SITE_LISTEN}, {"both", RN_SITE_BOTH}};
static const cyaml_strval_t formats[] = {{"auto", RN_SITE_FORMAT_AUTO},
                                         {"tsv", RN_SITE_FORMAT_TSV},
                                         {"csv", RN_SITE_FORMAT_CSV},
                                         {"jsonl", RN_SITE_FORMAT_JSONL}};
static const cyaml_strval_t backends[] = {{"cpu", RN_SITE_CPU},
                                          {"cpu-bf16", RN_SITE_CPU_BF16},
                                          {"ref", RN_SITE_REF},
                                          {"cuda", RN_SITE_CUDA}};
static const cyaml_strval_t log_formats[] = {{"text", RN_SITE_LOG_TEXT},
                                             {"json", RN_SITE_LOG_JSON}};
static const cyaml_strval_t log_levels[] = {{"debug", RN_SITE_DEBUG},
                                            {"info", RN_SITE_INFO},
                                            {"warn", RN_SITE_WARN},
                                            {"error", RN_SITE_ERROR}};

static const cyaml_schema_field_t peer_fields[] = {
    TEXT(NEED, struct rn_site_peer, name),
    TEXT(NEED, struct rn_site_peer, address),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t peer_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct rn_site_peer, peer_fields)};

static const cyaml_schema_field_t network_fields[] = {
    WORD(NEED, struct rn_site_network, direction, directions),
    TEXT(MAY, struct rn_site_network, listen),
    TEXT(MAY, struct rn_site_network, dial),
    CYAML_FIELD_SEQUENCE("peers", MAY, struct rn_site_network, peers, &peer_entry, 0,
                         RN_SITE_PEERS_MAX),
    TEXT(MAY, struct rn_site_network, status),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t data_fields[] = {
    TEXT(MAY, struct rn_site_data, train),
    TEXT(MAY, struct rn_site_data, dev),
    WORD(MAY, struct rn_site_data, format, formats),
    TEXT(NEED, struct rn_site_data, text),
    TEXT(MAY, struct rn_site_data, pair),
    TEXT(NEED, struct rn_site_data, label),
    WORD(MAY, struct rn_site_data, header, booleans),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t compute_fields[] = {
    WORD(NEED, struct rn_site_compute, backend, backends),
    CYAML_FIELD_UINT("threads", NEED, struct rn_site_compute, threads),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t log_fields[] = {
    WORD(NEED, struct rn_site_log, format, log_formats),
    WORD(NEED, struct rn_site_log, level, log_levels),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t site_fields[] = {
    CYAML_FIELD_UINT("version", NEED, struct rn_site, version),
    WORD(NEED, struct rn_site, role, roles),
    TEXT(NEED, struct rn_site, federation),
    TEXT(NEED, struct rn_site, name),
    CYAML_FIELD_MAPPING("network", NEED, struct rn_site, network, network_fields),
    TEXT(NEED, struct rn_site, state),
    TEXT(NEED, struct rn_site, model),
    CYAML_FIELD_MAPPING("data", MAY, struct rn_site, data, data_fields),
    CYAML_FIELD_MAPPING("compute", NEED, struct rn_site, compute, compute_fields),
    CYAML_FIELD_MAPPING("log", NEED, struct rn_site, log, log_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t site_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct rn_site, site_fields)};

static const struct rn_limit limits[] = {
    {"version", RN_LIMIT_U32, offsetof(struct rn_site, version), RN_SITE_VERSION, RN_SITE_VERSION},
    {"compute.threads", RN_LIMIT_U32, offsetof(struct rn_site, compute.threads), 0, 64},
};

const struct rn_limit *rn_site_limits(size_t *out_count)
{
    *out_count = RN_ARRAY_LENGTH(limits);
    return limits;
}

/* host:port or [v6]:port with a port from port_min (0: any, when listening) to 65535. */
static bool address_valid(const char *address, unsigned long port_min)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || strchr(address, '/') != NULL ||
        strchr(address, ' ') != NULL) {
        return false;
    }
    const size_t digits = strlen(colon + 1);
    if (digits < 1 || digits > 5 || strspn(colon + 1, "0123456789") != digits) {
        return false;
    }
    unsigned long port = 0;
    for (const char *at = colon + 1; *at != '\0'; at++) {
        port = port * 10 + (unsigned long)(*at - '0');
    }
    const bool bracketed = address[0] == '[' && colon[-1] == ']';
    return port >= port_min && port <= 65535 &&
           (bracketed || memchr(address, ':', (size_t)(colon - address)) == NULL);
}

static rn_result check_address(const struct rn_yaml_index *index, const char *field,
                               const char *address, unsigned long port_min, bool needed,
                               struct rn_error *err)
{
    if (address[0] == '\0') {
        return needed ? rn_yaml_fail(index, "network.direction", err,
                                     "this direction needs %s: host:port", field)
                      : rn_ok();
    }
    if (!address_valid(address, port_min)) {
        return rn_yaml_fail(index, field, err,
                            "expected host:port or [IPv6]:port with a port from %lu to 65535",
                            port_min);
    }
    return rn_ok();
}

static rn_result check_network(const struct rn_yaml_index *index, const struct rn_site *site,
                               struct rn_error *err)
{
    const struct rn_site_network *network = &site->network;
    const bool dials = network->direction != RN_SITE_LISTEN;
    const bool listens = network->direction != RN_SITE_DIAL;
    const bool member = site->role == RN_SITE_MEMBER;
    RN_TRY(check_address(index, "network.listen", network->listen, 0, listens, err));
    RN_TRY(check_address(index, "network.dial", network->dial, 1, dials && member, err));
    RN_TRY(check_address(index, "network.status", network->status, 0, false, err));
    if (dials && !member && network->peers_count == 0) {
        return rn_yaml_fail(index, "network.direction", err,
                            "a coordinator that dials needs network.peers");
    }
    if (member && network->peers_count != 0) {
        return rn_yaml_fail(index, "network.peers", err, "only a coordinator has peers");
    }
    for (uint32_t i = 0; i < network->peers_count; i++) {
        if (!rn_name_valid(network->peers[i].name) ||
            !address_valid(network->peers[i].address, 1)) {
            return rn_yaml_fail(index, "network.peers", err,
                                "entry %u: expected a member's name and host:port", i + 1);
        }
    }
    return rn_ok();
}

static rn_result site_check(const struct rn_yaml_index *index, struct rn_site *site,
                            struct rn_error *err)
{
    RN_TRY(rn_yaml_check_limits(index, site, limits, RN_ARRAY_LENGTH(limits), err));
    if (!rn_name_valid(site->federation)) {
        return rn_yaml_fail(index, "federation", err, "may only hold a-z, 0-9 and '-'");
    }
    if (!rn_name_valid(site->name)) {
        return rn_yaml_fail(index, "name", err, "may only hold a-z, 0-9 and '-'");
    }
    if (site->role == RN_SITE_MEMBER && !rn_yaml_has(index, "data")) {
        return rn_yaml_fail(index, "role", err, "a member needs the section 'data'");
    }
    if (site->role == RN_SITE_MEMBER && site->data.train[0] == '\0') {
        return rn_yaml_fail(index, "data", err, "a member needs the key 'data.train'");
    }
    if (!rn_yaml_has(index, "data.header")) {
        site->data.header = true;
    }
    return check_network(index, site, err);
}

rn_result rn_site_parse(struct rn_view text, const char *source, struct rn_site *out_site,
                        struct rn_error *err)
{
    RN_CLEANUP(rn_yaml_index_clear) struct rn_yaml_index index = {0};
    rn_result result =
        rn_yaml_load(text, source, &site_schema, out_site, sizeof *out_site, &index, err);
    if (rn_is_ok(result)) {
        result = site_check(&index, out_site, err);
    }
    if (!rn_is_ok(result)) {
        memset(out_site, 0, sizeof *out_site);
    }
    return result;
}

rn_result rn_site_path(char out[static RN_PATH_MAX], const char *directory, const char *path,
                       struct rn_error *err)
{
    if (path[0] == '/') {
        RN_ENSURE(rn_text_format(out, RN_PATH_MAX, "%s", path), err, RN_E_CONFIG,
                  "a path is longer than %d bytes", RN_PATH_MAX - 1);
        return rn_ok();
    }
    return rn_path_join(out, directory, path, err);
}

const char *rn_site_backend_name(enum rn_site_backend backend)
{
    return backends[backend].str;
}

const char *rn_site_format_name(enum rn_site_data_format format)
{
    return format == RN_SITE_FORMAT_AUTO ? NULL : formats[format].str;
}
