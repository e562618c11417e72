/* SPDX-License-Identifier: Apache-2.0
 *
 * Data files: formats, quoting, gzip, columns, labels, and what bad files get.
 */
#include "tests/unit/trainer/recordcases.h"

#include "trainer/data/dataset.h"
#include "trainer/data/labellist.h"
#include "trainer/data/recordparts.h"

#include <zlib.h>

static const char words_json[] =
    "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"a\":1,\"b\":2}},"
    "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"post_processor\":{\"type\":"
    "\"BertProcessing\",\"sep\":[\"u\",0],\"cls\":[\"u\",0]}}";

static void tsv(void **state)
{
    (void)state;
    reads("a.tsv", "t\tl\nx y\t1\n\"q\" \t0\n", TEXT_LABEL, "x y||1@2;\"q\" ||0@3;");
    reads("a.tsv", "\xef\xbb\xbft\tl\r\nx\t1\r\n\r\ny\t2", TEXT_LABEL, "x||1@2;y||2@4;");
    reads("a.tsv", "p\tx\tt\n\t\t\nB\t?\tA\n", PAIR, "||@2;A|B|@3;");
    reads("a.data", "t\tl\nx\t1\n",
          (struct rn_data_spec){.text_column = "t", .format = "tsv", .label_column = "l"},
          "x||1@2;");
    reads("a.tsv", "s\t1\t\tx\ns\t0\t*\ty\n",
          (struct rn_data_spec){.text_column = "3", .label_column = "1", .no_header = true},
          "x||1@1;y||0@2;");
    reads("a.tsv", "t\tl\n", TEXT_LABEL, "");
}

static void csv(void **state)
{
    (void)state;
    reads("a.csv", "t,l\nx,1\n\"a, b\",2\n\"say \"\"hi\"\"\",3\n", TEXT_LABEL,
          "x||1@2;a, b||2@3;say \"hi\"||3@4;");
    reads("a.csv", "t,l\n\"two\nlines\r\nthree\",1\nx,2\n", TEXT_LABEL,
          "two\nlines\nthree||1@2;x||2@5;");
    reads("a.csv", "\"t\",\"l\"\n\"\",\"\"\n,\n", TEXT_LABEL, "||@2;||@3;");
    fails("a.csv", "t,l\nSECRET \"x\",1\n", TEXT_LABEL, RN_E_DATA, "a.csv:2");
    fails("a.csv", "t,l\n\"SECRET\"x,1\n", TEXT_LABEL, RN_E_DATA, "a.csv:2");
    fails("a.csv", "t,l\n\"SECRET,1\nx,2\n", TEXT_LABEL, RN_E_DATA, "never ends");
}

static void jsonl(void **state)
{
    (void)state;
    reads("a.jsonl", "{\"t\":\"x\\ny\",\"l\":1}\n{\"l\":\"pos\",\"t\":\"\\u00e9\"}\n", TEXT_LABEL,
          "x\ny||1@1;\xc3\xa9||pos@2;");
    reads("a.jsonl", "{\"t\":\"x\",\"l\":true}\n\n{\"t\":\"y\",\"l\":2.5}\n", TEXT_LABEL,
          "x||1@1;y||2.5@3;");
    fails("a.jsonl", "{\"t\":\"x\",\"l\":1}\n{\"t\":\"SECRET\"\n", TEXT_LABEL, RN_E_DATA, ":2:");
    fails("a.jsonl", "[\"SECRET\"]\n", TEXT_LABEL, RN_E_DATA, ":1:");
    fails("a.jsonl", "{\"t\":7,\"l\":1}\n", TEXT_LABEL, RN_E_DATA, "string");
    fails("a.jsonl", "{\"t\":\"SECRET\"}\n", TEXT_LABEL, RN_E_DATA, "no \"l\"");
    fails("a.jsonl", "{\"t\":\"SECRET\",\"l\":[1]}\n", TEXT_LABEL, RN_E_DATA, "\"l\" must be");
}

