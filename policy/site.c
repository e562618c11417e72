/* SPDX-License-Identifier: Apache-2.0
 *
 * Every field of site.yaml, and the rules between its fields.
 */
#include "policy/site.h"

#include <string.h>

#include "base/guard.h"
#include "policy/yamlfile.h"

static const struct rn_word roles[] = {{"member", RN_SITE_MEMBER},
                                       {"coordinator", RN_SITE_COORDINATOR}};
static const struct rn_word directions[] = {
    {"dial", RN_SITE_DIAL}, {"listen", RN_SITE_LISTEN}, {"both", RN_SITE_BOTH}};
static const struct rn_word formats[] = {{"auto", RN_SITE_FORMAT_AUTO},
                                         {"tsv", RN_SITE_FORMAT_TSV},
                                         {"csv", RN_SITE_FORMAT_CSV},
                                         {"jsonl", RN_SITE_FORMAT_JSONL},
                                         {"tsv-quoted", RN_SITE_FORMAT_TSV_QUOTED},
                                         {"csv-semicolon", RN_SITE_FORMAT_CSV_SEMICOLON}};
static const struct rn_word encodings[] = {
    {"utf-8", RN_SITE_UTF8}, {"latin-1", RN_SITE_LATIN1}, {"windows-1252", RN_SITE_WINDOWS1252}};
static const struct rn_word backends[] = {{"cpu", RN_SITE_CPU},
                                          {"cpu-bf16", RN_SITE_CPU_BF16},
                                          {"ref", RN_SITE_REF},
                                          {"cuda", RN_SITE_CUDA}};
static const struct rn_word kernels[] = {{"auto", RN_SITE_KERNELS_AUTO},
                                         {"amx", RN_SITE_KERNELS_AMX},
                                         {"onednn", RN_SITE_KERNELS_ONEDNN},
                                         {"float32", RN_SITE_KERNELS_FLOAT32}};
static const struct rn_word log_formats[] = {{"text", RN_SITE_LOG_TEXT},
                                             {"json", RN_SITE_LOG_JSON}};
static const struct rn_word log_levels[] = {{"debug", RN_SITE_DEBUG},
                                            {"info", RN_SITE_INFO},
                                            {"warn", RN_SITE_WARN},
                                            {"error", RN_SITE_ERROR}};

#define IN(type, member) \
    .offset = offsetof(struct type, member), .size = sizeof(((struct type *)NULL)->member)
#define AT(member) IN(rn_site, member)
#define ONE_OF(table) .words = (table), .word_count = RN_ARRAY_LENGTH(table)

static const struct rn_field peer_fields[] = {
    {"name", RN_FIELD_NAME, IN(rn_site_peer, name)},
    {"address", RN_FIELD_TEXT, IN(rn_site_peer, address)},
};
static const struct rn_field_table peer_table = {.fields = peer_fields,
                                                 .count = RN_ARRAY_LENGTH(peer_fields)};

