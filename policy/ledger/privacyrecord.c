/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/ledger/privacyrecord.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "crypto/roster.h"
#include "crypto/sha256.h"

enum value_kind { HASH, NAME, U32, U64, REAL, WORD };

struct field {
    const char *name;
    enum value_kind kind;
    size_t offset; /* in struct rn_privacy_record */
    const struct rn_word *words;
    size_t word_count;
};

static const struct rn_word units[] = {{"record", RN_PRIVACY_UNIT_RECORD},
                                       {"person", RN_PRIVACY_UNIT_PERSON}};
static const struct rn_word adjacencies[] = {{"zero-out", RN_PRIVACY_ZERO_OUT},
                                             {"add-remove", RN_PRIVACY_ADD_REMOVE}};
static const struct rn_word samplers[] = {{"poisson", RN_PRIVACY_SAMPLER_POISSON},
                                          {"all", RN_PRIVACY_SAMPLER_ALL},
                                          {"allocation", RN_PRIVACY_SAMPLER_ALLOCATION}};
static const struct rn_word matrices[] = {
    {"A", RN_PRIVACY_MATRICES_A}, {"B", RN_PRIVACY_MATRICES_B}, {"A+B", RN_PRIVACY_MATRICES_BOTH}};
static const struct rn_word rngs[] = {{"system", RN_PRIVACY_RNG_SYSTEM},
                                      {"test-seed", RN_PRIVACY_RNG_TEST_SEED}};
static const struct rn_word statuses[] = {{"sent", RN_PRIVACY_SENT},
                                          {"dropped", RN_PRIVACY_DROPPED},
                                          {"aborted", RN_PRIVACY_ABORTED},
                                          {"failed", RN_PRIVACY_FAILED}};
static const struct rn_word mechanisms[] = {{"constant", RN_PRIVACY_CONSTANT},
                                            {"stated", RN_PRIVACY_STATED}};

#define VALUE(name_, kind_, member_)                                                               \
    {                                                                                              \
        .name = (name_), .kind = (kind_), .offset = offsetof(struct rn_privacy_record, as.member_) \
    }
#define CHOICE(name_, member_, words_)                                                           \
    {                                                                                            \
        .name = (name_), .kind = WORD, .offset = offsetof(struct rn_privacy_record, as.member_), \
        .words = (words_), .word_count = RN_ARRAY_LENGTH(words_)                                 \
    }

static const struct field header_fields[] = {VALUE("version", U32, header.version),
                                             VALUE("identity", HASH, header.identity),
                                             VALUE("lineage", NAME, header.lineage),
                                             VALUE("commitment", HASH, header.commitment),
                                             CHOICE("unit", header.unit, units),
                                             VALUE("group", U32, header.group),
                                             VALUE("records-max", U64, header.records_max),
                                             CHOICE("adjacency", header.adjacency, adjacencies),
                                             VALUE("epsilon", REAL, header.epsilon),
                                             VALUE("delta", REAL, header.delta),
                                             VALUE("order", REAL, header.order),
                                             VALUE("bound", REAL, header.bound)};
/* The same but for one field. */
#define PLAN_FIRST                                                                              \
    VALUE("plan", HASH, plan.hash), VALUE("name", NAME, plan.name),                             \
        CHOICE("method", plan.method, rn_plan_method_words), VALUE("rounds", U32, plan.rounds), \
        VALUE("trainings", U32, plan.trainings), VALUE("steps", U32, plan.steps),               \
        CHOICE("sampler", plan.sampler, samplers), VALUE("threshold", U64, plan.threshold),     \
        VALUE("cap", U32, plan.cap), VALUE("noise", REAL, plan.noise),                          \
        VALUE("clip", REAL, plan.clip), VALUE("grid", U32, plan.grid),                          \
        VALUE("denominator", REAL, plan.denominator), VALUE("dimension", U64, plan.dimension)
#define PLAN_LAST                                                                   \
    VALUE("epsilon", REAL, plan.epsilon), VALUE("deviation", REAL, plan.deviation), \
        VALUE("cut", REAL, plan.cut), VALUE("before", REAL, plan.filter_before),    \
        VALUE("after", REAL, plan.filter_after)
static const struct field plan_fields[] = {PLAN_FIRST, PLAN_LAST};
static const struct field shared_fields[] = {PLAN_FIRST, VALUE("honest", U32, plan.honest),
                                             PLAN_LAST};
static const struct field intent_fields[] = {
    VALUE("counter", U64, intent.counter), VALUE("plan", HASH, intent.plan),
    VALUE("round", U32, intent.round),     VALUE("training", U32, intent.training),
    VALUE("steps", U32, intent.steps),     VALUE("adapter", HASH, intent.adapter),
    VALUE("keys", HASH, intent.keys),      CHOICE("matrices", intent.matrices, matrices),
    CHOICE("rng", intent.rng, rngs)};
