/* SPDX-License-Identifier: Apache-2.0
 *
 * The member's policy: fail-closed parsing, every range, and every refusal with its reason code.
 */
#include "policy/pins.h"

#include "tests/unit/policy/policytext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct rn_policy policy;
static struct rn_plan plan;
static struct rn_roster roster;
static struct rn_buffer roster_bytes;
static struct rn_policy_facts facts;
static bool signed_by[RN_ROSTER_MEMBERS_MAX];
static struct rn_error error;

static struct rn_identity_public key_of(uint32_t number)
{
    struct rn_secret32 seed = {{0}};
    seed.bytes[0] = (uint8_t)number;
    seed.bytes[1] = (uint8_t)(number >> 8);
    struct rn_identity *identity = rn_identity_from_seed(&seed);
    const struct rn_identity_public key = *rn_identity_public_of(identity);
    rn_identity_free(identity);
    return key;
}

static void roster_make(uint32_t members)
{
    memset(&roster, 0, sizeof roster);
    (void)rn_text_format(roster.federation, sizeof roster.federation, "clinics");
    roster.coordinator = key_of(2000);
    roster.count = members;
    for (uint32_t i = 0; i < members; i++) {
        (void)rn_text_format(roster.members[i].name, sizeof roster.members[i].name, "member-%u", i);
        roster.members[i].key = key_of(i + 1);
    }
    assert_true(rn_is_ok(rn_roster_write(&roster, &roster_bytes, &error)));
}

/* The plan's text with this roster's hash and coordinator. */
static void plan_parse(const char *text)
{
    char a[EDITED_MAX];
    char b[EDITED_MAX];
    char hex[65];
    uint8_t hash[32];
    rn_roster_hash(rn_buffer_view(&roster_bytes), hash);
    rn_hex_encode(hex, hash, 32);
    edited(a, text, HEX_B, hex);
    rn_hex_encode(hex, roster.coordinator.bytes, 32);
    edited(b, a, HEX_C, hex);
    if (!rn_is_ok(rn_plan_parse(rn_view_text(b), "plan", &plan, &error))) {
        fail_msg("%s", error.text);
    }
}

static void policy_parse(const char *text)
{
    char a[EDITED_MAX];
    char hex[65];
    rn_hex_encode(hex, roster.coordinator.bytes, 32);
    edited(a, text, HEX_C, hex);
    if (!rn_is_ok(rn_policy_parse(rn_view_text(a), "policy", &policy, &error))) {
        fail_msg("%s", error.text);
    }
}

static void pin(uint32_t at, const char *name, const struct rn_identity_public *key)
{
    (void)rn_text_format(policy.members[at].name, sizeof policy.members[at].name, "%s", name);
    rn_hex_encode(policy.members[at].key, key->bytes, sizeof key->bytes);
}

static void pin_roster(void)
{
    policy.members_count = roster.count;
    for (uint32_t i = 0; i < roster.count; i++) {
        pin(i, roster.members[i].name, &roster.members[i].key);
    }
}

/* A plan that the policy accepts, everyone has signed, the model is the right one. */
static void accepted_case(void)
{
    roster_make(4);
    plan_parse(plan_example);
    policy_parse(policy_example);
    pin_roster();
    memset(signed_by, 0, sizeof signed_by);
    memset(signed_by, 1, 4);
    facts = (struct rn_policy_facts){.self_key = roster.members[1].key,
                                     .roster_bytes = rn_buffer_view(&roster_bytes),
                                     .signed_by = signed_by,
                                     .coordinator_signed = true,
                                     .model_known = true};
    memset(facts.model_hash, 0xaa, sizeof facts.model_hash);
}

static void expect(enum rn_policy_reason expected)
{
    enum rn_policy_reason reason = RN_POLICY_REASON_COUNT_;
    error.text[0] = '\0';
    const rn_result result =
        rn_policy_check(&policy, &plan, &roster, &facts, RN_POLICY_RUN, &reason, &error);
    if (reason != expected) {
        fail_msg("expected %s, got %s (%s)", rn_policy_reason_name(expected),
                 rn_policy_reason_name(reason), error.text);
    }
    assert_int_equal(result.code, expected == RN_POLICY_ACCEPTED ? RN_OK : RN_E_REFUSED);
    assert_int_equal(error.text[0] == '\0', expected == RN_POLICY_ACCEPTED);
}

