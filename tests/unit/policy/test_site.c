/* SPDX-License-Identifier: Apache-2.0
 *
 * site.yaml and the bundles of the set-up.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "policy/bundle.h"
#include "policy/site.h"

#include "tests/unit/policy/policytext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct rn_site site;
static struct rn_error error;

static void reads(void **state)
{
    (void)state;
    if (!rn_is_ok(rn_site_parse(rn_view_text(site_example), "site.yaml", &site, &error))) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(site.role, RN_SITE_MEMBER);
    assert_string_equal(site.network.dial, "fed.example.org:8443");
    assert_string_equal(site.data.pair, "");
    assert_true(site.data.header);
    assert_int_equal(site.log.format, RN_SITE_LOG_JSON);
    assert_null(rn_site_format_name(site.data.format));
    assert_string_equal(rn_site_backend_name(site.compute.backend), "cpu");
}

/* Port 0 is any free port to who listens, and none at all to who dials. */
static void ports(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool dial;
    } cases[] = {
        {"h:0", false}, {"h:1", true}, {"h:65535", true}, {"h:65536", false}, {"h:", false}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        char edit[EDITED_MAX];
        edited(edit, site_example, "fed.example.org:8443", cases[i].address);
        assert_int_equal(rn_is_ok(rn_site_parse(rn_view_text(edit), "s", &site, &error)),
                         cases[i].dial);
    }
}

static void kernels_may_be_named(void **state)
{
    (void)state;
    static const char *const names[] = {"auto", "amx", "onednn", "float32"};
    assert_true(rn_is_ok(rn_site_parse(rn_view_text(site_example), "s", &site, &error)));
    assert_string_equal(rn_site_kernels_name(site.compute.kernels), "auto");
    for (size_t i = 0; i < RN_ARRAY_LENGTH(names); i++) {
        char edit[EDITED_MAX];
        char lines[64];
        (void)rn_text_format(lines, sizeof lines, "backend: cpu-bf16\n  kernels: %s", names[i]);
        edited(edit, site_example, "backend: cpu", lines);
        assert_true(rn_is_ok(rn_site_parse(rn_view_text(edit), "s", &site, &error)));
        assert_string_equal(rn_site_kernels_name(site.compute.kernels), names[i]);
    }
}

static void coordinator_with_peers(void **state)
{
    (void)state;
    static const char text[] = "version: 1\nrole: coordinator\nfederation: clinics\n"
                               "name: coordinator\nnetwork:\n  direction: both\n"
                               "  listen: \"[::1]:8443\"\n  peers:\n"
                               "    - name: north\n      address: \"north.example:1\"\n"
                               "    - name: south\n      address: \"10.0.0.2:2\"\n"
                               "state: state\nmodel: m\n"
                               "compute:\n  backend: cpu\n  threads: 0\n"
                               "log:\n  format: text\n  level: warn\n";
    char edit[EDITED_MAX];
    if (!rn_is_ok(rn_site_parse(rn_view_text(text), "site.yaml", &site, &error))) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(site.network.peers_count, 2);
    assert_string_equal(site.network.peers[1].address, "10.0.0.2:2");
    edited(edit, text, "      address: \"north.example:1\"\n", "");
    assert_false(rn_is_ok(rn_site_parse(rn_view_text(edit), "s", &site, &error)));
    edited(edit, text, "address: \"10.0.0.2:2\"", "address: \"10.0.0.2:0\"");
    assert_false(rn_is_ok(rn_site_parse(rn_view_text(edit), "s", &site, &error)));
    edited(edit, text, "listen: \"[::1]:8443\"", "listen: \"[::1]:0\"");
    assert_true(rn_is_ok(rn_site_parse(rn_view_text(edit), "s", &site, &error)));
    edited(edit, text, "address: \"10.0.0.2:2\"", "address: \"10.0.0.2\"");
    assert_false(rn_is_ok(rn_site_parse(rn_view_text(edit), "s", &site, &error)));
    edited(edit, text, "name: south\n", "name: south\n      nick: s\n");
    assert_false(rn_is_ok(rn_site_parse(rn_view_text(edit), "s", &site, &error)));
}