static const struct rn_field fields[] = {
    {"version", RN_FIELD_U32, AT(version), .least = RN_SITE_VERSION, .most = RN_SITE_VERSION,
     .meaning = "of the format"},
    {"role", RN_FIELD_WORD, AT(role), ONE_OF(roles), .meaning = "`member` or `coordinator`"},
    {"federation", RN_FIELD_NAME, AT(federation), .meaning = "as in plan and certificates"},
    {"name", RN_FIELD_NAME, AT(name),
     .meaning = "the member's name; `coordinator` at the coordinator"},
    {"network.direction", RN_FIELD_WORD, AT(network.direction), ONE_OF(directions),
     .meaning = "`dial`, `listen` or `both`: who opens connections, seen from here"},
    {"network.listen", RN_FIELD_TEXT, AT(network.listen), .optional = true,
     .meaning = "`host:port` or `[IPv6]:port`; needed unless the direction is `dial`"},
    {"network.dial", RN_FIELD_TEXT, AT(network.dial), .optional = true,
     .meaning = "member that dials: the coordinator's address"},
    {"network.peers", RN_FIELD_ROWS, .optional = true, .most = RN_SITE_PEERS_MAX,
     .offset = offsetof(struct rn_site, network.peers), .size = sizeof(struct rn_site_peer),
     .count_offset = offsetof(struct rn_site, network.peers_count), .columns = &peer_table,
     .meaning = "coordinator that dials: list of `name` and `address`, at most 1024"},
    {"state", RN_FIELD_TEXT, AT(state),
     .meaning = "directory of journal, socket and adapters; relative paths start at the site's "
                "directory"},
    {"model", RN_FIELD_TEXT, AT(model), .meaning = "base model, a Hugging Face directory"},
    {"data", RN_FIELD_SECTION, .optional = true},
    {"data.train", RN_FIELD_TEXT, AT(data.train), .optional = true,
     .meaning = "TSV, CSV, JSONL or IDX, plain or gzip; a member needs it, a coordinator has none"},
    {"data.dev", RN_FIELD_TEXT, AT(data.dev), .optional = true, .meaning = "data to measure on"},
    {"data.format", RN_FIELD_WORD, AT(data.format), ONE_OF(formats), .optional = true,
     .absent = "auto",
     .meaning =
         "`auto` (by file name), `tsv`, `csv`, `jsonl`, `tsv-quoted` (tabs, but cells quoted "
         "as in CSV), `csv-semicolon`"},
    {"data.encoding", RN_FIELD_WORD, AT(data.encoding), ONE_OF(encodings), .optional = true,
     .absent = "utf-8", .meaning = "`utf-8`, `latin-1` or `windows-1252`"},
    {"data.text", RN_FIELD_TEXT, AT(data.text),
     .meaning = "column of the text, by name, or by number from 0 without header; of rows of "
                "numbers `*` or "
                "`FIRST:LAST`"},
    {"data.pair", RN_FIELD_TEXT, AT(data.pair), .optional = true,
     .meaning = "column of a second text"},
    {"data.label", RN_FIELD_TEXT, AT(data.label), .meaning = "column of the label or target"},
    {"data.header", RN_FIELD_SWITCH, AT(data.header), .optional = true, .absent = "true",
     .meaning = "`true` or `false`: the first line of TSV and CSV names the columns"},
    {"compute.backend", RN_FIELD_WORD, AT(compute.backend), ONE_OF(backends),
     .meaning = "`cpu`, `cpu-bf16`, `ref` or `cuda`"},
    {"compute.kernels", RN_FIELD_WORD, AT(compute.kernels), ONE_OF(kernels), .optional = true,
     .absent = "auto",
     .meaning = "what `cpu-bf16` multiplies with: `amx`, `onednn`, `float32`, the same at every "
                "start, or `auto`, the fastest of them that is measured at the start"},
    {"compute.threads", RN_FIELD_U32, AT(compute.threads), .most = 64,
     .meaning = "0: one per core"},
    {"limits", RN_FIELD_SECTION, .optional = true},
    {"limits.upload_memory", RN_FIELD_BYTES, AT(limits.upload_memory), .optional = true,
     .least = RN_SITE_LIMIT_LEAST, .most = RN_SITE_LIMIT_MOST,
     .meaning = "coordinator: bytes of unfinished uploads held in memory, `K`, `M` or `G` may "
                "follow, the rest lies in `state`; absent: a quarter of what is free, 64M to 4G"},
    {"limits.kept_sums", RN_FIELD_BYTES, AT(limits.kept_sums), .optional = true,
     .least = RN_SITE_LIMIT_LEAST, .most = RN_SITE_LIMIT_MOST,
     .meaning = "coordinator: bytes on disk of summed rounds that are kept for members that stay "
                "away; who lacks older ones sits the rest of the job out; absent: 16G"},
    {"log.format", RN_FIELD_WORD, AT(log.format), ONE_OF(log_formats),
     .meaning = "`text` or `json`"},
    {"log.level", RN_FIELD_WORD, AT(log.level), ONE_OF(log_levels),
     .meaning = "`debug`, `info`, `warn`, `error`"},
};