static void accepts(void **state)
{
    (void)state;
    accepted_case();
    expect(RN_POLICY_ACCEPTED);
}

/* Neither `metrics: summed` in the plan nor in the policy says anything of evaluation. */
static void evaluation_is_allowed_by_its_own_switch(void **state)
{
    (void)state;
    accepted_case();
    plan.metrics = RN_METRICS_SUMMED;
    plan.evaluation.federated = true;
    policy.method.metrics |= RN_POLICY_BIT(RN_METRICS_SUMMED);
    assert_false(policy.method.evaluation);
    expect(RN_POLICY_EVALUATION);
    policy.method.evaluation = true;
    expect(RN_POLICY_ACCEPTED);
    plan.evaluation.federated = false;
    expect(RN_POLICY_ACCEPTED);
}

/* Whoever asks for a blind coordinator gets no other; who does not takes both. */
static void blindness_is_asked_for(void **state)
{
    (void)state;
    accepted_case();
    assert_false(policy.cohort.blind);
    plan.coordinator = RN_PLAN_COORDINATOR_BLIND;
    expect(RN_POLICY_ACCEPTED);
    policy.cohort.blind = true;
    expect(RN_POLICY_ACCEPTED);
    plan.coordinator = RN_PLAN_COORDINATOR_OPEN;
    expect(RN_POLICY_NOT_BLIND);
}

static void plan_edits_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        enum rn_policy_reason reason;
    } rows[] = {
        {"method: rolora", "method: fedavg-lora", RN_POLICY_METHOD},
        {"weights: uniform\nmax_examples: 0", "weights: examples\nmax_examples: 9",
         RN_POLICY_WEIGHTS},
        {"metrics: home", "metrics: summed", RN_POLICY_METRICS},
        {"head: federated", "head: local", RN_POLICY_HEAD},
        {"hash: " HEX_A, "hash: " HEX_D, RN_POLICY_MODEL},
        {"max_length: 64", "max_length: 65", RN_POLICY_LENGTH_TOO_LARGE},
        {"[query, value]", "[query, key]", RN_POLICY_TARGET},
        {"[query, value]", "[all-linear]", RN_POLICY_TARGET},
        {"rank: 4", "rank: 9", RN_POLICY_RANK_TOO_LARGE},
        {"rank: 4", "rank: 8", RN_POLICY_ACCEPTED},
        {"rounds: 4", "rounds: 11", RN_POLICY_ROUNDS_TOO_MANY},
        {"rounds: 4", "rounds: 10", RN_POLICY_ACCEPTED},
        {"steps: 20", "steps: 51", RN_POLICY_STEPS_TOO_MANY},
        {"batch: 16", "batch: 33", RN_POLICY_BATCH_TOO_LARGE},
        {"attempts: 3", "attempts: 4", RN_POLICY_ATTEMPTS_TOO_MANY},
        {"losses: 1", "losses: 2", RN_POLICY_INFEASIBLE},
        {"colluding: 1", "colluding: 3", RN_POLICY_INFEASIBLE},
        {"federation: clinics", "federation: banks", RN_POLICY_FEDERATION},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        char text[EDITED_MAX];
        accepted_case();
        plan_parse(edited(text, plan_example, rows[i].from, rows[i].to));
        expect(rows[i].reason);
    }
}

