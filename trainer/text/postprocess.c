/* SPDX-License-Identifier: Apache-2.0
 *
 * Post-processors as templates, and truncation.
 */
#include "trainer/text/tokenizerparts.h"

#include "base/guard.h"
#include "trainer/ground/jsonfile.h"

#include <string.h>

static const struct rn_template plain_template = {
    .single = {{RN_TEMPLATE_FIRST, 0, 0}},
    .single_count = 1,
    .pair = {{RN_TEMPLATE_FIRST, 0, 0}, {RN_TEMPLATE_SECOND, 1, 0}},
    .pair_count = 2,
};

/* "sep": ["</s>", 2] */
static rn_result read_named_id(const json_t *processor, const char *key, const char *name,
                               uint32_t *out, struct rn_error *err)
{
    const json_t *id = json_array_get(json_object_get(processor, key), 1);
    const json_int_t value = json_integer_value(id);

    RN_ENSURE(json_is_integer(id) && value >= 0 && value < RN_TOKENIZER_VOCABULARY_MAX, err,
              RN_E_DATA, "%s: post_processor.%s must be a token and its id", name, key);
    *out = (uint32_t)value;
    return rn_ok();
}

/* BERT: [CLS] A [SEP] B [SEP], B and its end of type 1. RoBERTa: <s> A </s> </s> B </s>, type 0. */
static rn_result read_classic(const json_t *processor, const char *name, bool roberta,
                              struct rn_template *out, struct rn_error *err)
{
    const uint8_t second = roberta ? 0 : 1;
    uint32_t cls = 0;
    uint32_t sep = 0;

    RN_TRY(read_named_id(processor, "cls", name, &cls, err));
    RN_TRY(read_named_id(processor, "sep", name, &sep, err));
    const struct rn_template_item start = {RN_TEMPLATE_SPECIAL, 0, cls};
    const struct rn_template_item end = {RN_TEMPLATE_SPECIAL, 0, sep};
    const struct rn_template_item first = {RN_TEMPLATE_FIRST, 0, 0};
    struct rn_template_item *pair = out->pair;
    memcpy(out->single, (struct rn_template_item[]){start, first, end}, 3 * sizeof start);
    out->single_count = 3;
    memcpy(pair, out->single, 3 * sizeof start);
    pair += 3;
    if (roberta) {
        *pair++ = end;
    }
    *pair++ = (struct rn_template_item){RN_TEMPLATE_SECOND, second, 0};
    *pair++ = (struct rn_template_item){RN_TEMPLATE_SPECIAL, second, sep};
    out->pair_count = (size_t)(pair - out->pair);
    return rn_ok();
}

struct list {
    struct rn_template_item *items;
    size_t count;
};

static rn_result append_special(const json_t *specials, const char *text, uint8_t type_id,
                                const char *name, struct list *out, struct rn_error *err)
{
    const json_t *ids =
        json_object_get(text == NULL ? NULL : json_object_get(specials, text), "ids");

    RN_ENSURE(json_is_array(ids), err, RN_E_DATA,
              "%s: post_processor: a special token is not described in special_tokens", name);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        const json_int_t value = json_integer_value(id);
        RN_ENSURE(json_is_integer(id) && value >= 0 && value < RN_TOKENIZER_VOCABULARY_MAX, err,
                  RN_E_DATA, "%s: post_processor: a special token's id is not in range", name);
        RN_ENSURE(out->count < RN_TOKENIZER_TEMPLATE_MAX, err, RN_E_DATA,
                  "%s: post_processor: a template has more than %d tokens", name,
                  RN_TOKENIZER_TEMPLATE_MAX);
        out->items[out->count++] =
            (struct rn_template_item){RN_TEMPLATE_SPECIAL, type_id, (uint32_t)value};
    }
    return rn_ok();
}

/* {"SpecialToken": {"id": "[CLS]", "type_id": 0}} or {"Sequence": {"id": "A", "type_id": 0}} */
static rn_result append_item(const json_t *item, const json_t *specials, const char *name,
                             struct list *out, struct rn_error *err)
{
    const json_t *special = json_object_get(item, "SpecialToken");
    const json_t *sequence = json_object_get(item, "Sequence");
    const json_t *body = special != NULL ? special : sequence;
    uint32_t type_id = 0;

    RN_ENSURE(json_is_object(body), err, RN_E_DATA,
              "%s: post_processor: a template entry is neither SpecialToken nor Sequence", name);
    RN_TRY(rn_json_get_count(body, name, "type_id", 0, 15, &type_id, err));
    const char *id = json_string_value(json_object_get(body, "id"));
    if (special != NULL) {
        return append_special(specials, id, (uint8_t)type_id, name, out, err);
    }
    const bool second = id != NULL && strcmp(id, "B") == 0;
    RN_ENSURE(second || (id != NULL && strcmp(id, "A") == 0), err, RN_E_DATA,
              "%s: post_processor: a sequence is neither A nor B", name);
    RN_ENSURE(out->count < RN_TOKENIZER_TEMPLATE_MAX, err, RN_E_DATA,
              "%s: post_processor: a template has more than %d tokens", name,
              RN_TOKENIZER_TEMPLATE_MAX);
    out->items[out->count++] = (struct rn_template_item){
        second ? RN_TEMPLATE_SECOND : RN_TEMPLATE_FIRST, (uint8_t)type_id, 0};
    return rn_ok();
}

