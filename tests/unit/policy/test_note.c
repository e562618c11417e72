/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed notes: the example of the standard holds, every changed byte of a note is refused, and
 * nobody's signature counts under another name, id or role.
 */
#include "tlogworld.h"

#include "crypto/base64.h"
#include "policy/tlog/note.h"

#define FOO_KEY "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
#define FOO_TEXT "This is an example message.\n"
#define FOO_LINE                                                                      \
    "\xe2\x80\x94 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK" \
    "7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"

static struct rn_identity *owner;
static struct rn_error error;

static int open_owner(void **state)
{
    (void)state;
    const struct rn_secret32 seed = {{7}};
    owner = rn_identity_from_seed(&seed);
    return 0;
}

static int close_owner(void **state)
{
    (void)state;
    rn_identity_free(owner);
    return 0;
}

static struct rn_note_key key_of(const char *name, enum rn_note_type type,
                                 const struct rn_rolekey *secret)
{
    struct rn_note_key key = {.type = type, .public_key = *rn_rolekey_public_of(secret)};
    (void)rn_text_format(key.name, sizeof key.name, "%s", name);
    return key;
}

static enum rn_code verify(struct rn_view bytes, const struct rn_note_key *key, uint64_t *time)
{
    struct rn_note note;
    const rn_result split = rn_note_split(bytes, &note, &error);
    return rn_is_ok(split) ? rn_note_verify(&note, key, time, &error).code : split.code;
}

static void test_example_of_the_standard(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer again = {0};
    struct rn_note_key key;
    assert_int_equal(rn_note_key_read(rn_view_text(FOO_KEY), &key, &error).code, RN_OK);
    assert_int_equal(verify(rn_view_text(FOO_TEXT "\n" FOO_LINE), &key, NULL), RN_OK);
    rn_note_key_write(&key, &again);
    assert_string_equal(rn_buffer_text(&again), FOO_KEY);
}

static void test_keys_that_are_none(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "+",
        "example.com/foo",
        "example.com/foo+530d903a+",
        "example.com/foo+530d903a",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", /* id */
        "example.com/foO+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", /* name */
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", /* case */
        "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", /* type 2 */
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k=",
        "example .com+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        FOO_KEY "\n",
        FOO_KEY "+",
    };
    struct rn_note_key key;
    for (size_t k = 0; k < RN_ARRAY_LENGTH(texts); k++) {
        assert_int_equal(rn_note_key_read(rn_view_text(texts[k]), &key, &error).code, RN_E_DATA);
    }
}

static void test_names_at_their_limit(void **state)
{
    (void)state;
    char name[RN_NOTE_NAME_MAX + 2];
    memset(name, 'a', sizeof name);
    name[RN_NOTE_NAME_MAX] = '\0';
    assert_true(rn_note_name_valid(name));
    name[RN_NOTE_NAME_MAX] = 'a';
    name[RN_NOTE_NAME_MAX + 1] = '\0';
    assert_false(rn_note_name_valid(name));
    assert_false(rn_note_name_valid(""));
    assert_false(rn_note_name_valid("a b"));
    assert_false(rn_note_name_valid("a+b"));
    assert_false(rn_note_name_valid("a\xc2\xa0"));
}

/* Text, then the log's signature and two cosignatures. */
static void note_write(struct rn_buffer *out, const struct rn_note_key keys[3],
                       struct rn_rolekey *const secrets[3])
{
    const struct rn_note_checkpoint checkpoint = {"example.org/log", 12, {{1, 2, 3}}};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    rn_note_checkpoint_write(&checkpoint, &text);
    rn_buffer_append(out, text.data, text.length);
    rn_buffer_u8(out, '\n');
    for (uint64_t k = 0; k < 3; k++) {
        rn_note_sign(rn_buffer_view(&text), &keys[k], secrets[k], 1000 + k, out);
    }
}

struct party {
    struct rn_rolekey *secrets[3];
    struct rn_note_key keys[3];
    struct rn_buffer note;
};