static void bad_files_are_named_with_their_line(void **state)
{
    struct rn_error err = {{0}};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer got = {0};
    struct rn_data_spec spec = TEXT_LABEL;

    (void)state;
    fails("a.tsv", "t\tl\nSECRET\n", TEXT_LABEL, RN_E_DATA, "a.tsv:2: 1 columns");
    fails("a.tsv", "t\tl\nSECRET\t1\t2\n", TEXT_LABEL, RN_E_DATA, "a.tsv:2: 3 columns");
    fails("a.tsv", "t\tl\nSECRET\xff\t1\n", TEXT_LABEL, RN_E_DATA, "a.tsv:2: column \"t\"");
    fails("a.tsv", "t\tx\na\t1\n", TEXT_LABEL, RN_E_USAGE, "no column \"l\"");
    fails("a.tsv", "t\tl\tl\na\t1\t2\n", TEXT_LABEL, RN_E_DATA, "twice");
    fails("a.tsv", "", TEXT_LABEL, RN_E_DATA, "empty");
    fails("a.txt", "t\tl\n", TEXT_LABEL, RN_E_USAGE, "format");
    fails("a.tsv", "a\tb\n", (struct rn_data_spec){.text_column = "2", .no_header = true},
          RN_E_DATA, "no column 2");
    fails("a.tsv", "a\tb\n", (struct rn_data_spec){.text_column = "t", .no_header = true},
          RN_E_USAGE, "number");
    fails("a.tsv", "a\tb\n", (struct rn_data_spec){.text_column = "0"}, RN_E_USAGE,
          "without a header");
    spec.path = "/nonexistent/a.tsv";
    assert_failure(read_all(&spec, &got, &err), RN_E_NO_INPUT, &err, "/nonexistent/a.tsv");
    spec.path = "/tmp";
    spec.format = "tsv";
    assert_failure(read_all(&spec, &got, &err), RN_E_NO_INPUT, &err, "directory");
}

static void write_gzip(const char *path, const char *content)
{
    gzFile file = gzopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(gzwrite(file, content, (unsigned)strlen(content)), strlen(content));
    assert_int_equal(gzclose(file), Z_OK);
}

static void gzip_is_recognised_and_a_cut_one_noticed(void **state)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer got = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    struct rn_error err = {{0}};
    struct rn_data_spec spec = TEXT_LABEL;

    (void)state;
    spec.path = fixture_text("z.tsv.gz", "");
    write_gzip(spec.path, "t\tl\nx\t1\ny\t2\n");
    assert_ok(read_all(&spec, &got, &err), &err);
    assert_string_equal(rn_buffer_text(&got), "x||1@2;y||2@3;");
    assert_ok(rn_file_read(spec.path, 4096, &bytes, &err), &err);
    spec.path = fixture_file("z.tsv.gz", rn_view_of(bytes.data, bytes.length - 9));
    got.length = 0;
    assert_failure(read_all(&spec, &got, &err), RN_E_DATA, &err, "gzip");
}

/* A line of exactly the limit is read; one byte more is refused. */
static void lines_stop_at_their_limit(void **state)
{
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer content = {0};
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer got = {0};
        struct rn_error err = {{0}};
        const size_t length = RN_DATASET_LINE_BYTES_MAX + extra;
        struct rn_data_spec spec = {.text_column = "0", .no_header = true};
        memset(rn_buffer_grow(&content, length), 'x', length);
        rn_buffer_u8(&content, '\n');
        spec.path = fixture_file("long.tsv", rn_buffer_view(&content));
        const rn_result result = read_all(&spec, &got, &err);
        if (extra == 0) {
            assert_ok(result, &err);
        } else {
            assert_failure(result, RN_E_DATA, &err, "long.tsv:1");
        }
    }
}

static void columns_stop_at_their_limit(void **state)
{
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer content = {0};
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer got = {0};
        struct rn_error err = {{0}};
        struct rn_data_spec spec = {.text_column = "0", .no_header = true};
        for (size_t i = 1; i < RN_DATASET_COLUMNS_MAX + extra; i++) {
            rn_buffer_u8(&content, '\t');
        }
        rn_buffer_u8(&content, '\n');
        spec.path = fixture_file("wide.tsv", rn_buffer_view(&content));
        const rn_result result = read_all(&spec, &got, &err);
        assert_int_equal(result.code, extra == 0 ? RN_OK : RN_E_DATA);
    }
}