static void policy_edits_refuse(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        enum rn_policy_reason reason;
    } rows[] = {
        {"federation: clinics", "federation: banks", RN_POLICY_FEDERATION},
        {"  hashes: []", "  hashes: [" HEX_D "]", RN_POLICY_PLAN_NOT_PINNED},
        {"members_min: 3", "members_min: 5", RN_POLICY_COHORT_TOO_SMALL},
        {"members_max: 10", "members_max: 3", RN_POLICY_COHORT_TOO_LARGE},
        {"colluding_min: 1", "colluding_min: 2", RN_POLICY_COLLUDING_TOO_FEW},
        {"honest_min: 2", "honest_min: 3", RN_POLICY_HONEST_TOO_FEW},
        {"losses_max: 1", "losses_max: 0", RN_POLICY_LOSSES_TOO_MANY},
        {"threshold_min: 3", "threshold_min: 4", RN_POLICY_THRESHOLD_TOO_LOW},
        {"threshold_min: 3", "threshold_min: 3\n  survivors_min: 3", RN_POLICY_ACCEPTED},
        {"threshold_min: 3", "threshold_min: 3\n  survivors_min: 4", RN_POLICY_LOSSES_TOO_MANY},
        {"signers: 3", "signers: 5", RN_POLICY_SIGNERS_TOO_FEW},
        {"signers: 3", "signers: 4", RN_POLICY_ACCEPTED},
        {"signed_by: []", "signed_by: [member-2]", RN_POLICY_ACCEPTED},
        {"signed_by: []", "signed_by: [stranger]", RN_POLICY_SIGNER_MISSING},
        {"targets: [query, value]", "targets: [all-linear]", RN_POLICY_ACCEPTED},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        char text[EDITED_MAX];
        accepted_case();
        policy_parse(edited(text, policy_example, rows[i].from, rows[i].to));
        pin_roster();
        expect(rows[i].reason);
    }
}

static void facts_are_asked(void **state)
{
    (void)state;
    accepted_case();
    facts.self_key = key_of(99);
    expect(RN_POLICY_NOT_IN_ROSTER);
    accepted_case();
    facts.model_known = false;
    expect(RN_POLICY_MODEL_MISMATCH);
    accepted_case();
    facts.model_hash[31] ^= 1;
    expect(RN_POLICY_MODEL_MISMATCH);
    accepted_case();
    facts.coordinator_signed = false;
    expect(RN_POLICY_UNSIGNED);
    accepted_case();
    facts.signed_by = NULL;
    expect(RN_POLICY_UNSIGNED);
    accepted_case();
    signed_by[1] = false; /* this member's own */
    expect(RN_POLICY_UNSIGNED);
    accepted_case();
    signed_by[0] = signed_by[2] = false;
    expect(RN_POLICY_SIGNERS_TOO_FEW);
    accepted_case();
    facts.roster_bytes.length--;
    expect(RN_POLICY_ROSTER);
    accepted_case();
    policy.coordinator[0] = policy.coordinator[0] == 'a' ? 'b' : 'a';
    expect(RN_POLICY_COORDINATOR);
    accepted_case();
    plan.coordinator_key[0] ^= 1;
    expect(RN_POLICY_COORDINATOR);
    accepted_case();
    roster_make(2);
    pin_roster();
    facts.roster_bytes = rn_buffer_view(&roster_bytes);
    facts.self_key = roster.members[1].key;
    plan_parse(plan_example);
    expect(RN_POLICY_INFEASIBLE);
}

/* The roster has to be exactly what the policy pins, at both stages. */
static void members_are_pinned(void **state)
{
    (void)state;
    enum rn_policy_reason reason;
    accepted_case();
    policy.members_count = 0;
    expect(RN_POLICY_MEMBERS);
    const rn_result proposed =
        rn_policy_check(&policy, &plan, &roster, &facts, RN_POLICY_PROPOSED, &reason, &error);
    assert_int_equal(proposed.code, RN_E_REFUSED);
    assert_int_equal(reason, RN_POLICY_MEMBERS);
    accepted_case();
    policy.members_count--;
    expect(RN_POLICY_MEMBERS);
    assert_non_null(strstr(error.text, "'member-3' of the roster"));
    accepted_case();
    pin(policy.members_count++, "member-9", &(struct rn_identity_public){{9}});
    expect(RN_POLICY_MEMBERS);
    assert_non_null(strstr(error.text, "'member-9' of the policy"));
    accepted_case();
    const struct rn_identity_public other = key_of(77);
    pin(2, "member-2", &other);
    expect(RN_POLICY_MEMBERS);
    assert_non_null(strstr(error.text, "another key for 'member-2'"));
    accepted_case(); /* two members that change names are other members */
    pin(0, "member-1", &roster.members[0].key);
    pin(1, "member-0", &roster.members[1].key);
    expect(RN_POLICY_MEMBERS);
}

