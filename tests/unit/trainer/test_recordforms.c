/* SPDX-License-Identifier: Apache-2.0
 *
 * Data files as they come: JSON that Python reads, other separators and encodings, quoting where
 * none belongs, files that are something else.
 */
#include "tests/unit/trainer/recordcases.h"

static void json_is_read_as_python_reads_it(void **state)
{
    (void)state;
    reads("a.jsonl", "{\"id\": 18446744073709551615, \"t\": \"x\", \"l\": 1}\n", TEXT_LABEL,
          "x||1@1;");
    reads("a.jsonl", "{\"a\": NaN, \"b\": -Infinity, \"c\": 1e999, \"t\": \"NaN\", \"l\": 1.0}\n",
          TEXT_LABEL, "NaN||1@1;");
    reads("a.jsonl", "{\"t\": \"x\", \"l\": 1}\n  \t \n{\"t\": \"y\", \"l\": 2}\n", TEXT_LABEL,
          "x||1@1;y||2@3;");
    reads("a.jsonl",
          "{\"u\": \"\\ud83d x\", \"v\": \"\xe9\", \"t\": \"\\ud83d\\ude00\", \"l\": 1}\n",
          TEXT_LABEL, "\xf0\x9f\x98\x80||1@1;");
    reads("a.jsonl", "{\"x\": 1, \"x\": 2, \"t\": \"a\", \"t\": \"b\", \"l\": 1}\n", TEXT_LABEL,
          "b||1@1;");
    reads("a.ndjson", "{\"t\": \"x\", \"l\": 1}\n", TEXT_LABEL, "x||1@1;");
    reads("a.JSON", "{\"t\": \"x\", \"l\": 1}\n", TEXT_LABEL, "x||1@1;");
}

/* Around the length that is still looked at as a number: beyond it a whole number is infinite. */
static void whole_numbers_of_any_length_are_read(void **state)
{
    (void)state;
    for (size_t digits = 19; digits < 600; digits += digits < 22 || digits > 508 ? 1 : 81) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer json = {0};
        rn_buffer_format(&json, "{\"t\": \"x\", \"l\": 1, \"id\": -");
        memset(rn_buffer_grow(&json, digits), '9', digits);
        rn_buffer_format(&json, "}\n");
        reads("n.jsonl", rn_buffer_text(&json), TEXT_LABEL, "x||1@1;");
    }
}

static void what_is_wrong_with_json_is_named(void **state)
{
    (void)state;
    fails("a.jsonl", "{\"t\": \"SECRET \\ud83d\", \"l\": 1}\n", TEXT_LABEL, RN_E_DATA,
          ":1: \"t\" holds half a surrogate pair");
    fails("a.jsonl", "{\"t\": \"SECRET \xe9\", \"l\": 1}\n", TEXT_LABEL, RN_E_DATA,
          ":1: \"t\" is not valid UTF-8");
    fails("a.jsonl", "{\"t\": \"SECRET \\xe9\", \"l\": 1}\n", TEXT_LABEL, RN_E_DATA, "backslash");
    fails("a.jsonl", "{\"t\": \"SECRET\", \"l\": NaN}\n", TEXT_LABEL, RN_E_DATA, "has no label");
    fails("a.jsonl", "{\"t\": \"SECRET\", \"l\": null}\n", TEXT_LABEL, RN_E_DATA, "has no label");
    fails("a.jsonl", "{\"t\": NaN, \"l\": 1}\n", TEXT_LABEL, RN_E_DATA, "must be a string");
    fails("a.jsonl", "{\"t\": \"SECRET\", \"l\": 1\n}\n", TEXT_LABEL, RN_E_DATA, "ends too early");
    fails("a.jsonl", "{\"t\": \"SECRET\", \"l\": 1}{}\n", TEXT_LABEL, RN_E_DATA, "after the end");
    fails("a.jsonl", "[{\"t\": \"SECRET\"}]\n", TEXT_LABEL, RN_E_DATA, "array");
    fails("a.json", "[\n{\"t\": \"SECRET\"}\n]\n", TEXT_LABEL, RN_E_DATA, "array");
}

/* Every ending in every case, with and without .gz. */
static void names_tell_the_format_in_any_case(void **state)
{
    (void)state;
    reads("A.CSV", "t,l\n\"x,y\",1\n", TEXT_LABEL, "x,y||1@2;");
    reads("A.Tsv.GZ", "t\tl\nx\t1\n", TEXT_LABEL, "x||1@2;");
    reads("a.tab", "t\tl\nx\t1\n", TEXT_LABEL, "x||1@2;");
}

static struct rn_data_spec as(const char *format, const char *encoding)
{
    return (struct rn_data_spec){
        .text_column = "t", .label_column = "l", .format = format, .encoding = encoding};
}

