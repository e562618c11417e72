/* SPDX-License-Identifier: Apache-2.0
 *
 * A coordinator's log and a member's copy over real folders: the copy is the log, byte for byte; a
 * member never cosigns what does not continue its copy, whoever shows it, before or after a
 * restart; a coordinator takes no cosignature that is not its member's, of its newest checkpoint.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "policy/tlog/tlogentry.h"
#include "services/host/tlogfolder.h"
#include "services/host/tlogmirror.h"
#include "services/host/tlogwriter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MEMBERS 3u
#define NOW 1700000000u

static struct rn_error error;
static struct rn_roster roster;
static struct rn_identity *identities[MEMBERS + 1]; /* the last is the coordinator's */
static char folder[64];
static struct rn_tlog_writer *writer;
static struct rn_tlog_mirror *mirror;

static void path_of(const char *name, char out[static RN_PATH_MAX])
{
    assert_true(rn_is_ok(rn_path_join(out, folder, name, &error)));
}

static struct rn_tlog_writer *writer_open(const char *name)
{
    struct rn_tlog_writer *out = NULL;
    char state[RN_PATH_MAX];
    path_of(name, state);
    assert_true(rn_is_ok(rn_directory_make(state, 0755, &error)));
    const struct rn_tlog_writer_config config = {.state = state,
                                                 .roster = &roster,
                                                 .identity = identities[MEMBERS],
                                                 .plan_hash = {1},
                                                 .quorum = 2};
    assert_int_equal(rn_tlog_writer_open(&config, &out, &error).code, RN_OK);
    return out;
}

static struct rn_tlog_mirror *mirror_open(const char *name, uint32_t place)
{
    struct rn_tlog_mirror *out = NULL;
    char state[RN_PATH_MAX];
    path_of(name, state);
    assert_true(rn_is_ok(rn_directory_make(state, 0755, &error)));
    const rn_result result =
        rn_tlog_mirror_open(state, &roster, place, identities[place], &out, &error);
    assert_int_equal(result.code, RN_OK);
    return out;
}

static int open_world(void **state)
{
    (void)state;
    (void)rn_text_format(folder, sizeof folder, "/tmp/test_tlogmirror.XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)rn_text_format(roster.federation, sizeof roster.federation, "clinics");
    roster.count = MEMBERS;
    for (uint32_t k = 0; k <= MEMBERS; k++) {
        const struct rn_secret32 seed = {{(uint8_t)(k + 1)}};
        identities[k] = rn_identity_from_seed(&seed);
    }
    for (uint32_t k = 0; k < MEMBERS; k++) {
        (void)rn_text_format(roster.members[k].name, RN_NAME_MAX, "member-%u", k);
        roster.members[k].key = *rn_identity_public_of(identities[k]);
    }
    roster.coordinator = *rn_identity_public_of(identities[MEMBERS]);
    writer = writer_open("coordinator");
    mirror = mirror_open("north", 0);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    char command[128];
    rn_tlog_writer_free(RN_TAKE(writer));
    rn_tlog_mirror_free(RN_TAKE(mirror));
    for (uint32_t k = 0; k <= MEMBERS; k++) {
        rn_identity_free(identities[k]);
    }
    (void)rn_text_format(command, sizeof command, "rm -rf %s", folder);
    return system(command); /* NOLINT: a name of our own */
}

static void entry_text(uint64_t number, uint32_t round, struct rn_buffer *out)
{
    const struct rn_tlog_entry entry = {
        .kind = RN_TLOG_END, .plan = {1}, .number = number, .round = round};
    rn_tlog_entry_write(&entry, out);
}

/* Entries first .. end - 1 of the job, told apart by `round`. */
static void add_some(struct rn_tlog_writer *to, uint64_t first, uint64_t end, uint32_t round)
{
    bool grown = false;
    for (uint64_t k = first; k < end; k++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
        entry_text(k, round, &text);
        assert_int_equal(rn_tlog_writer_add(to, k, rn_buffer_view(&text), &error).code, RN_OK);
    }
    assert_int_equal(rn_tlog_writer_publish(to, &grown, &error).code, RN_OK);
}

static enum rn_code show(struct rn_tlog_writer *from, struct rn_tlog_mirror *to)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer update = {0};
    assert_int_equal(rn_tlog_writer_update(from, rn_tlog_mirror_size(to), &update, &error).code,
                     RN_OK);
    return rn_tlog_mirror_take(to, rn_buffer_view(&update), NOW, &error).code;
}

static enum rn_code report(struct rn_tlog_mirror *from, struct rn_tlog_writer *to, uint32_t place)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    rn_tlog_mirror_report(from, &bytes);
    return rn_tlog_writer_report(to, place, rn_buffer_view(&bytes), &error).code;
}