/* signed_by means the key that is pinned under the name, whatever the roster calls it. */
static void signed_by_means_keys(void **state)
{
    (void)state;
    enum rn_policy_reason reason;
    accepted_case();
    policy.plan.signed_by_count = 1;
    (void)rn_text_format(policy.plan.signed_by[0], sizeof policy.plan.signed_by[0], "member-2");
    pin(2, "member-2", &(struct rn_identity_public){{9}});
    const rn_result result =
        rn_policy_check_signers(&policy, &plan, &roster, &facts, &reason, &error);
    assert_int_equal(result.code, RN_E_REFUSED);
    assert_int_equal(reason, RN_POLICY_SIGNER_MISSING);
}

/* What is written reads back as pins of the roster; all but the section stays; at most one for each
 * member of the largest roster. */
static void pins_are_written(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer once = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer twice = {0};
    char own[EDITED_MAX];
    char a[EDITED_MAX];
    roster_make(4);
    edited(a, policy_example, "  members_min: 3\n", "  members_min: 3   # ours\n");
    edited(own, a, "upload:\n", "members:\n- name: old\n  key: " HEX_A "\nupload:\n");
    assert_true(rn_is_ok(rn_pins_write(rn_view_text(own), &roster, &once, &error)));
    assert_non_null(strstr(rn_buffer_text(&once), "# ours\n"));
    assert_null(strstr(rn_buffer_text(&once), HEX_A "\nupload"));
    roster_make(RN_POLICY_PINS_MAX);
    assert_true(rn_is_ok(rn_pins_write(rn_buffer_view(&once), &roster, &twice, &error)));
    assert_true(rn_is_ok(rn_policy_parse(rn_buffer_view(&twice), "policy", &policy, &error)));
    assert_int_equal(policy.members_count, RN_POLICY_PINS_MAX);
    assert_true(rn_is_ok(rn_pins_check(&policy, &roster, &error)));
    for (uint32_t i = 0; i < RN_POLICY_PINS_MAX; i++) { /* the longest names fit too */
        (void)rn_text_format(roster.members[i].name, RN_NAME_MAX + 1, "%063u", i);
    }
    rn_buffer_clear(&twice);
    assert_true(rn_is_ok(rn_pins_write(rn_buffer_view(&once), &roster, &twice, &error)));
    roster_make(RN_POLICY_PINS_MAX);
    rn_buffer_clear(&twice);
    assert_true(rn_is_ok(rn_pins_write(rn_buffer_view(&once), &roster, &twice, &error)));
    for (uint32_t extra = 0; extra < 2; extra++) { /* limit and limit + 1 */
        const rn_result result = rn_policy_parse(rn_buffer_view(&twice), "policy", &policy, &error);
        assert_int_equal(result.code, extra == 0 ? RN_OK : RN_E_CONFIG);
        rn_buffer_clear(&once);
        rn_buffer_append(&once, twice.data, twice.length);
        rn_buffer_clear(&twice);
        const char *section = strstr(rn_buffer_text(&once), "  - name: member-0\n");
        const size_t before = (size_t)(section - rn_buffer_text(&once));
        rn_buffer_append(&twice, once.data, before);
        rn_buffer_format(&twice, "  - name: one-more\n    key: " HEX_D "\n");
        rn_buffer_append(&twice, once.data + before, once.length - before);
    }
}

