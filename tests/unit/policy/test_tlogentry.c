/* SPDX-License-Identifier: Apache-2.0
 *
 * Entries of a federation's log, keys' statements, updates and reports: what is written is read
 * back, and nothing else is read.
 */
#include "tlogworld.h"

#include "policy/tlog/tlogentry.h"
#include "policy/tlog/tlogupdate.h"

static struct rn_error error;
static struct rn_roster roster;
static struct rn_identity *identities[3]; /* two members, the coordinator */

static int open_world(void **state)
{
    (void)state;
    (void)rn_text_format(roster.federation, sizeof roster.federation, "clinics");
    roster.count = 2;
    for (uint8_t k = 0; k < 3; k++) {
        const struct rn_secret32 seed = {{(uint8_t)(k + 1)}};
        identities[k] = rn_identity_from_seed(&seed);
    }
    for (uint32_t k = 0; k < 2; k++) {
        (void)rn_text_format(roster.members[k].name, RN_NAME_MAX, k == 0 ? "north" : "south");
        roster.members[k].key = *rn_identity_public_of(identities[k]);
    }
    roster.coordinator = *rn_identity_public_of(identities[2]);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        rn_identity_free(identities[k]);
    }
    return 0;
}

static const struct rn_tlog_entry samples[] = {
    {.kind = RN_TLOG_LOG, .name = "clinics", .key = "a+b+c", .statement = {1, 2}},
    {.kind = RN_TLOG_WITNESS, .name = "north", .key = "a+b+c", .statement = {3}},
    {.kind = RN_TLOG_PLAN, .plan = {9}, .name = "first", .method = "rolora", .rounds = 12},
    {.kind = RN_TLOG_ROUND,
     .plan = {9},
     .number = 7,
     .round = 4294967295,
     .attempt = 2,
     .outcome = RN_E_ROUND_ABORTED,
     .included = 3,
     .lost = 1,
     .session = {4},
     .sum = {5},
     .before = {6},
     .after = {7}},
    {.kind = RN_TLOG_BLAME,
     .plan = {9},
     .number = INT64_MAX,
     .round = 1,
     .members = {(const uint8_t *)"north,south", 11}},
    {.kind = RN_TLOG_END, .plan = {9}, .round = 13, .outcome = RN_OK, .after = {8}},
};

static void test_every_kind(void **state)
{
    (void)state;
    for (size_t k = 0; k < RN_ARRAY_LENGTH(samples); k++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer again = {0};
        struct rn_tlog_entry entry;
        rn_tlog_entry_write(&samples[k], &text);
        assert_int_equal(rn_tlog_entry_read(rn_buffer_view(&text), &entry, &error).code, RN_OK);
        rn_tlog_entry_write(&entry, &again);
        assert_string_equal(rn_buffer_text(&again), rn_buffer_text(&text));
        assert_int_equal(entry.round, samples[k].round);
        assert_int_equal(entry.outcome, samples[k].outcome);
        assert_int_equal(entry.members.length, samples[k].members.length);
    }
}