/* Until the member has everything and the coordinator its cosignature. */
static void settle(struct rn_tlog_writer *log, struct rn_tlog_mirror *copy, uint32_t place)
{
    bool grown = true;
    while (grown) {
        while (rn_tlog_mirror_size(copy) < rn_tlog_writer_size(log)) {
            assert_int_equal(show(log, copy), RN_OK);
        }
        assert_int_equal(report(copy, log, place), RN_OK);
        assert_int_equal(rn_tlog_writer_publish(log, &grown, &error).code, RN_OK);
    }
}

static void read_file(const char *name, struct rn_buffer *out)
{
    char path[RN_PATH_MAX];
    path_of(name, path);
    assert_int_equal(rn_file_read(path, (size_t)1 << 20, out, &error).code, RN_OK);
}

static void expect_same_file(const char *name)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer one = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer other = {0};
    char path[128];
    (void)rn_text_format(path, sizeof path, "coordinator/log/%s", name);
    read_file(path, &one);
    (void)rn_text_format(path, sizeof path, "north/log/%s", name);
    read_file(path, &other);
    assert_true(rn_view_equal(rn_buffer_view(&one), rn_buffer_view(&other)));
}

static void test_the_copy_is_the_log(void **state)
{
    (void)state;
    struct rn_tlog_mirror *south = mirror_open("south", 1);
    add_some(writer, 0, 700, 1);
    settle(writer, mirror, 0);
    settle(writer, south, 1);
    settle(writer, mirror, 0);                          /* south's key has come in */
    assert_int_equal(rn_tlog_writer_size(writer), 703); /* the log's first entry, two keys */
    assert_int_equal(rn_tlog_writer_cosigned(writer), 2);
    expect_same_file("tile/0/001");
    expect_same_file("tile/entries/001");
    expect_same_file("tile/0/002.p/191");
    expect_same_file("tile/1/000.p/2");
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer policy = {0};
    read_file("coordinator/log/federation.policy", &policy);
    assert_non_null(strstr(rn_buffer_text(&policy), "group quorum-of-members 2 "));
    rn_tlog_mirror_free(south);
}

static void test_both_go_on_after_a_restart(void **state)
{
    (void)state;
    add_some(writer, 0, 300, 1);
    settle(writer, mirror, 0);
    rn_tlog_writer_free(writer);
    rn_tlog_mirror_free(mirror);
    writer = writer_open("coordinator");
    mirror = mirror_open("north", 0);
    assert_int_equal(rn_tlog_writer_cosigned(writer), 1); /* read back with the checkpoint */
    add_some(writer, 0, 300, 1);                          /* as after a restart: all are in */
    assert_int_equal(rn_tlog_writer_size(writer), 302);
    add_some(writer, 300, 310, 1);
    settle(writer, mirror, 0);
    assert_int_equal(rn_tlog_mirror_size(mirror), 312);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    entry_text(311, 1, &text);
    assert_int_equal(rn_tlog_writer_add(writer, 311, rn_buffer_view(&text), &error).code,
                     RN_E_DATA);
}

static bool file_there(const char *name)
{
    char path[RN_PATH_MAX];
    path_of(name, path);
    return rn_file_exists(path);
}

/* The same coordinator with another history: longer, as long, and shorter than what it showed. */
static void test_a_fork(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {20, 10, 5};
    add_some(writer, 0, 10, 1);
    settle(writer, mirror, 0);
    for (size_t k = 0; k < RN_ARRAY_LENGTH(sizes); k++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer update = {0};
        char name[32];
        (void)rn_text_format(name, sizeof name, "other-%zu", k);
        struct rn_tlog_writer *other = writer_open(name);
        add_some(other, 0, sizes[k], 2);
        const uint64_t from = rn_tlog_writer_size(other) < 12 ? rn_tlog_writer_size(other) : 12;
        assert_int_equal(rn_tlog_writer_update(other, from, &update, &error).code, RN_OK);
        assert_int_equal(rn_tlog_mirror_take(mirror, rn_buffer_view(&update), NOW, &error).code,
                         RN_E_PEER_PROTOCOL);
        (void)rn_text_format(name, sizeof name, "north/log/fork-%llu",
                             (unsigned long long)rn_tlog_writer_size(other));
        assert_true(file_there(name));
        rn_tlog_writer_free(other);
    }
    assert_int_equal(rn_tlog_mirror_size(mirror), 12);
    settle(writer, mirror, 0); /* with the log itself it goes on */
}