static void pins_that_contradict_are_refused(void **state)
{
    (void)state;
    char text[EDITED_MAX];
    static const char *const rows[] = {
        "members:\n  - name: a\n    key: " HEX_A "\n  - name: a\n    key: " HEX_B "\n",
        "members:\n  - name: a\n    key: " HEX_A "\n  - name: b\n    key: " HEX_A "\n",
        "members:\n  - name: a\n    key: aa\n",
        "members:\n  - name: a\n",
        "members:\n  - name: a\n    key: " HEX_A "\n    more: 1\n",
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        assert_true(rn_text_format(text, sizeof text, "%s%s", policy_example, rows[i]));
        const rn_result result = rn_policy_parse(rn_view_text(text), "policy", &policy, &error);
        assert_int_equal(result.code, RN_E_CONFIG);
        assert_non_null(strstr(error.text, "members"));
    }
}

static void signatures_are_not_asked_before_signing(void **state)
{
    (void)state;
    enum rn_policy_reason reason;
    accepted_case();
    facts.coordinator_signed = false;
    facts.signed_by = NULL;
    assert_true(rn_is_ok(
        rn_policy_check(&policy, &plan, &roster, &facts, RN_POLICY_PROPOSED, &reason, &error)));
    assert_int_equal(reason, RN_POLICY_ACCEPTED);
}

static enum rn_policy_reason signers_reason(void)
{
    enum rn_policy_reason reason = RN_POLICY_REASON_COUNT_;
    const rn_result result =
        rn_policy_check_signers(&policy, &plan, &roster, &facts, &reason, &error);
    assert_int_equal(result.code, reason == RN_POLICY_ACCEPTED ? RN_OK : RN_E_REFUSED);
    return reason;
}

/* The same rules alone; whatever the policy asks for, the plan's quorum must have signed. */
static void signers_are_judged_alone(void **state)
{
    (void)state;
    accepted_case();
    assert_int_equal(signers_reason(), RN_POLICY_ACCEPTED);
    policy.lora.rank_max = 1; /* none of their business */
    facts.model_known = false;
    assert_int_equal(signers_reason(), RN_POLICY_ACCEPTED);
    policy.plan.signers = 1;
    signed_by[0] = false; /* 3 of 4: Q */
    assert_int_equal(signers_reason(), RN_POLICY_ACCEPTED);
    signed_by[2] = false;
    assert_int_equal(signers_reason(), RN_POLICY_SIGNERS_TOO_FEW);
    assert_non_null(strstr(error.text, "its quorum is 3"));
    signed_by[2] = true;
    policy.plan.signed_by_count = 1;
    (void)rn_text_format(policy.plan.signed_by[0], sizeof policy.plan.signed_by[0], "%s",
                         roster.members[0].name);
    assert_int_equal(signers_reason(), RN_POLICY_SIGNER_MISSING);
    signed_by[0] = true;
    assert_int_equal(signers_reason(), RN_POLICY_ACCEPTED);
    signed_by[1] = false;
    assert_int_equal(signers_reason(), RN_POLICY_UNSIGNED);
    facts.coordinator_signed = false;
    assert_int_equal(signers_reason(), RN_POLICY_UNSIGNED);
}

/* Waiting helps against two reasons, and against no other. */
static void only_signatures_are_waited_for(void **state)
{
    (void)state;
    for (unsigned reason = 0; reason < RN_POLICY_REASON_COUNT_; reason++) {
        const bool expected =
            reason == RN_POLICY_SIGNERS_TOO_FEW || reason == RN_POLICY_SIGNER_MISSING;
        assert_int_equal(rn_policy_reason_waits((enum rn_policy_reason)reason), expected);
    }
}

static void upload_bound(void **state)
{
    (void)state;
    enum rn_policy_reason reason;
    accepted_case();
    assert_true(rn_is_ok(rn_policy_check_upload(&policy, 1000000, &reason, &error)));
    assert_int_equal(reason, RN_POLICY_ACCEPTED);
    const rn_result result = rn_policy_check_upload(&policy, 1000001, &reason, &error);
    assert_int_equal(result.code, RN_E_REFUSED);
    assert_string_equal(rn_policy_reason_name(reason), "policy-upload-too-large");
}