/* Whatever bit is flipped: another entry, or none; never the same one from other bytes. */
static void test_every_changed_bit(void **state)
{
    (void)state;
    for (size_t k = 0; k < RN_ARRAY_LENGTH(samples); k++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
        rn_tlog_entry_write(&samples[k], &text);
        for (size_t bit = 0; bit < 8 * text.length; bit++) {
            RN_CLEANUP(rn_buffer_clear) struct rn_buffer again = {0};
            struct rn_tlog_entry entry;
            text.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (rn_is_ok(rn_tlog_entry_read(rn_buffer_view(&text), &entry, &error))) {
                rn_tlog_entry_write(&entry, &again);
                assert_true(rn_view_equal(rn_buffer_view(&again), rn_buffer_view(&text)));
            }
            text.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

static void test_texts_that_are_no_entry(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum rn_code code;
    } rows[] = {
        {"", RN_E_DATA},
        {"[]", RN_E_DATA},
        {"{}", RN_E_DATA},
        {"{\"kind\":7}", RN_E_DATA},
        {"{\"kind\":\"later\",\"x\":1}", RN_E_UNSUPPORTED},
        {"{\"kind\":\"witness\",\"member\":\"north\"}", RN_E_DATA},
        {"{\"kind\":\"log\",\"kind\":\"log\"}", RN_E_DATA},
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(rows); k++) {
        struct rn_tlog_entry entry;
        assert_int_equal(rn_tlog_entry_read(rn_view_text(rows[k].text), &entry, &error).code,
                         rows[k].code);
    }
}

/* Spaces, another order, a leading zero, a number that is too large: not the bytes that are hashed.
 */
static void test_one_text_an_entry(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    struct rn_tlog_entry entry;
    char changed[1024];
    rn_tlog_entry_write(&samples[5], &text);
    const char *good = rn_buffer_text(&text);
    const char *place = strstr(good, "\"round\":13");
    assert_non_null(place);
    static const char *const others[] = {"\"round\": 13", "\"round\":13.0", "\"round\":-13",
                                         "\"round\":4294967296", "\"x\":1,\"round\":13"};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(others); k++) {
        assert_true(rn_text_format(changed, sizeof changed, "%.*s%s%s", (int)(place - good), good,
                                   others[k], place + strlen("\"round\":13")));
        assert_int_equal(rn_tlog_entry_read(rn_view_text(changed), &entry, &error).code, RN_E_DATA);
    }
}

static void key_text(uint32_t place, struct rn_buffer *out, uint8_t statement[RN_SIGNATURE_BYTES])
{
    const struct rn_identity *identity = identities[place == RN_TLOG_COORDINATOR ? 2 : place];
    struct rn_rolekey *secret = rn_tlog_key_derive(&roster, place, identity);
    struct rn_note_key key;
    rn_tlog_key_public(&roster, place, secret, &key);
    rn_note_key_write(&key, out);
    rn_tlog_statement_sign(&key, identity, statement);
    rn_rolekey_free(secret);
}

static enum rn_code stated(uint32_t place, const struct rn_buffer *key, const uint8_t *statement)
{
    struct rn_note_key out;
    return rn_tlog_statement_verify(&roster, place, rn_buffer_view(key), statement, &out, &error)
        .code;
}

static void test_statements(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer north = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer log = {0};
    uint8_t by_north[RN_SIGNATURE_BYTES];
    uint8_t by_log[RN_SIGNATURE_BYTES];
    key_text(0, &north, by_north);
    key_text(RN_TLOG_COORDINATOR, &log, by_log);
    assert_int_equal(stated(0, &north, by_north), RN_OK);
    assert_int_equal(stated(RN_TLOG_COORDINATOR, &log, by_log), RN_OK);
    assert_int_equal(stated(1, &north, by_north), RN_E_PEER_AUTH);
    assert_int_equal(stated(0, &log, by_log), RN_E_PEER_AUTH);
    assert_int_equal(stated(0, &north, by_log), RN_E_PEER_AUTH);
    struct rn_rolekey *secret = rn_tlog_key_derive(&roster, 0, identities[0]);
    struct rn_note_key souths;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer claimed = {0};
    uint8_t claim[RN_SIGNATURE_BYTES];
    rn_tlog_key_public(&roster, 1, secret, &souths); /* under another member's name */
    rn_note_key_write(&souths, &claimed);
    rn_tlog_statement_sign(&souths, identities[0], claim);
    assert_int_equal(stated(0, &claimed, claim), RN_E_PEER_AUTH);
    rn_rolekey_free(secret);
    by_north[63] ^= 1;
    assert_int_equal(stated(0, &north, by_north), RN_E_PEER_AUTH);
}

/* Two roles and two federations of one identity: four keys. */
static void test_a_key_a_role(void **state)
{
    (void)state;
    static const char *const federations[] = {"clinics", "banks"};
    struct rn_identity_public keys[4];
    for (size_t k = 0; k < 4; k++) {
        struct rn_rolekey *key = rn_rolekey_derive(identities[0], rn_view_text(federations[k / 2]),
                                                   k % 2 == 0 ? "log" : "log witness");
        keys[k] = *rn_rolekey_public_of(key);
        assert_false(rn_identity_public_equal(&keys[k], rn_identity_public_of(identities[0])));
        for (size_t other = 0; other < k; other++) {
            assert_false(rn_identity_public_equal(&keys[k], &keys[other]));
        }
        rn_rolekey_free(key);
    }
}

static void update_bytes(uint64_t from, uint64_t size, uint64_t entries, struct rn_buffer *out)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer note = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bundle = {0};
    const struct rn_note_checkpoint checkpoint = {"a", size, {{0}}};
    rn_note_checkpoint_write(&checkpoint, &note);
    rn_buffer_format(&note, "\n\xe2\x80\x94 a AAAABBBB\n");
    for (uint64_t k = 0; k < entries; k++) {
        rn_buffer_append(&bundle, "\0\1x", 3);
    }
    const struct rn_tlog_update update = {
        .from = from, .note = rn_buffer_view(&note), .entries = rn_buffer_view(&bundle)};
    rn_tlog_update_write(&update, out);
}