/* Every member of the largest roster may listen, under the longest names and addresses; no more. */
static void peers_limit(void **state)
{
    (void)state;
    for (uint32_t extra = 0; extra < 2; extra++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
        rn_buffer_format(&text, "version: 1\nrole: coordinator\nfederation: clinics\n"
                                "name: coordinator\nnetwork:\n  direction: both\n"
                                "  listen: \"[::1]:8443\"\n  peers:\n");
        for (uint32_t i = 0; i < RN_SITE_PEERS_MAX + extra; i++) {
            rn_buffer_format(&text, "    - name: %063u\n      address: \"%0255u:65535\"\n", i, i);
        }
        rn_buffer_format(&text, "state: state\nmodel: m\ncompute:\n  backend: cpu\n  threads: 0\n"
                                "log:\n  format: text\n  level: warn\n");
        const rn_result result = rn_site_parse(rn_buffer_view(&text), "s", &site, &error);
        assert_int_equal(result.code, extra == 0 ? RN_OK : RN_E_CONFIG);
        assert_int_equal(site.network.peers_count, extra == 0 ? RN_SITE_PEERS_MAX : 0);
    }
    assert_non_null(strstr(error.text, "at most 1024 entries"));
}

static const char coordinator_example[] =
    "version: 1\nrole: coordinator\nfederation: clinics\nname: coordinator\n"
    "network:\n  direction: listen\n  listen: \"0.0.0.0:8443\"\nstate: state\nmodel: m\n"
    "compute:\n  backend: cpu\n  threads: 0\nlog:\n  format: text\n  level: warn\n";

/* The coordinator's site with this limit; UINT64_MAX: refused. */
static uint64_t upload_memory_of(const char *value)
{
    char section[128];
    char text[EDITED_MAX];
    (void)rn_text_format(section, sizeof section, "limits:\n  upload_memory: %s\nlog:", value);
    edited(text, coordinator_example, "log:", section);
    error.text[0] = '\0';
    const rn_result result = rn_site_parse(rn_view_text(text), "s", &site, &error);
    return rn_is_ok(result) ? site.limits.upload_memory : UINT64_MAX;
}

/* Bytes, plain or with a suffix of powers of 1024, from 1 MiB to 1 TiB; none: the default. */
static void upload_memory(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        uint64_t bytes;
    } rows[] = {{"1048576", 1u << 20},
                {"1048575", UINT64_MAX},
                {"1024K", 1u << 20},
                {"1023K", UINT64_MAX},
                {"1M", 1u << 20},
                {"0M", UINT64_MAX},
                {"512M", 512u << 20},
                {"1G", 1u << 30},
                {"1024G", (uint64_t)1 << 40},
                {"1025G", UINT64_MAX},
                {"1099511627777", UINT64_MAX},
                {"17179869185G", UINT64_MAX}, /* 2^64 + 2^30 bytes: no small number */
                {"9999999999999999999G", UINT64_MAX},
                {"99999999999999999999", UINT64_MAX},
                {"M", UINT64_MAX},
                {"1T", UINT64_MAX},
                {"1m", UINT64_MAX},
                {"1MiB", UINT64_MAX},
                {"1KM", UINT64_MAX},
                {"1.5G", UINT64_MAX},
                {"-1G", UINT64_MAX},
                {"\"1G\"", UINT64_MAX}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        if (upload_memory_of(rows[i].value) != rows[i].bytes) {
            fail_msg("upload_memory: %s: %s", rows[i].value, error.text);
        }
    }
    assert_true(rn_is_ok(rn_site_parse(rn_view_text(coordinator_example), "s", &site, &error)));
    assert_int_equal(site.limits.upload_memory, 0);
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *expected;
    } rows[] = {
        {"role: member", "role: boss", "site.yaml:2: role"},
        {"name: north", "name: North", "site.yaml:4: name"},
        {"direction: dial", "direction: listen", "this direction needs network.listen"},
        {"direction: dial", "direction: both", "this direction needs network.listen"},
        {"  dial: \"fed.example.org:8443\"\n", "", "this direction needs network.dial"},
        {"fed.example.org:8443", "fed.example.org", "network.dial: expected host:port"},
        {"fed.example.org:8443", "fed.example.org:65536", "network.dial: expected host:port"},
        {"fed.example.org:8443", "::1:8443", "network.dial: expected host:port"},
        {"fed.example.org:8443", "http://x:1", "network.dial: expected host:port"},
        {"fed.example.org:8443", ":1", "network.dial: expected host:port"},
        {"direction: dial", "direction: dial\n  peers: [{name: a, address: \"a:1\"}]",
         "only a coordinator has peers"},
        {"role: member", "role: coordinator", "needs network.peers"},
        {"data:\n  train: train.tsv\n  text: sentence\n  label: label\n", "",
         "a member needs the section 'data'"},
        {"  label: label\n", "", "'data.label' is missing"},
        {"threads: 2", "threads: 65", "compute.threads: must be between"},
        {"threads: 2", "threads: two", "compute.threads"},
        {"backend: cpu", "backend: gpu", "compute.backend"},
        {"backend: cpu", "backend: cpu-bf16\n  kernels: fast", "compute.kernels"},
        {"backend: cpu", "backend: cpu\n  kernels: amx",
         "compute.kernels: only the backend cpu-bf16 has a choice"},
        {"level: info", "level: loud", "log.level"},
        {"state: state", "state: \"\"", "state"},
        {"log:", "limits:\n  upload_memory: 1G\nlog:",
         "limits.upload_memory: only a coordinator holds uploads"},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        char text[EDITED_MAX];
        edited(text, site_example, rows[i].from, rows[i].to);
        const rn_result result = rn_site_parse(rn_view_text(text), "site.yaml", &site, &error);
        if (result.code != RN_E_CONFIG || strstr(error.text, rows[i].expected) == NULL) {
            fail_msg("expected \"%s\", got \"%s\"", rows[i].expected, error.text);
        }
    }
}