/* State put back to an older copy: the log that it then shows was cosigned as a longer one. */
static void test_a_rolled_back_coordinator(void **state)
{
    (void)state;
    char command[256];
    add_some(writer, 0, 10, 1);
    settle(writer, mirror, 0);
    (void)rn_text_format(command, sizeof command, "cp -r %s/coordinator %s/old", folder, folder);
    assert_int_equal(system(command), 0); /* NOLINT: names of our own */
    add_some(writer, 10, 20, 1);
    settle(writer, mirror, 0);
    struct rn_tlog_writer *old = writer_open("old");
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer update = {0};
    assert_int_equal(rn_tlog_writer_update(old, 0, &update, &error).code, RN_OK);
    /* A beginning of what the member has: nothing new, and no fork yet. */
    assert_int_equal(rn_tlog_mirror_take(mirror, rn_buffer_view(&update), NOW, &error).code, RN_OK);
    add_some(old, 10, 30, 2);
    assert_int_equal(show(old, mirror), RN_E_PEER_PROTOCOL);
    rn_tlog_writer_free(old);
}

/* Another coordinator's log, and this one's with a checkpoint that somebody else signed. */
static void test_logs_of_strangers(void **state)
{
    (void)state;
    struct rn_identity *real = identities[MEMBERS];
    add_some(writer, 0, 3, 1);
    identities[MEMBERS] = identities[1];
    struct rn_tlog_writer *stranger = writer_open("stranger");
    identities[MEMBERS] = real;
    assert_int_equal(show(stranger, mirror), RN_E_PEER_AUTH);
    assert_int_equal(rn_tlog_mirror_size(mirror), 0);
    settle(writer, mirror, 0);
    add_some(stranger, 0, 9, 1);
    assert_int_equal(show(stranger, mirror), RN_E_PEER_AUTH);
    assert_false(file_there("north/log/fork-10"));
    rn_tlog_writer_free(stranger);
}

static void test_every_changed_byte_of_an_update(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer update = {0};
    add_some(writer, 0, 2, 1);
    assert_int_equal(rn_tlog_writer_update(writer, 0, &update, &error).code, RN_OK);
    for (size_t k = 0; k < update.length; k++) {
        update.data[k] ^= 0x20;
        const rn_result result = rn_tlog_mirror_take(mirror, rn_buffer_view(&update), NOW, &error);
        assert_true(!rn_is_ok(result) || k < 8); /* from another place: asked for again */
        assert_int_equal(rn_tlog_mirror_size(mirror), 0);
        update.data[k] ^= 0x20;
    }
    assert_int_equal(rn_tlog_mirror_take(mirror, rn_buffer_view(&update), NOW, &error).code, RN_OK);
}

static void test_cosignatures_of_others(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    add_some(writer, 0, 3, 1);
    settle(writer, mirror, 0);
    assert_int_equal(rn_tlog_writer_cosigned(writer), 1);
    assert_int_equal(report(mirror, writer, 1), RN_E_PEER_AUTH); /* a key of another place */
    rn_tlog_mirror_report(mirror, &bytes);
    bytes.data[bytes.length - 20] ^= 1; /* a base64 digit of the signature */
    assert_int_equal(rn_tlog_writer_report(writer, 0, rn_buffer_view(&bytes), &error).code,
                     RN_E_PEER_AUTH);
    bytes.data[bytes.length - 20] ^= 1;
    bytes.data[bytes.length - 100] ^= 1; /* a letter of its name */
    assert_int_equal(rn_tlog_writer_report(writer, 0, rn_buffer_view(&bytes), &error).code,
                     RN_E_PEER_AUTH);
    assert_int_equal(rn_tlog_writer_cosigned(writer), 1);
    /* Over a text that goes on, so that it stands below ours alone as a signature that fails. */
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer two = {0};
    struct rn_tlog_report longer;
    rn_buffer_clear(&bytes);
    rn_tlog_mirror_report(mirror, &bytes);
    assert_int_equal(rn_tlog_report_read(rn_buffer_view(&bytes), &longer, &error).code, RN_OK);
    rn_buffer_format(&two, "X\n\n%.*s", (int)longer.line.length, (const char *)longer.line.data);
    longer.line = rn_buffer_view(&two);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer forged = {0};
    rn_tlog_report_write(&longer, &forged);
    assert_int_equal(rn_tlog_writer_report(writer, 0, rn_buffer_view(&forged), &error).code,
                     RN_E_PEER_FORMAT);
    add_some(writer, 3, 4, 1); /* of the checkpoint before: passed over */
    assert_int_equal(report(mirror, writer, 0), RN_OK);
    assert_int_equal(rn_tlog_writer_cosigned(writer), 0);
}

