/* SPDX-License-Identifier: Apache-2.0
 *
 * Which modules peft would adapt.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/guard.h"
#include "trainer/adapter/peftfile.h"

#include <pcre2.h>
#include <string.h>

/* Enough for any sensible pattern; stops a pattern that would search for ever. */
#define PATTERN_STEPS_MAX 1000000
#define NO_LAYER UINT32_MAX

/* A compiled pattern and what matching it needs. */
struct matcher {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
};

static void matcher_clear(struct matcher *matcher)
{
    pcre2_match_context_free(matcher->context);
    pcre2_match_data_free(matcher->data);
    pcre2_code_free(matcher->code);
}

static rn_result matcher_init(struct matcher *out, const char *pattern, uint32_t options,
                              struct rn_error *err)
{
    int code = 0;
    PCRE2_SIZE offset = 0;

    out->code =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                      options | PCRE2_ANCHORED | PCRE2_NEVER_BACKSLASH_C, &code, &offset, NULL);
    RN_ENSURE(out->code != NULL, err, RN_E_DATA,
              "the module pattern is not a regular expression (at character %zu)", offset + 1);
    out->data = pcre2_match_data_create_from_pattern(out->code, NULL);
    out->context = pcre2_match_context_create(NULL);
    RN_ENSURE(out->data != NULL && out->context != NULL, err, RN_E_MEMORY,
              "no memory for matching");
    (void)pcre2_set_match_limit(out->context, PATTERN_STEPS_MAX);
    return rn_ok();
}

static rn_result matcher_run(struct matcher *matcher, const char *text, bool *out_match,
                             struct rn_error *err)
{
    const int code = pcre2_match(matcher->code, (PCRE2_SPTR)text, strlen(text), 0, 0, matcher->data,
                                 matcher->context);

    RN_ENSURE(code >= 0 || code == PCRE2_ERROR_NOMATCH, err, RN_E_DATA,
              "the module pattern cannot be matched (%d)", code);
    *out_match = code >= 0;
    return rn_ok();
}

/* re.fullmatch */
static rn_result full_match(const char *pattern, const char *module, bool *out_match,
                            struct rn_error *err)
{
    RN_CLEANUP(matcher_clear) struct matcher matcher = {0};

    RN_TRY(matcher_init(&matcher, pattern, PCRE2_ENDANCHORED, err));
    return matcher_run(&matcher, module, out_match, err);
}

/* module equals name, or ends with "." name. */
static bool ends_with_name(const char *module, const char *name)
{
    const size_t length = strlen(module);
    const size_t ending = strlen(name);

    return length >= ending && strcmp(module + length - ending, name) == 0 &&
           (length == ending || module[length - ending - 1] == '.');
}

static bool listed(const struct rn_peft_names *names, const char *module)
{
    for (size_t i = 0; i < names->count; i++) {
        if (ends_with_name(module, names->names[i])) {
            return true;
        }
    }
    return false;
}

static bool listed_exactly(const struct rn_peft_names *names, const char *module)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(module, names->names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* A module to save stands anywhere in the path: (^|.*\.)name($|\..*) */
static bool is_saved(const struct rn_peft_names *names, const char *module)
{
    for (size_t i = 0; i < names->count; i++) {
        const size_t length = strlen(names->names[i]);
        for (const char *at = strstr(module, names->names[i]); at != NULL;
             at = strstr(at + 1, names->names[i])) {
            if ((at == module || at[-1] == '.') && (at[length] == '\0' || at[length] == '.')) {
                return true;
            }
        }
    }
    return false;
}

/* The number that a run of digits spells, NO_LAYER when it is none or too large. */
static uint32_t layer_number(const char *text, size_t length)
{
    uint32_t number = 0;

    if (length == 0 || length > 6) {
        return NO_LAYER;
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return NO_LAYER;
        }
        number = number * 10 + (uint32_t)(text[i] - '0');
    }
    return number;
}

/* .*?\.[^.]*\.(\d+)\. : the first number in the path with two names before it and one after. */
static uint32_t plain_layer(const char *module)
{
    unsigned before = 0;

    for (const char *start = module;; before++) {
        const char *dot = strchr(start, '.');
        if (dot == NULL) {
            return NO_LAYER;
        }
        const uint32_t number = layer_number(start, (size_t)(dot - start));
        if (number != NO_LAYER && before >= 2) {
            return number;
        }
        start = dot + 1;
    }
}