/* The limit of a whole file, set low: exactly so many bytes are read, one more is refused. */
static void files_stop_at_their_limit(void **state)
{
    (void)state;
    for (uint64_t missing = 0; missing < 2; missing++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
        struct rn_lines lines = {0};
        struct rn_error err = {{0}};
        bool any = false;
        assert_ok(rn_lines_open(fixture_text("f.tsv", "abc\ndef\n"), RN_CHARSET_UTF8, &lines, &err),
                  &err);
        assert_true(lines.bytes_max == RN_DATASET_FILE_BYTES_MAX);
        lines.bytes_max = 8 - missing;
        assert_int_equal(rn_lines_next(&lines, &line, &any, &err).code,
                         missing == 0 ? RN_OK : RN_E_DATA);
        rn_lines_close(&lines);
    }
}

static void column_names_stop_at_their_limit(void **state)
{
    char name[RN_DATASET_COLUMN_BYTES_MAX + 2];
    struct rn_error err = {{0}};

    (void)state;
    memset(name, 'c', sizeof name);
    for (size_t length = RN_DATASET_COLUMN_BYTES_MAX; length < sizeof name; length++) {
        RN_CLEANUP(rn_records_cleanup) struct rn_records *records = NULL;
        name[length] = '\0';
        const struct rn_data_spec spec = {.path = fixture_text("c.tsv", name), .text_column = name};
        assert_int_equal(rn_records_open(&spec, &records, &err).code,
                         length == RN_DATASET_COLUMN_BYTES_MAX ? RN_OK : RN_E_USAGE);
        name[length] = 'c';
    }
}

static void label_lists_stop_at_their_limits(void **state)
{
    (void)state;
    for (unsigned extra = 0; extra < 2; extra++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer many = {0};
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer wide = {0};
        RN_CLEANUP(rn_label_list_clear) struct rn_label_list list = {0};
        RN_CLEANUP(rn_label_list_clear) struct rn_label_list second = {0};
        struct rn_error err = {{0}};
        for (unsigned i = 0; i < RN_TRAINER_LABELS_MAX + extra; i++) {
            rn_buffer_format(&many, "%s%u", i == 0 ? "" : ",", i);
        }
        rn_buffer_format(&wide, "a,");
        memset(rn_buffer_grow(&wide, RN_LABEL_BYTES_MAX + extra), 'b', RN_LABEL_BYTES_MAX + extra);
        const enum rn_code expected = extra == 0 ? RN_OK : RN_E_USAGE;
        assert_int_equal(rn_label_list_parse(rn_buffer_text(&many), &list, &err).code, expected);
        assert_int_equal(rn_label_list_parse(rn_buffer_text(&wide), &second, &err).code, expected);
    }
}

static rn_result load(const char *content, const struct rn_label_spec *labels,
                      struct rn_dataset **out, struct rn_error *err)
{
    RN_CLEANUP(rn_tokenizer_cleanup) struct rn_tokenizer *tokenizer = NULL;
    struct rn_data_spec spec = TEXT_LABEL;

    assert_ok(rn_tokenizer_parse(rn_view_text(words_json), "t", &tokenizer, err), err);
    spec.path = fixture_text("d.tsv", content);
    return rn_dataset_load(tokenizer, &spec, labels, 4, out, err);
}

static void examples_keep_order_ids_and_labels(void **state)
{
    const char *const names[] = {"neg", "pos"};
    const struct rn_label_spec labels = {.names = names, .count = 2};
    struct rn_dataset *set = NULL;
    struct rn_error err = {{0}};

    (void)state;
    assert_ok(load("t\tl\na b a b\tpos\nb\t0\n\tneg\n", &labels, &set, &err), &err);
    assert_int_equal(rn_dataset_count(set), 3);
    assert_int_equal(rn_dataset_label_count(set), 2);
    assert_int_equal(rn_dataset_longest(set), 4);
    assert_int_equal(rn_dataset_tokens(set), 4 + 3 + 2);
    const struct rn_example first = rn_dataset_at(set, 0);
    assert_memory_equal(first.ids, ((uint32_t[]){0, 1, 2, 0}), 16);
    assert_int_equal(first.label, 1);
    assert_int_equal(rn_dataset_at(set, 1).label, 0); /* the number of a named class */
    assert_int_equal(rn_dataset_at(set, 2).label, 0);
    rn_dataset_free(set);
}