static void reason_names_are_distinct(void **state)
{
    (void)state;
    for (int i = 0; i < RN_POLICY_REASON_COUNT_; i++) {
        const char *name = rn_policy_reason_name((enum rn_policy_reason)i);
        assert_non_null(name);
        assert_true(i == 0 || strncmp(name, "policy-", 7) == 0);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(name, rn_policy_reason_name((enum rn_policy_reason)j));
        }
    }
    assert_string_equal(rn_policy_reason_name(RN_POLICY_RANK_TOO_LARGE), "policy-rank-too-large");
    assert_string_equal(rn_policy_reason_name((enum rn_policy_reason)99), "policy-unknown");
}

/* Every line of the example is needed, and nothing may be added. */
static void parsing_fails_closed(void **state)
{
    (void)state;
    char text[EDITED_MAX];
    for (const char *line = policy_example; *line != '\0'; line = strchr(line, '\n') + 1) {
        const int before = (int)(line - policy_example);
        assert_true(rn_text_format(text, sizeof text, "%.*s%s", before, policy_example,
                                   strchr(line, '\n') + 1));
        const rn_result result = rn_policy_parse(rn_view_text(text), "policy", &policy, &error);
        if (result.code != RN_E_CONFIG) {
            fail_msg("accepted without the line %.30s", line);
        }
        assert_int_equal(policy.version, 0);
    }
    static const struct {
        const char *from, *to, *expected;
    } rows[] = {
        {"losses_max: 1", "losses_max: 1\n  losses_maximum: 1", "unknown key"},
        {"[rolora, ffa-lora]", "[rolora, everything]", "policy:16: method.allowed"},
        {"[rolora, ffa-lora]", "[]", "method.allowed: is empty"},
        {"[rolora, ffa-lora]", "rolora", "method.allowed"},
        {"[rolora, ffa-lora]", "[1]", "method.allowed"},
        {"members_max: 10", "members_max: 2", "cohort.members_max"},
        {"threshold_min: 3", "threshold_min: 3\n  survivors_min: 2", "cohort.survivors_min"},
        {"members_min: 3", "members_min: 11", "must not be below members_min"},
        {"hashes: [" HEX_A "]", "hashes: []", "model.hashes"},
        {"hashes: [" HEX_A "]", "hashes: [abc]", "model.hashes"},
        {"hashes: []", "hashes: [" HEX_A "a]", "plan.hashes"},
        {"signed_by: []", "signed_by: [No]", "plan.signed_by"},
        {"coordinator: " HEX_C, "coordinator: 12", "coordinator"},
        {"federation: clinics", "federation: a b", "federation"},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        edited(text, policy_example, rows[i].from, rows[i].to);
        const rn_result result = rn_policy_parse(rn_view_text(text), "policy", &policy, &error);
        if (result.code != RN_E_CONFIG || strstr(error.text, rows[i].expected) == NULL) {
            fail_msg("expected \"%s\", got \"%s\"", rows[i].expected, error.text);
        }
    }
}

static int finish(void **state)
{
    (void)state;
    rn_buffer_clear(&roster_bytes);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),
        cmocka_unit_test(evaluation_is_allowed_by_its_own_switch),
        cmocka_unit_test(blindness_is_asked_for),
        cmocka_unit_test(plan_edits_are_refused),
        cmocka_unit_test(policy_edits_refuse),
        cmocka_unit_test(facts_are_asked),
        cmocka_unit_test(members_are_pinned),
        cmocka_unit_test(signed_by_means_keys),
        cmocka_unit_test(pins_are_written),
        cmocka_unit_test(pins_that_contradict_are_refused),
        cmocka_unit_test(signatures_are_not_asked_before_signing),
        cmocka_unit_test(signers_are_judged_alone),
        cmocka_unit_test(only_signatures_are_waited_for),
        cmocka_unit_test(upload_bound),
        cmocka_unit_test(reason_names_are_distinct),
        cmocka_unit_test(parsing_fails_closed),
    };
    return cmocka_run_group_tests(tests, NULL, finish);
}
