/* SPDX-License-Identifier: Apache-2.0 */
#include "trainer/data/recordwrite.h"

#include "base/guard.h"

#include <jansson.h>

static void set_text(json_t *object, const char *key, struct rn_view text)
{
    (void)json_object_set_new(object, key, json_stringn((const char *)text.data, text.length));
}

rn_result rn_record_write(const struct rn_data_spec *data, const struct rn_record *record,
                          struct rn_buffer *out, struct rn_error *err)
{
    json_t *object = json_object();
    set_text(object, "text", record->text);
    if (data->pair_column != NULL) {
        set_text(object, "pair", record->pair);
    }
    set_text(object, "label", record->label);
    const size_t size = json_dumpb(object, NULL, 0, JSON_COMPACT);
    uint8_t *place = rn_buffer_grow(out, size + 1);
    if (place != NULL) {
        (void)json_dumpb(object, (char *)place, size, JSON_COMPACT);
        place[size] = '\n';
    }
    json_decref(object);
    RN_ENSURE(place != NULL, err, RN_E_DATA, "%s: a part would exceed %zu bytes", data->path,
              RN_SPLIT_PART_BYTES_MAX);
    return rn_ok();
}