static void labels_outside_the_list_are_refused(void **state)
{
    const char *const names[] = {"0", "2"};
    const struct rn_label_spec named = {.names = names, .count = 2};
    const struct rn_label_spec free_numbers = {0};
    const struct rn_label_spec three = {.count = 3};
    const struct rn_label_spec target = {.task = RN_TASK_REGRESSION};
    struct rn_dataset *set = NULL;
    struct rn_error err = {{0}};

    (void)state;
    assert_failure(load("t\tl\na\t1\n", &named, &set, &err), RN_E_DATA, &err, "d.tsv:2");
    assert_failure(load("t\tl\na\tx\n", &free_numbers, &set, &err), RN_E_DATA, &err, "d.tsv:2");
    assert_failure(load("t\tl\na\t-1\n", &free_numbers, &set, &err), RN_E_DATA, &err, "d.tsv:2");
    assert_failure(load("t\tl\na\t2\nb\t3\n", &three, &set, &err), RN_E_DATA, &err, "d.tsv:3");
    assert_failure(load("t\tl\na\t4096\n", &free_numbers, &set, &err), RN_E_DATA, &err, "4095");
    assert_failure(load("t\tl\na\tnan\n", &target, &set, &err), RN_E_DATA, &err, "finite");
    assert_failure(load("t\tl\na\t\n", &target, &set, &err), RN_E_DATA, &err, "finite");
    assert_failure(load("t\tl\n", &three, &set, &err), RN_E_DATA, &err, "no record");
    assert_ok(load("t\tl\na\t4095\n", &free_numbers, &set, &err), &err);
    assert_int_equal(rn_dataset_label_count(set), 4096);
    rn_dataset_free(set);
    assert_ok(load("t\tl\na\t-2.5e1\n", &target, &set, &err), &err);
    assert_true(rn_dataset_at(set, 0).target == -25.0f);
    rn_dataset_free(set);
}

static void labels_are_discovered(void **state)
{
    struct rn_label_list list = {0};
    struct rn_error err = {{0}};
    struct rn_data_spec spec = TEXT_LABEL;

    (void)state;
    spec.path = fixture_text("l.tsv", "t\tl\nx\t2\ny\t0\n");
    assert_ok(rn_label_list_discover(&spec, &list, &err), &err);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.names[1], "1");
    rn_label_list_clear(&list);
    spec.path = fixture_text("l.tsv", "t\tl\nx\tyes\ny\tno\nz\tyes\n");
    assert_ok(rn_label_list_discover(&spec, &list, &err), &err);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.names[0], "no");
    rn_label_list_clear(&list);
    spec.path = fixture_text("l.tsv", "t\tl\nx\tyes\n");
    assert_failure(rn_label_list_discover(&spec, &list, &err), RN_E_DATA, &err, "two");
    assert_failure(rn_label_list_parse("a,a", &list, &err), RN_E_USAGE, &err, "twice");
    assert_failure(rn_label_list_parse("a", &list, &err), RN_E_USAGE, &err, "two");
    assert_failure(rn_label_list_parse("a, b", &list, &err), RN_E_USAGE, &err, "space");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tsv),
        cmocka_unit_test(csv),
        cmocka_unit_test(jsonl),
        cmocka_unit_test(bad_files_are_named_with_their_line),
        cmocka_unit_test(gzip_is_recognised_and_a_cut_one_noticed),
        cmocka_unit_test(lines_stop_at_their_limit),
        cmocka_unit_test(columns_stop_at_their_limit),
        cmocka_unit_test(files_stop_at_their_limit),
        cmocka_unit_test(column_names_stop_at_their_limit),
        cmocka_unit_test(label_lists_stop_at_their_limits),
        cmocka_unit_test(examples_keep_order_ids_and_labels),
        cmocka_unit_test(labels_outside_the_list_are_refused),
        cmocka_unit_test(labels_are_discovered),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_remove);
}