static void paths(void **state)
{
    (void)state;
    char out[RN_PATH_MAX];
    assert_true(rn_is_ok(rn_site_path(out, "/srv/site", "data/a.tsv", &error)));
    assert_string_equal(out, "/srv/site/data/a.tsv");
    assert_true(rn_is_ok(rn_site_path(out, "/srv/site", "/data/a.tsv", &error)));
    assert_string_equal(out, "/data/a.tsv");
}

/* ---- Bundles. */

static const char *const names[] = {"who", "+file.txt", "last"};

static rn_result bundle_parse(const void *text, size_t length, struct rn_bundle *out)
{
    return rn_bundle_parse(rn_view_of(text, length), "b", RN_BUNDLE_INVITE, names, 3, out, &error);
}

static void bundle_round_trip(void **state)
{
    (void)state;
    struct rn_bundle bundle;
    struct rn_buffer out = {0};
    rn_bundle_begin(&out, RN_BUNDLE_INVITE);
    rn_bundle_put(&out, "who", "north");
    rn_bundle_put_file(&out, "file.txt", rn_view_text("two\nlines"));
    rn_bundle_put(&out, "last", "x");
    rn_bundle_end(&out);
    assert_true(rn_bundle_is(rn_buffer_view(&out), RN_BUNDLE_INVITE));
    assert_false(rn_bundle_is(rn_buffer_view(&out), RN_BUNDLE_WELCOME));
    if (!rn_is_ok(bundle_parse(out.data, out.length, &bundle))) {
        fail_msg("%s", error.text);
    }
    assert_string_equal(rn_bundle_value(&bundle, 0), "north");
    assert_true(rn_view_equal(rn_bundle_file(&bundle, 1), rn_view_text("two\nlines")));
    assert_memory_equal(out.data + bundle.items[2].start, "field last x\n", 13);
    for (size_t cut = 0; cut < out.length; cut++) {
        assert_int_equal(bundle_parse(out.data, cut, &bundle).code, RN_E_DATA);
    }
    rn_buffer_append(&out, "\n", 1);
    assert_int_equal(bundle_parse(out.data, out.length, &bundle).code, RN_E_DATA);
    rn_buffer_clear(&out);
}

static void bundle_refusals(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "rondo-invite 2\nfield who a\nfile file.txt 1\na\nfield last x\nend\n",
        "rondo-invite 1\nfield whom a\nfile file.txt 1\na\nfield last x\nend\n",
        "rondo-invite 1\nfield who a\nfield who a\nfile file.txt 1\na\nfield last x\nend\n",
        "rondo-invite 1\nfield who \nfile file.txt 1\na\nfield last x\nend\n",
        "rondo-invite 1\nfield who a\nfile file.txt 01\na\nfield last x\nend\n",
        "rondo-invite 1\nfield who a\nfile file.txt -1\na\nfield last x\nend\n",
        "rondo-invite 1\nfield who a\nfile file.txt 2\na\nfield last x\nend\n",
        "rondo-invite 1\nfield who a\nfile file.txt 9999999\na\nfield last x\nend\n",
        "rondo-invite 1\nfield who a\nfile file.txt 1\na\nfield last x\nfield more x\nend\n",
        "rondo-invite 1\nfield who \x80\nfile file.txt 1\na\nfield last x\nend\n",
        "rondo-invite 1\r\nfield who a\nfile file.txt 1\na\nfield last x\nend\n",
    };
    struct rn_bundle bundle;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(texts); i++) {
        if (bundle_parse(texts[i], strlen(texts[i]), &bundle).code != RN_E_DATA) {
            fail_msg("accepted text %zu", i);
        }
    }
}