static void party_open(struct party *party)
{
    static const char *const names[] = {"example.org/log", "north", "south"};
    static const char *const labels[] = {"log", "north", "south"};
    *party = (struct party){0};
    for (size_t k = 0; k < 3; k++) {
        party->secrets[k] = rn_rolekey_derive(owner, rn_view_text("clinics"), labels[k]);
        party->keys[k] =
            key_of(names[k], k == 0 ? RN_NOTE_ED25519 : RN_NOTE_COSIGNATURE, party->secrets[k]);
    }
    note_write(&party->note, party->keys, party->secrets);
}

static void party_close(struct party *party)
{
    for (size_t k = 0; k < 3; k++) {
        rn_rolekey_free(party->secrets[k]);
    }
    rn_buffer_clear(&party->note);
}

static void test_a_checkpoint_with_cosignatures(void **state)
{
    (void)state;
    struct party party;
    party_open(&party);
    struct rn_note note;
    struct rn_note_checkpoint checkpoint;
    assert_int_equal(rn_note_split(rn_buffer_view(&party.note), &note, &error).code, RN_OK);
    assert_int_equal(rn_note_checkpoint_read(note.text, &checkpoint, &error).code, RN_OK);
    assert_int_equal(checkpoint.size, 12);
    assert_int_equal(checkpoint.root.bytes[2], 3);
    for (uint64_t k = 0; k < 3; k++) {
        uint64_t time = 1;
        assert_int_equal(rn_note_verify(&note, &party.keys[k], &time, &error).code, RN_OK);
        assert_int_equal(time, k == 0 ? 0 : 1000 + k);
    }
    party_close(&party);
}

/* The bytes that the standard says: 4 of the key's id, 8 of time, a signature over two lines and
 * the text. */
static void test_what_a_cosignature_signs(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    struct party party;
    party_open(&party);
    uint8_t bytes[4 + 8 + RN_SIGNATURE_BYTES];
    size_t length = 0;
    const char text[] = "example.org/log\n12\nroot\n";
    rn_note_sign(rn_view_text(text), &party.keys[1], party.secrets[1], 0x0102030405060708, &line);
    const char *digits = strrchr(rn_buffer_text(&line), ' ') + 1;
    assert_true(
        rn_base64_read(rn_view_of(digits, strlen(digits) - 1), bytes, sizeof bytes, &length));
    assert_int_equal(length, sizeof bytes);
    assert_memory_equal(bytes + 4, "\1\2\3\4\5\6\7\10", 8);
    const char message[] = "cosignature/v1\ntime 72623859790382856\nexample.org/log\n12\nroot\n";
    assert_true(rn_rolekey_verify(&party.keys[1].public_key, rn_view_text(message), bytes + 12));
    party_close(&party);
}

/* A key of the other role, under the other name, of a stranger: none of them signed. */
static void test_nobody_elses(void **state)
{
    (void)state;
    struct party party;
    party_open(&party);
    struct rn_note_key key = party.keys[1];
    key.type = RN_NOTE_ED25519;
    assert_int_equal(verify(rn_buffer_view(&party.note), &key, NULL), RN_E_PEER_AUTH);
    key = party.keys[1];
    (void)rn_text_format(key.name, sizeof key.name, "south");
    assert_int_equal(verify(rn_buffer_view(&party.note), &key, NULL), RN_E_PEER_AUTH);
    key = party.keys[1];
    key.public_key = party.keys[2].public_key;
    assert_int_equal(verify(rn_buffer_view(&party.note), &key, NULL), RN_E_PEER_AUTH);
    party_close(&party);
}

/* The bytes of the text and of the known signature: never OK. Those of the others' lines may. */
static void test_every_changed_byte(void **state)
{
    (void)state;
    struct party party;
    party_open(&party);
    struct rn_note note;
    assert_int_equal(rn_note_split(rn_buffer_view(&party.note), &note, &error).code, RN_OK);
    const size_t own = (size_t)((const uint8_t *)memchr(note.lines.data, '\n', note.lines.length) -
                                party.note.data);
    for (size_t k = 0; k <= own; k++) {
        for (uint32_t bit = 0; bit < 8; bit++) {
            party.note.data[k] ^= (uint8_t)(1u << bit);
            assert_int_not_equal(verify(rn_buffer_view(&party.note), &party.keys[0], NULL), RN_OK);
            party.note.data[k] ^= (uint8_t)(1u << bit);
        }
    }
    for (size_t cut = 0; cut < party.note.length; cut++) {
        const struct rn_view part = rn_view_of(party.note.data, cut);
        assert_int_not_equal(verify(part, &party.keys[2], NULL), RN_OK);
    }
    party_close(&party);
}