/* (?:^|.*?\.)pattern\.(?P<idx>\d+)\. */
static rn_result pattern_layer(const char *pattern, const char *module, uint32_t *out,
                               struct rn_error *err)
{
    RN_CLEANUP(matcher_clear) struct matcher matcher = {0};
    char whole[RN_PEFT_PATTERN_BYTES_MAX + 64];
    PCRE2_UCHAR *digits = NULL;
    PCRE2_SIZE length = 0;
    bool match = false;

    RN_ENSURE(rn_text_format(whole, sizeof whole, "(?:^|.*?\\.)%s\\.(?P<idx>\\d+)\\.", pattern),
              err, RN_E_DATA, "layers_pattern is too long");
    RN_TRY(matcher_init(&matcher, whole, 0, err));
    RN_TRY(matcher_run(&matcher, module, &match, err));
    *out = NO_LAYER;
    if (match &&
        pcre2_substring_get_byname(matcher.data, (PCRE2_SPTR) "idx", &digits, &length) == 0) {
        *out = layer_number((const char *)digits, length);
        pcre2_substring_free(digits);
    }
    return rn_ok();
}

static rn_result layer_of(const struct rn_peft_config *config, const char *module, uint32_t *out,
                          struct rn_error *err)
{
    const struct rn_peft_names *patterns = &config->layers_pattern;

    if (patterns->pattern != NULL) {
        return pattern_layer(patterns->pattern, module, out, err);
    }
    *out = patterns->count == 0 ? plain_layer(module) : NO_LAYER;
    for (size_t i = 0; i < patterns->count && *out == NO_LAYER; i++) {
        RN_TRY(pattern_layer(patterns->names[i], module, out, err));
    }
    return rn_ok();
}

static rn_result in_layers(const struct rn_peft_config *config, const char *module, bool *out_in,
                           struct rn_error *err)
{
    uint32_t layer = NO_LAYER;

    *out_in = config->layer_count == 0;
    if (*out_in) {
        return rn_ok();
    }
    RN_TRY(layer_of(config, module, &layer, err));
    for (size_t i = 0; i < config->layer_count; i++) {
        *out_in = *out_in || (layer != NO_LAYER && config->layers[i] == layer);
    }
    return rn_ok();
}

static rn_result is_excluded(const struct rn_peft_config *config, const char *module, bool *out,
                             struct rn_error *err)
{
    *out = listed(&config->excluded, module) || is_saved(&config->saved, module);
    if (!*out && config->excluded.pattern != NULL) {
        return full_match(config->excluded.pattern, module, out, err);
    }
    return rn_ok();
}

rn_result rn_peft_target_match(const struct rn_peft_config *config, const char *module,
                               bool *out_match, struct rn_error *err)
{
    bool excluded = false;

    RN_TRY(is_excluded(config, module, &excluded, err));
    *out_match = false;
    if (excluded) {
        return rn_ok();
    }
    if (config->targets.pattern != NULL) {
        return full_match(config->targets.pattern, module, out_match, err);
    }
    if (listed_exactly(&config->targets, module)) { /* in peft, layers do not restrict these */
        *out_match = true;
        return rn_ok();
    }
    if (config->all_linear || listed(&config->targets, module)) {
        return in_layers(config, module, out_match, err);
    }
    return rn_ok();
}

rn_result rn_peft_rule_find(const struct rn_peft_rules *rules, const char *module,
                            const struct rn_peft_rule **out_rule, struct rn_error *err)
{
    char whole[RN_PEFT_PATTERN_BYTES_MAX + 16];

    *out_rule = NULL;
    for (size_t i = 0; i < rules->count && *out_rule == NULL; i++) {
        bool match = false;
        RN_ENSURE(rn_text_format(whole, sizeof whole, "(.*\\.)?(%s)$", rules->rules[i].expression),
                  err, RN_E_DATA, "an expression of rank_pattern or alpha_pattern is too long");
        RN_CLEANUP(matcher_clear) struct matcher matcher = {0};
        RN_TRY(matcher_init(&matcher, whole, 0, err));
        RN_TRY(matcher_run(&matcher, module, &match, err));
        *out_rule = match ? &rules->rules[i] : NULL;
    }
    return rn_ok();
}