static void expect_unreadable(const char *name)
{
    struct rn_tlog_mirror *copy = NULL;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    char path[RN_PATH_MAX];
    char state[RN_PATH_MAX];
    path_of(name, path);
    path_of("north", state);
    assert_int_equal(rn_file_read(path, (size_t)1 << 20, &bytes, &error).code, RN_OK);
    bytes.data[bytes.length / 2] ^= 1;
    assert_true(rn_is_ok(rn_file_write(path, rn_buffer_view(&bytes), 0644, &error)));
    assert_false(rn_is_ok(rn_tlog_mirror_open(state, &roster, 0, identities[0], &copy, &error)));
    bytes.data[bytes.length / 2] ^= 1;
    assert_true(rn_is_ok(rn_file_write(path, rn_buffer_view(&bytes), 0644, &error)));
}

/* A refused update leaves nothing that makes the next one look begun. */
static void test_the_first_entry_is_the_logs(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer update = {0};
    add_some(writer, 0, 2, 1);
    assert_int_equal(rn_tlog_writer_update(writer, 0, &update, &error).code, RN_OK);
    update.data[8 + 4 + 90] ^= 1; /* of the checkpoint's signature */
    assert_false(rn_is_ok(rn_tlog_mirror_take(mirror, rn_buffer_view(&update), NOW, &error)));
    update.data[8 + 4 + 90] ^= 1;
    uint8_t *kind = memmem(update.data, update.length, "\"log\"", 5);
    assert_non_null(kind);
    kind[1] = 'b';
    assert_false(rn_is_ok(rn_tlog_mirror_take(mirror, rn_buffer_view(&update), NOW, &error)));
    assert_int_equal(rn_tlog_mirror_size(mirror), 0);
    assert_false(file_there("north/log/checkpoint"));
    kind[1] = 'l';
    assert_int_equal(rn_tlog_mirror_take(mirror, rn_buffer_view(&update), NOW, &error).code, RN_OK);
}

/* A checkpoint without its files is not an empty copy. */
static void test_a_copy_restored_in_part(void **state)
{
    (void)state;
    char path[RN_PATH_MAX];
    char from[RN_PATH_MAX];
    struct rn_tlog_mirror *copy = NULL;
    add_some(writer, 0, 3, 1);
    settle(writer, mirror, 0);
    path_of("north/log/tile", from);
    path_of("north/away", path);
    assert_int_equal(rename(from, path), 0);
    path_of("north", path);
    assert_int_equal(rn_tlog_mirror_open(path, &roster, 0, identities[0], &copy, &error).code,
                     RN_E_DATA);
}

/* This plan's rounds in the copy, for a member that starts again. */
static void test_rounds_of_a_plan(void **state)
{
    (void)state;
    static const uint8_t plan[RN_HASH_BYTES] = {1};
    static const uint8_t other[RN_HASH_BYTES] = {2};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer rounds = {0};
    const struct rn_tlog_entry entry = {
        .kind = RN_TLOG_ROUND, .plan = {1}, .round = 7, .outcome = RN_OK};
    rn_tlog_entry_write(&entry, &text);
    assert_int_equal(rn_tlog_writer_add(writer, 0, rn_buffer_view(&text), &error).code, RN_OK);
    add_some(writer, 1, 300, 1);
    settle(writer, mirror, 0);
    assert_int_equal(rn_tlog_mirror_rounds(mirror, other, &rounds, &error).code, RN_OK);
    assert_int_equal(rounds.length, 0);
    assert_int_equal(rn_tlog_mirror_rounds(mirror, plan, &rounds, &error).code, RN_OK);
    assert_int_equal(rounds.length, 2 + text.length);
    assert_memory_equal(rounds.data + 2, text.data, text.length);
}

static void test_a_damaged_copy(void **state)
{
    (void)state;
    add_some(writer, 0, 3, 1);
    settle(writer, mirror, 0);
    rn_tlog_mirror_free(RN_TAKE(mirror));
    expect_unreadable("north/log/tile/0/000.p/5");
    expect_unreadable("north/log/tile/entries/000.p/5");
    mirror = mirror_open("north", 0);
    assert_int_equal(rn_tlog_mirror_size(mirror), 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
    const struct CMUnitTest tests[] = {
        TEST(test_the_copy_is_the_log),
        TEST(test_both_go_on_after_a_restart),
        TEST(test_a_fork),
        TEST(test_a_rolled_back_coordinator),
        TEST(test_logs_of_strangers),
        TEST(test_every_changed_byte_of_an_update),
        TEST(test_cosignatures_of_others),
        TEST(test_the_first_entry_is_the_logs),
        TEST(test_a_copy_restored_in_part),
        TEST(test_rounds_of_a_plan),
        TEST(test_a_damaged_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