static const struct field commit_fields[] = {VALUE("counter", U64, commit.counter),
                                             VALUE("output", HASH, commit.output),
                                             CHOICE("status", commit.status, statuses)};
static const struct field close_fields[] = {VALUE("plan", HASH, close.plan),
                                            VALUE("trainings", U32, close.trainings),
                                            VALUE("filter", REAL, close.filter)};
static const struct field release_fields[] = {
    VALUE("what", NAME, release.what), CHOICE("mechanism", release.mechanism, mechanisms),
    VALUE("epsilon", REAL, release.epsilon), VALUE("delta", REAL, release.delta),
    VALUE("filter", REAL, release.filter)};
static const struct field nonprivate_fields[] = {VALUE("plan", HASH, nonprivate.plan),
                                                 VALUE("name", NAME, nonprivate.name)};

struct kind {
    const char *name;
    const struct field *fields;
    size_t count;
};
#define KIND(name_, fields_)                         \
    {                                                \
        (name_), (fields_), RN_ARRAY_LENGTH(fields_) \
    }
static const struct kind kinds[RN_PRIVACY_RECORD_KINDS] = {
    [RN_PRIVACY_RECORD_HEADER] = KIND("rondo-privacy", header_fields),
    [RN_PRIVACY_RECORD_PLAN] = KIND("plan", plan_fields),
    [RN_PRIVACY_RECORD_INTENT] = KIND("intent", intent_fields),
    [RN_PRIVACY_RECORD_COMMIT] = KIND("commit", commit_fields),
    [RN_PRIVACY_RECORD_CLOSE] = KIND("close", close_fields),
    [RN_PRIVACY_RECORD_RELEASE] = KIND("release", release_fields),
    [RN_PRIVACY_RECORD_NONPRIVATE] = KIND("nonprivate", nonprivate_fields),
    [RN_PRIVACY_RECORD_SHARED] = KIND("shared", shared_fields)};

/* ---- Writing. */

static const char *word_text(const struct rn_word *words, size_t count, uint32_t value)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i].value == value) {
            return words[i].text;
        }
    }
    return "?"; /* which no parser takes */
}

static void value_write(const struct field *field, const void *value, struct rn_buffer *out)
{
    char hex[65];
    uint32_t word;
    switch (field->kind) {
    case HASH:
        rn_hex_encode(hex, value, 32);
        rn_buffer_format(out, "%s", hex);
        break;
    case NAME:
        rn_buffer_format(out, "%s", (const char *)value);
        break;
    case U32:
        rn_buffer_format(out, "%" PRIu32, *(const uint32_t *)value);
        break;
    case U64:
        rn_buffer_format(out, "%" PRIu64, *(const uint64_t *)value);
        break;
    case REAL:
        rn_buffer_format(out, "%a", *(const double *)value);
        break;
    case WORD:
        memcpy(&word, value, sizeof word);
        rn_buffer_format(out, "%s", word_text(field->words, field->word_count, word));
        break;
    }
}

void rn_privacy_record_write(const struct rn_privacy_record *record, struct rn_buffer *out)
{
    RN_BUG_IF(record->kind >= RN_PRIVACY_RECORD_KINDS);
    const struct kind *kind = &kinds[record->kind];
    rn_buffer_format(out, "%s", kind->name);
    for (size_t i = 0; i < kind->count; i++) {
        rn_buffer_format(out, " %s ", kind->fields[i].name);
        value_write(&kind->fields[i], (const char *)record + kind->fields[i].offset, out);
    }
}

/* ---- Reading: what a value may look like is left to the comparison at the end. */

enum { TOKEN_MAX = 64 }; /* a hash is the longest */

/* The next token, ended by a NUL; false after the last, and for one that is empty or too long. */
static bool token_take(struct rn_view *text, char out[static TOKEN_MAX + 1])
{
    const uint8_t *space = text->length > 0 ? memchr(text->data, ' ', text->length) : NULL;
    const size_t length = space != NULL ? (size_t)(space - text->data) : text->length;
    if (length == 0 || length > TOKEN_MAX || memchr(text->data, 0, length) != NULL) {
        return false;
    }
    memcpy(out, text->data, length);
    out[length] = '\0';
    const size_t taken = space != NULL ? length + 1 : length;
    *text = rn_view_of(text->data + taken, text->length - taken);
    return true;
}