static void test_limits(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer note = {0};
    struct rn_note_key key;
    assert_int_equal(rn_note_key_read(rn_view_text(FOO_KEY), &key, &error).code, RN_OK);
    rn_buffer_format(&note, FOO_TEXT "\n");
    for (uint32_t k = 0; k < RN_NOTE_SIGNATURES_MAX; k++) {
        rn_buffer_format(&note, FOO_LINE);
    }
    assert_int_equal(verify(rn_buffer_view(&note), &key, NULL), RN_OK);
    rn_buffer_format(&note, FOO_LINE);
    assert_int_equal(verify(rn_buffer_view(&note), &key, NULL), RN_E_PEER_FORMAT);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer big = {0};
    (void)rn_buffer_grow(&big, RN_NOTE_BYTES_MAX + 1);
    assert_int_equal(verify(rn_buffer_view(&big), &key, NULL), RN_E_PEER_LIMIT);
}

static void test_unknown_signatures_are_passed_over(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer note = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    struct rn_note_key key;
    assert_int_equal(rn_note_key_read(rn_view_text(FOO_KEY), &key, &error).code, RN_OK);
    rn_buffer_format(&note, FOO_TEXT "\n\xe2\x80\x94 other.example AAAABBBB\n" FOO_LINE);
    assert_int_equal(verify(rn_buffer_view(&note), &key, NULL), RN_OK);
    rn_buffer_format(&line, FOO_TEXT "\n\xe2\x80\x94 other.example AAAABBB\n" FOO_LINE);
    assert_int_equal(verify(rn_buffer_view(&line), &key, NULL), RN_E_PEER_FORMAT);
}

static void test_texts_that_are_no_checkpoint(void **state)
{
    (void)state;
    static const char root[] = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    static const struct {
        const char *text;
        enum rn_code code;
    } rows[] = {
        {"a\n0\n%s\n", RN_OK},
        {"a\n9223372036854775807\n%s\n", RN_OK},
        {"a\n00\n%s\n", RN_E_PEER_FORMAT},
        {"a\n-1\n%s\n", RN_E_PEER_FORMAT},
        {"a\n\n%s\n", RN_E_PEER_FORMAT},
        {"a\n18446744073709551616\n%s\n", RN_E_PEER_FORMAT},
        {"\n1\n%s\n", RN_E_PEER_FORMAT},
        {"a b\n1\n%s\n", RN_E_PEER_FORMAT},
        {"a\n1\n%s", RN_E_PEER_FORMAT},
        {"a\n1\n%s\nextension\n", RN_E_PEER_FORMAT},
        {"a\n1\nA%s\n", RN_E_PEER_FORMAT},
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(rows); k++) {
        char text[RN_CHECKPOINT_TEXT_MAX];
        struct rn_note_checkpoint checkpoint;
        const char *place = strstr(rows[k].text, "%s");
        assert_true(rn_text_format(text, sizeof text, "%.*s%s%s", (int)(place - rows[k].text),
                                   rows[k].text, root, place + 2));
        assert_int_equal(rn_note_checkpoint_read(rn_view_text(text), &checkpoint, &error).code,
                         rows[k].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example_of_the_standard),
        cmocka_unit_test(test_keys_that_are_none),
        cmocka_unit_test(test_names_at_their_limit),
        cmocka_unit_test(test_a_checkpoint_with_cosignatures),
        cmocka_unit_test(test_what_a_cosignature_signs),
        cmocka_unit_test(test_nobody_elses),
        cmocka_unit_test(test_every_changed_byte),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_unknown_signatures_are_passed_over),
        cmocka_unit_test(test_texts_that_are_no_checkpoint),
    };
    return cmocka_run_group_tests(tests, open_owner, close_owner);
}