static enum rn_code update_code(uint64_t from, uint64_t size, uint64_t entries)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    struct rn_tlog_update update;
    update_bytes(from, size, entries, &bytes);
    return rn_tlog_update_read(rn_buffer_view(&bytes), &update, &error).code;
}

static void test_updates(void **state)
{
    (void)state;
    const uint64_t most = RN_TLOG_UPDATE_ENTRIES_MAX / 3;
    assert_int_equal(update_code(3, 5, 2), RN_OK);
    assert_int_equal(update_code(5, 5, 0), RN_OK);
    assert_int_equal(update_code(3, 5, 1), RN_E_PEER_FORMAT);
    assert_int_equal(update_code(3, 5, 3), RN_E_PEER_FORMAT);
    assert_int_equal(update_code(6, 5, 0), RN_E_PEER_FORMAT);
    assert_int_equal(update_code(UINT64_MAX, 0, 1), RN_E_PEER_FORMAT);
    assert_int_equal(update_code(0, most, most), RN_OK);
    assert_int_equal(update_code(0, most + 1, most + 1), RN_E_PEER_FORMAT);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    struct rn_tlog_update update;
    update_bytes(0, 2, 2, &bytes);
    for (size_t cut = 0; cut < bytes.length; cut++) {
        const struct rn_view part = rn_view_of(bytes.data, cut);
        assert_false(rn_is_ok(rn_tlog_update_read(part, &update, &error)));
    }
}

static void test_reports(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    char key[RN_TLOG_KEY_TEXT_MAX + 2];
    memset(key, 'k', sizeof key);
    struct rn_tlog_report report = {.size = RN_TLOG_SIZE_MAX,
                                    .key = rn_view_of(key, RN_TLOG_KEY_TEXT_MAX),
                                    .line = rn_view_text("line")};
    struct rn_tlog_report again;
    rn_tlog_report_write(&report, &bytes);
    assert_int_equal(rn_tlog_report_read(rn_buffer_view(&bytes), &again, &error).code, RN_OK);
    assert_true(rn_view_equal(again.line, report.line) && again.size == report.size);
    for (size_t cut = 0; cut < bytes.length; cut++) {
        const struct rn_view part = rn_view_of(bytes.data, cut);
        assert_false(rn_is_ok(rn_tlog_report_read(part, &again, &error)));
    }
    report.size++;
    rn_buffer_clear(&bytes);
    rn_tlog_report_write(&report, &bytes);
    assert_false(rn_is_ok(rn_tlog_report_read(rn_buffer_view(&bytes), &again, &error)));
    report = (struct rn_tlog_report){.key = rn_view_of(key, RN_TLOG_KEY_TEXT_MAX + 1)};
    rn_buffer_clear(&bytes);
    rn_tlog_report_write(&report, &bytes);
    assert_false(rn_is_ok(rn_tlog_report_read(rn_buffer_view(&bytes), &again, &error)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_every_changed_bit),
        cmocka_unit_test(test_texts_that_are_no_entry),
        cmocka_unit_test(test_one_text_an_entry),
        cmocka_unit_test(test_statements),
        cmocka_unit_test(test_a_key_a_role),
        cmocka_unit_test(test_updates),
        cmocka_unit_test(test_reports),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