static bool whole_take(const char *token, uint64_t most, uint64_t *out)
{
    *out = 0;
    for (; *token >= '0' && *token <= '9'; token++) {
        const uint64_t digit = (uint64_t)(*token - '0');
        if (*out > (most - digit) / 10) {
            return false;
        }
        *out = *out * 10 + digit;
    }
    return *token == '\0';
}

static bool real_take(const char *token, double *out)
{
    char *end = NULL;
    if (strncmp(token, "0x", 2) != 0) {
        return false;
    }
    *out = strtod(token, &end);
    return *end == '\0' && isfinite(*out);
}

static bool name_take(const char *token, char *out)
{
    return rn_name_valid(token) && rn_text_format(out, RN_PRIVACY_NAME_MAX + 1, "%s", token);
}

static bool word_take(const struct field *field, const char *token, void *out)
{
    for (size_t i = 0; i < field->word_count; i++) {
        if (strcmp(field->words[i].text, token) == 0) {
            memcpy(out, &field->words[i].value, sizeof field->words[i].value);
            return true;
        }
    }
    return false;
}

static bool value_take(const struct field *field, const char *token, void *out)
{
    uint64_t whole;
    switch (field->kind) {
    case HASH:
        return rn_hex_decode(out, 32, token);
    case NAME:
        return name_take(token, out);
    case U32:
        if (!whole_take(token, UINT32_MAX, &whole)) {
            return false;
        }
        *(uint32_t *)out = (uint32_t)whole;
        return true;
    case U64:
        return whole_take(token, UINT64_MAX, out);
    case REAL:
        return real_take(token, out);
    case WORD:
        return word_take(field, token, out);
    }
    return false;
}

static bool kind_take(struct rn_view *text, enum rn_privacy_record_kind *out)
{
    char token[TOKEN_MAX + 1];
    if (!token_take(text, token)) {
        return false;
    }
    for (int i = 0; i < RN_PRIVACY_RECORD_KINDS; i++) {
        if (strcmp(kinds[i].name, token) == 0) {
            *out = (enum rn_privacy_record_kind)i;
            return true;
        }
    }
    return false;
}

static bool fields_take(struct rn_view text, struct rn_privacy_record *out)
{
    char token[TOKEN_MAX + 1];
    const struct kind *kind = &kinds[out->kind];
    for (size_t i = 0; i < kind->count; i++) {
        const struct field *field = &kind->fields[i];
        if (!token_take(&text, token) || strcmp(token, field->name) != 0 ||
            !token_take(&text, token) || !value_take(field, token, (char *)out + field->offset)) {
            return false;
        }
    }
    return text.length == 0;
}

bool rn_privacy_record_parse(struct rn_view text, struct rn_privacy_record *out)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer again = {0};
    struct rn_view rest = text;
    memset(out, 0, sizeof *out);
    if (!kind_take(&rest, &out->kind) || !fields_take(rest, out)) {
        return false;
    }
    rn_privacy_record_write(out, &again);
    return rn_view_equal(rn_buffer_view(&again), text);
}

/* ---- Words and commitments. */

const char *rn_privacy_record_name(enum rn_privacy_record_kind kind)
{
    return kind < RN_PRIVACY_RECORD_KINDS ? kinds[kind].name : "?";
}

const char *rn_privacy_status_name(enum rn_privacy_status status)
{
    return word_text(statuses, RN_ARRAY_LENGTH(statuses), status);
}

const char *rn_privacy_unit_name(enum rn_privacy_unit unit)
{
    return word_text(units, RN_ARRAY_LENGTH(units), unit);
}

const char *rn_privacy_adjacency_name(enum rn_privacy_adjacency adjacency)
{
    return word_text(adjacencies, RN_ARRAY_LENGTH(adjacencies), adjacency);
}

const char *rn_privacy_sampler_name(enum rn_privacy_sampler sampler)
{
    return word_text(samplers, RN_ARRAY_LENGTH(samplers), sampler);
}

void rn_privacy_lineage_commit(const uint8_t salt[static 32], const uint8_t data[static 32],
                               const char *lineage, uint8_t out[static 32])
{
    const struct rn_view parts[] = {rn_view_of(salt, 32), rn_view_of(data, 32),
                                    rn_view_text(lineage)};
    rn_sha256(out, "rondo/v1 data lineage", parts, RN_ARRAY_LENGTH(parts));
}

void rn_privacy_keys_commit(const uint8_t sampler[static 32], const uint8_t noise[static 32],
                            uint8_t out[static 32])
{
    const struct rn_view parts[] = {rn_view_of(sampler, 32), rn_view_of(noise, 32)};
    rn_sha256(out, "rondo/v1 privacy keys", parts, RN_ARRAY_LENGTH(parts));
}