static rn_result read_list(const json_t *processor, const char *key, const char *name,
                           struct list *out, struct rn_error *err)
{
    const json_t *list = json_object_get(processor, key);
    const json_t *specials = json_object_get(processor, "special_tokens");

    RN_ENSURE(json_is_array(list), err, RN_E_DATA, "%s: post_processor.%s must be a list", name,
              key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        RN_TRY(append_item(json_array_get(list, i), specials, name, out, err));
    }
    return rn_ok();
}

static size_t count_kind(const struct rn_template_item *items, size_t count,
                         enum rn_template_kind kind)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        found += items[i].kind == kind ? 1 : 0;
    }
    return found;
}

static rn_result read_template(const json_t *processor, const char *name, struct rn_template *out,
                               struct rn_error *err)
{
    struct list single = {out->single, 0};
    struct list pair = {out->pair, 0};

    RN_TRY(read_list(processor, "single", name, &single, err));
    RN_TRY(read_list(processor, "pair", name, &pair, err));
    RN_ENSURE(count_kind(single.items, single.count, RN_TEMPLATE_FIRST) == 1 &&
                  count_kind(single.items, single.count, RN_TEMPLATE_SECOND) == 0 &&
                  count_kind(pair.items, pair.count, RN_TEMPLATE_FIRST) == 1 &&
                  count_kind(pair.items, pair.count, RN_TEMPLATE_SECOND) == 1,
              err, RN_E_UNSUPPORTED,
              "%s: post_processor: a template must name each text exactly once", name);
    out->single_count = single.count;
    out->pair_count = pair.count;
    return rn_ok();
}

static rn_result read_sequence(const json_t *processor, const char *name, struct rn_template *out,
                               struct rn_error *err);

static rn_result read_processor(const json_t *processor, const char *name, struct rn_template *out,
                                struct rn_error *err)
{
    const char *type = json_string_value(json_object_get(processor, "type"));

    RN_ENSURE(type != NULL, err, RN_E_DATA, "%s: post_processor has no type", name);
    if (strcmp(type, "ByteLevel") == 0) { /* concerns offsets only */
        return rn_ok();
    }
    if (strcmp(type, "BertProcessing") == 0) {
        return read_classic(processor, name, false, out, err);
    }
    if (strcmp(type, "RobertaProcessing") == 0) {
        return read_classic(processor, name, true, out, err);
    }
    if (strcmp(type, "TemplateProcessing") == 0) {
        return read_template(processor, name, out, err);
    }
    RN_ENSURE(strcmp(type, "Sequence") == 0, err, RN_E_UNSUPPORTED,
              "%s: post_processor %.40s is not supported", name, type);
    return read_sequence(processor, name, out, err);
}

static rn_result read_sequence(const json_t *processor, const char *name, struct rn_template *out,
                               struct rn_error *err)
{
    const json_t *list = json_object_get(processor, "processors");
    size_t templates = 0;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const char *type = json_string_value(json_object_get(entry, "type"));
        const bool harmless = type != NULL && strcmp(type, "ByteLevel") == 0;
        templates += harmless ? 0 : 1;
        RN_ENSURE(templates <= 1 && (type == NULL || strcmp(type, "Sequence") != 0), err,
                  RN_E_UNSUPPORTED, "%s: post_processor: this Sequence is not supported", name);
        RN_TRY(read_processor(entry, name, out, err));
    }
    return rn_ok();
}

rn_result rn_template_read(const json_t *processor, const char *name, struct rn_template *out,
                           struct rn_error *err)
{
    *out = plain_template;
    if (processor == NULL || json_is_null(processor)) {
        return rn_ok();
    }
    return read_processor(processor, name, out, err);
}

size_t rn_template_specials(const struct rn_template *post, bool pair)
{
    return pair ? count_kind(post->pair, post->pair_count, RN_TEMPLATE_SPECIAL)
                : count_kind(post->single, post->single_count, RN_TEMPLATE_SPECIAL);
}

void rn_truncate_longest_first(size_t room, size_t *first, size_t *second)
{
    size_t *shorter = *first <= *second ? first : second;
    size_t *longer = *first <= *second ? second : first;

    if (*shorter + *longer <= room) {
        return;
    }
    if (*shorter > room) {
        *longer = *shorter;
    } else {
        *longer = *shorter > room - *shorter ? *shorter : room - *shorter;
    }
    if (*shorter + *longer > room) {
        *shorter = room / 2;
        *longer = *shorter + room % 2;
    }
}