static void separators_quoting_and_encodings_are_options(void **state)
{
    (void)state;
    reads("a.csv", "t;l\n\"x;y\";1\nz, w;0\n", as("csv-semicolon", NULL), "x;y||1@2;z, w||0@3;");
    reads("a.tsv", "\"t\"\tl\n\"the \"\"good\"\" film\"\t1\n\"a\tb\"\t0\n", as("tsv-quoted", NULL),
          "the \"good\" film||1@2;a\tb||0@3;");
    reads("a.csv", "t,l\nna\xefve,1\n", as(NULL, "latin-1"), "na\xc3\xafve||1@2;");
    reads("a.csv", "t,l\n\x80 \x93x\x94 \x81,1\n", as(NULL, "windows-1252"),
          "\xe2\x82\xac \xe2\x80\x9cx\xe2\x80\x9d \xef\xbf\xbd||1@2;");
    reads("a.csv", "t,l\n\xc3\xa9,1\n", as(NULL, "utf-8"), "\xc3\xa9||1@2;");
    fails("a.csv", "t,l\nSECRET na\xefve,1\n", TEXT_LABEL, RN_E_DATA, "--encoding");
    fails("a.csv", "t,l\nx,1\n", as(NULL, "ebcdic"), RN_E_USAGE, "ebcdic");
    fails("a.csv", "t,l\nx,1\n", as("excel", NULL), RN_E_USAGE, "excel");
}

/* Cells that a program quoted, in a file where quotes are text: read as they stand, and counted. */
static void quotes_in_a_tsv_file_are_noticed(void **state)
{
    struct rn_data_seen seen = {0};
    struct rn_data_spec spec = TEXT_LABEL;

    (void)state;
    spec.seen = &seen;
    reads("a.tsv", "t\tl\n\"a\" b\t1\nx \"y\"\t0\n\"a\"b\"\t1\n\"\t1\n", spec,
          "\"a\" b||1@2;x \"y\"||0@3;\"a\"b\"||1@4;\"||1@5;");
    assert_int_equal(seen.quoted, 0);
    reads("a.tsv", "t\tl\nx\t1\n\"a \"\"b\"\"\"\t0\n\"\"\t0\n", spec,
          "x||1@2;\"a \"\"b\"\"\"||0@3;\"\"||0@4;");
    assert_int_equal(seen.quoted, 2);
    assert_int_equal(seen.quoted_line, 3);
}

static void a_missing_column_lists_what_there_is(void **state)
{
    char long_name[80];
    struct rn_data_seen seen = {0};
    struct rn_data_spec shown = TEXT_LABEL;

    (void)state;
    shown.seen = &seen;
    fails("a.csv", "text,label\nSECRET,1\n", shown, RN_E_USAGE, "it has text, label");
    /* A first line that is a record, where nobody sits before the screen: none of it is repeated.
     */
    fails("a.csv", "SECRET,1\nx,2\n", TEXT_LABEL, RN_E_USAGE, "has no column \"t\"");
    fails("a.csv", "t;l\nSECRET;1\n", TEXT_LABEL, RN_E_USAGE, "csv-semicolon");
    fails("a.csv", "t\tl\nSECRET\t1\n", TEXT_LABEL, RN_E_USAGE, "data format tsv");
    fails("a.tsv", "t,l\nSECRET,1\n", TEXT_LABEL, RN_E_USAGE, "data format csv");
    fails("a.tsv", "\"t\"\t\"l\"\nSECRET\t1\n", TEXT_LABEL, RN_E_USAGE, "tsv-quoted");
    /* A file without a header begins with a record: no long text is repeated. */
    (void)rn_text_format(long_name, sizeof long_name, "SECRET%*d,1\nx,2\n", 49, 0);
    fails("a.csv", long_name, shown, RN_E_USAGE, "it has ...");
}

static void files_that_are_something_else_are_named(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *part;
    } kinds[] = {
        {"version https://git-lfs.github.com/spec/v1\noid", 46, "Git LFS"},
        {"\xff\xfet\0,\0l\0\n\0", 10, "UTF-16"},
        {"\xfe\xff\0t\0,\0l\0\n", 10, "UTF-16"},
        {"t\0,\0l\0\n\0x\0", 10, "UTF-16"},
        {"\xff\xfe\0\0t\0\0\0", 8, "UTF-32"},
        {"PK\3\4\0\0\0\0", 8, "zip"},
        {"\x28\xb5\x2f\xfd\0\0\0", 7, "zstd"},
        {"\xfd"
         "7zXZ\0",
         6, "xz"},
        {"BZh91AY&SY", 10, "bzip2"},
        {"PAR1\x15\4", 6, "Parquet"},
        {"<!DOCTYPE HTML><title>", 22, "web page"},
        {"\x80\2}q", 4, "pickle"},
        {"t,l\rSECRET,1\rx,0\r", 17, "carriage return"},
    };

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(kinds); i++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer got = {0};
        struct rn_error err = {{0}};
        struct rn_data_spec spec = TEXT_LABEL;
        spec.path = fixture_file("k.csv.gz", rn_view_of(kinds[i].bytes, kinds[i].length));
        assert_failure(read_all(&spec, &got, &err), RN_E_DATA, &err, kinds[i].part);
    }
    reads("a.csv", "PAR1,t,l\nx,y,1\n", TEXT_LABEL, "y||1@2;"); /* a column of that name */
    reads("a.csv", "t,l\r\nx,1\r\n", TEXT_LABEL, "x||1@2;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_read_as_python_reads_it),
        cmocka_unit_test(whole_numbers_of_any_length_are_read),
        cmocka_unit_test(what_is_wrong_with_json_is_named),
        cmocka_unit_test(names_tell_the_format_in_any_case),
        cmocka_unit_test(separators_quoting_and_encodings_are_options),
        cmocka_unit_test(quotes_in_a_tsv_file_are_noticed),
        cmocka_unit_test(a_missing_column_lists_what_there_is),
        cmocka_unit_test(files_that_are_something_else_are_named),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_remove);
}