static const struct rn_field_table table = {
    .fields = fields, .count = RN_ARRAY_LENGTH(fields), .bytes_max = RN_SITE_BYTES_MAX};

const struct rn_field_table *rn_site_fields(void)
{
    return &table;
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
    if (dials && !member && network->peers_count == 0) {
        return rn_yaml_fail(index, "network.direction", err,
                            "a coordinator that dials needs network.peers");
    }
    if (member && network->peers_count != 0) {
        return rn_yaml_fail(index, "network.peers", err, "only a coordinator has peers");
    }
    for (uint32_t i = 0; i < network->peers_count; i++) {
        if (!address_valid(network->peers[i].address, 1)) {
            return rn_yaml_fail(index, "network.peers", err,
                                "entry %u: expected host:port as the address", i + 1);
        }
    }
    return rn_ok();
}

static rn_result site_check(const struct rn_yaml_index *index, struct rn_site *site,
                            struct rn_error *err)
{
    if (site->role == RN_SITE_MEMBER && !rn_yaml_has(index, "data")) {
        return rn_yaml_fail(index, "role", err, "a member needs the section 'data'");
    }
    if (site->role == RN_SITE_MEMBER && site->data.train[0] == '\0') {
        return rn_yaml_fail(index, "data", err, "a member needs the key 'data.train'");
    }
    if (site->role == RN_SITE_MEMBER && site->limits.upload_memory != 0) {
        return rn_yaml_fail(index, "limits.upload_memory", err,
                            "only a coordinator holds uploads: remove this key");
    }
    if (site->role == RN_SITE_MEMBER && site->limits.kept_sums != 0) {
        return rn_yaml_fail(index, "limits.kept_sums", err,
                            "only a coordinator keeps sums: remove this key");
    }
    if (site->compute.kernels != RN_SITE_KERNELS_AUTO &&
        site->compute.backend != RN_SITE_CPU_BF16) {
        return rn_yaml_fail(index, "compute.kernels", err,
                            "only the backend cpu-bf16 has a choice: remove this key");
    }
    return check_network(index, site, err);
}

rn_result rn_site_parse(struct rn_view text, const char *source, struct rn_site *out_site,
                        struct rn_error *err)
{
    RN_CLEANUP(rn_yaml_index_clear) struct rn_yaml_index index = {0};
    rn_result result = rn_yaml_load(text, source, &table, out_site, sizeof *out_site, &index, err);
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
    const bool fits = path[0] == '/' ? rn_text_format(out, RN_PATH_MAX, "%s", path)
                                     : rn_text_format(out, RN_PATH_MAX, "%s/%s", directory, path);
    RN_ENSURE(fits, err, RN_E_CONFIG, "a path is longer than %d bytes", RN_PATH_MAX - 1);
    return rn_ok();
}

const char *rn_site_backend_name(enum rn_site_backend backend)
{
    return backends[backend].text;
}

const char *rn_site_kernels_name(enum rn_site_kernels of)
{
    return kernels[of].text;
}

const char *rn_site_format_name(enum rn_site_data_format format)
{
    return format == RN_SITE_FORMAT_AUTO ? NULL : formats[format].text;
}

const char *rn_site_encoding_name(enum rn_site_encoding encoding)
{
    return encodings[encoding].text;
}

/* The place of a name in a list of words, 0 for NULL; count when it is not there. */
static size_t word_place(const struct rn_word *words, size_t count, const char *name)
{
    size_t i = 0;
    while (name != NULL && i < count && strcmp(words[i].text, name) != 0) {
        i++;
    }
    return i;
}

bool rn_site_format_find(const char *name, enum rn_site_data_format *out)
{
    const size_t place = word_place(formats, RN_ARRAY_LENGTH(formats), name);
    *out = (enum rn_site_data_format)place;
    return place < RN_ARRAY_LENGTH(formats);
}

bool rn_site_encoding_find(const char *name, enum rn_site_encoding *out)
{
    const size_t place = word_place(encodings, RN_ARRAY_LENGTH(encodings), name);
    *out = (enum rn_site_encoding)place;
    return place < RN_ARRAY_LENGTH(encodings);
}