/* A value of the given length, in a bundle of one field; the result's code. */
static enum rn_code value_of_length(size_t length)
{
    static const char *const one[] = {"who"};
    struct rn_bundle bundle;
    struct rn_buffer out = {0};
    rn_buffer_format(&out, RN_BUNDLE_INVITE "\nfield who ");
    memset(rn_buffer_grow(&out, length), 'x', length);
    rn_buffer_format(&out, "\nend\n");
    const rn_result result =
        rn_bundle_parse(rn_buffer_view(&out), "b", RN_BUNDLE_INVITE, one, 1, &bundle, &error);
    rn_buffer_clear(&out);
    return result.code;
}

static enum rn_code file_of_length(size_t length)
{
    static const char *const one[] = {"+f"};
    struct rn_bundle bundle;
    struct rn_buffer out = {0};
    rn_buffer_format(&out, RN_BUNDLE_INVITE "\nfile f %zu\n", length);
    memset(rn_buffer_grow(&out, length), 'x', length);
    rn_buffer_format(&out, "\nend\n");
    const rn_result result =
        rn_bundle_parse(rn_buffer_view(&out), "b", RN_BUNDLE_INVITE, one, 1, &bundle, &error);
    rn_buffer_clear(&out);
    return result.code;
}

/* Three files, so that none reaches its own limit. */
static enum rn_code whole_of_length(size_t length)
{
    static const char *const three[] = {"+a", "+b", "+c"};
    static const size_t frame = sizeof(RN_BUNDLE_INVITE "\nend\n") - 1;
    static const size_t line = sizeof("file a 349000\n\n") - 1;
    struct rn_bundle bundle;
    struct rn_buffer out = {0};
    size_t left = length - frame - 3 * line;
    rn_buffer_format(&out, RN_BUNDLE_INVITE "\n");
    for (size_t i = 0; i < 3; i++) {
        const size_t part = i < 2 ? 349000 : left;
        left -= part;
        rn_buffer_format(&out, "file %c %zu\n", (int)('a' + i), part);
        memset(rn_buffer_grow(&out, part), 'x', part);
        rn_buffer_format(&out, "\n");
    }
    rn_buffer_format(&out, "end\n");
    assert_int_equal(out.length, length);
    const rn_result result =
        rn_bundle_parse(rn_buffer_view(&out), "b", RN_BUNDLE_INVITE, three, 3, &bundle, &error);
    rn_buffer_clear(&out);
    return result.code;
}

static void bundle_limits(void **state)
{
    (void)state;
    assert_int_equal(value_of_length(RN_BUNDLE_VALUE_MAX), RN_OK);
    assert_int_equal(value_of_length(RN_BUNDLE_VALUE_MAX + 1), RN_E_DATA);
    assert_int_equal(file_of_length(RN_BUNDLE_FILE_MAX), RN_OK);
    assert_int_equal(file_of_length(RN_BUNDLE_FILE_MAX + 1), RN_E_DATA);
    assert_int_equal(whole_of_length(RN_BUNDLE_BYTES_MAX), RN_OK);
    assert_int_equal(whole_of_length(RN_BUNDLE_BYTES_MAX + 1), RN_E_DATA);
    assert_int_equal(file_of_length(0), RN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(ports),
        cmocka_unit_test(kernels_may_be_named),
        cmocka_unit_test(coordinator_with_peers),
        cmocka_unit_test(peers_limit),
        cmocka_unit_test(upload_memory),
        cmocka_unit_test(refusals),
        cmocka_unit_test(paths),
        cmocka_unit_test(bundle_round_trip),
        cmocka_unit_test(bundle_refusals),
        cmocka_unit_test(bundle_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
