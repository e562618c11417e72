/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of a JSONL file (plain or gzip): whatever comes out is valid UTF-8, lines only rise.
 */
#include "memoryfile.h"

#include "base/guard.h"
#include "trainer/data/recordfile.h"
#include "trainer/text/unicodetext.h"

static void read_all(struct rn_records *records)
{
    struct rn_record record;
    uint64_t line = 0;

    for (bool any = true; any;) {
        if (!rn_is_ok(rn_records_next(records, &record, &any, NULL)) || !any) {
            return;
        }
        RN_BUG_IF(record.line <= line);
        RN_BUG_IF(!rn_utf8_valid(record.text, NULL) || !rn_utf8_valid(record.label, NULL));
        line = record.line;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rn_records *records = NULL;
    char path[64];

    const int descriptor = memory_file(data, size, path);
    const struct rn_data_spec spec = {.path = path,
                                      .format = "jsonl",
                                      .text_column = "t",
                                      .label_column = "l",
                                      .no_header = true};
    if (descriptor >= 0 && rn_is_ok(rn_records_open(&spec, &records, NULL))) {
        read_all(records);
        rn_records_free(records);
    }
    (void)close(descriptor);
    return 0;
}
