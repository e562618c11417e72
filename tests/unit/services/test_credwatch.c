/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates that change while a service runs: files replaced one by one and as one, SIGHUP,
 * what is refused, and an end that comes near.
 */
#include <signal.h>
#include <sys/stat.h>

#include "services/host/credfiles.h"
#include "services/host/credwatch.h"
#include "services/host/sigwatch.h"
#include "tests/unit/services/rpc_fixture.h"

#define DAY_MS (UINT64_C(24) * 3600 * 1000)
#define EVENTS_MAX 16U

static char site[RN_PATH_MAX];
static struct end member; /* alpha; listens with the files of `site` */
static struct rn_credwatch *watch;
static struct {
    enum rn_credwatch_kind kind;
    char text[512];
    int64_t seconds_left;
} events[EVENTS_MAX];
static unsigned event_count;
static uint64_t clock_ahead_ms;

static uint64_t wall_ms(void)
{
    return rn_clock_wall_ms() + clock_ahead_ms;
}

static void on_event(void *context, const struct rn_credwatch_event *event)
{
    assert_ptr_equal(context, &member);
    assert_true(event_count < EVENTS_MAX);
    events[event_count].kind = event->kind;
    events[event_count].seconds_left = event->seconds_left;
    (void)rn_text_format(events[event_count].text, sizeof(events[0].text), "%s", event->text);
    event_count++;
}

/* --- the site's files ------------------------------------------------------------------------- */

/* As a careful tool does it: a new file, renamed over the old one. */
static void put_view(const char *file, struct rn_view content)
{
    char path[RN_PATH_MAX];
    assert_true(rn_is_ok(rn_path_join(path, site, file, NULL)));
    assert_true(rn_is_ok(rn_file_write(path, content, 0600, NULL)));
}

static void put(const char *file, const char *name, const char *suffix)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer content;
    pem_read(name, suffix, &content);
    put_view(file, rn_buffer_view(&content));
}

static void put_pair(const char *name)
{
    put("tls.key", name, ".key");
    put("tls.crt", name, ".crt");
}

/* Key and chain in one file, the key in the middle of it; no tls.key. */
static void put_one_file(const char *name)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer both;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer key;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer authority;
    pem_read(name, ".crt", &both);
    pem_read(name, ".key", &key);
    pem_read("ca", ".crt", &authority);
    rn_buffer_append(&both, key.data, key.length);
    rn_buffer_append(&both, authority.data, authority.length);
    put_view("tls.crt", rn_buffer_view(&both));
}

static void remove_key(void)
{
    char path[RN_PATH_MAX];
    assert_true(rn_is_ok(rn_path_join(path, site, "tls.key", NULL)));
    assert_int_equal(unlink(path), 0);
}

static void leaf_hash_of(const char *name, uint8_t out[static RN_PEER_HASH_BYTES])
{
    struct end end;
    end_open(&end, name);
    memcpy(out, rn_rpc_self(end.rpc)->leaf_hash, RN_PEER_HASH_BYTES);
    end_close(&end);
}

/* --- the ends --------------------------------------------------------------------------------- */

static void member_open(void)
{
    struct rn_error err = {""};
    struct rn_rpc_config config = end_config(&member);
    RN_CLEANUP(rn_credfiles_clear) struct rn_credfiles files;
    assert_true(rn_is_ok(rn_credfiles_read(site, &files, &err)));
    config.material = rn_credfiles_material(&files);
    config.wall_ms = wall_ms;
    const rn_result opened = rn_rpc_open(&config, &member.rpc, &err);
    if (!rn_is_ok(opened)) {
        fail_msg("%s", err.text);
    }
    const struct rn_credwatch_options options = {
        .directory = site, .period_ms = 1, .on_event = on_event, .context = &member};
    watch = rn_credwatch_new(member.rpc, &options);
}

static int member_up(void **state)
{
    (void)state;
    event_count = 0;
    clock_ahead_ms = 0;
    RN_BUG_IF(!rn_text_format(site, sizeof(site), "%s/site", certs));
    (void)mkdir(site, 0700);
    put("ca.crt", "ca", ".crt");
    put_pair("alpha");
    member_open();
    end_serve(&member, "alpha", 0);
    return 0;
}

static int member_down(void **state)
{
    (void)state;
    end_close(&member);
    rn_credwatch_free(watch);
    return 0;
}

/* One look at the files, no more: timers fire while the loop is stepped alone. */
static void look_once(void)
{
    (void)usleep(3000);
    (void)rn_rpc_step(member.rpc, 0);
}

/* Until so many events have been told; and as many looks more as bring another one, were there one
 * to come: several retries of refused files. */
static void look_until(unsigned count)
{
    const uint64_t patience = rn_clock_monotonic_ms() + PATIENCE_MS;
    while (event_count < count) {
        look_once();
        if (rn_clock_monotonic_ms() > patience) {
            fail_msg("waited in vain for event %u", count);
        }
    }
    for (unsigned i = 0; i < 40; i++) {
        look_once();
    }
    assert_int_equal(event_count, count);
}

static void dial_member(struct end *coordinator)
{
    end_open(coordinator, "coordinator");
    end_dial(coordinator, member.port, ALPHA, false);
    WAIT_FOR(&member, coordinator, coordinator->session != NULL);
}

static void assert_shows(const char *name)
{
    uint8_t expected[RN_PEER_HASH_BYTES];
    struct end coordinator;
    leaf_hash_of(name, expected);
    dial_member(&coordinator);
    assert_memory_equal(coordinator.peer.leaf_hash, expected, sizeof(expected));
    end_close(&coordinator);
}

static void assert_alive(struct end *coordinator)
{
    const unsigned before = coordinator->messages;
    member.echo = true;
    assert_int_equal(coordinator->closed, 0);
    assert_true(rn_is_ok(rn_rpc_stream_send(coordinator->session, rn_view_text("alive"))));
    WAIT_FOR(&member, coordinator, coordinator->messages == before + 1);
}

/* --- replaced --------------------------------------------------------------------------------- */

/* A new pair serves new handshakes; the running stream does not notice. */
static void test_pair_replaced(void **state)
{
    (void)state;
    struct end running;
    dial_member(&running);
    put_pair("alpha2");
    WAIT_FOR(&member, &running, event_count == 1);
    assert_int_equal(events[0].kind, RN_CREDWATCH_RELOADED);
    assert_shows("alpha2");
    assert_alive(&running);
    look_until(1); /* once */
    end_close(&running);
}

/* The same with key and chain in one file; what is in it beside them never becomes chain or key. */
static void test_one_file_replaced(void **state)
{
    (void)state;
    struct end running;
    dial_member(&running);
    put_one_file("alpha2");
    remove_key();
    WAIT_FOR(&member, &running, event_count == 1);
    assert_int_equal(events[0].kind, RN_CREDWATCH_RELOADED);
    assert_shows("alpha2");
    put_one_file("alpha");
    WAIT_FOR(&member, &running, event_count == 2);
    assert_int_equal(events[1].kind, RN_CREDWATCH_RELOADED);
    assert_shows("alpha");
    assert_alive(&running);
    end_close(&running);
    RN_CLEANUP(rn_credfiles_clear) struct rn_credfiles files;
    assert_true(rn_is_ok(rn_credfiles_read(site, &files, NULL)));
    assert_null(strstr(rn_buffer_text(&files.chain_pem), "PRIVATE KEY"));
    assert_non_null(strstr(rn_buffer_text(&files.key_pem), "PRIVATE KEY"));
    assert_null(strstr(rn_buffer_text(&files.key_pem), "CERTIFICATE"));
}

/* Key first, then certificate: what stands there in between is not even tried. */
static void test_halves_wait(void **state)
{
    (void)state;
    look_until(0);
    put("tls.key", "alpha2", ".key");
    look_once();
    put("tls.crt", "alpha2", ".crt");
    look_until(1);
    assert_int_equal(events[0].kind, RN_CREDWATCH_RELOADED);
}

/* Replaced between the opening and the first look: noticed too. */
static void test_replaced_before_first_look(void **state)
{
    (void)state;
    put_pair("alpha2");
    look_until(1);
    assert_int_equal(events[0].kind, RN_CREDWATCH_RELOADED);
    assert_shows("alpha2");
}

static void test_unchanged_is_quiet(void **state)
{
    (void)state;
    look_until(0);
}

/* --- refused ---------------------------------------------------------------------------------- */

/* Each is refused once with its reason, the old pair serves on, and a good pair mends it. */
static void test_broken_keeps_old(void **state)
{
    (void)state;
    static const struct {
        const char *key, *chain, *says;
    } rows[] = {
        {"alpha2", "alpha", "does not belong"}, {"beta", "beta", BETA},
        {"expired", "expired", "expired"},      {"foreign", "foreign", "federation's CA"},
        {"future", "future", "not valid yet"},  {"alpha", "ca", "does not belong"},
    };
    char path[RN_PATH_MAX];
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        event_count = 0;
        put("tls.key", rows[i].key, ".key");
        put("tls.crt", rows[i].chain, ".crt");
        look_until(1); /* told once, though it is tried again */
        assert_int_equal(events[0].kind, RN_CREDWATCH_REFUSED);
        assert_non_null(strstr(events[0].text, rows[i].says));
        assert_non_null(strstr(events[0].text, site));
        assert_shows("alpha");
    }
    event_count = 0;
    put_view("tls.crt", rn_view_text("garbage"));
    look_until(1);
    assert_int_equal(events[0].kind, RN_CREDWATCH_REFUSED);
    remove_key(); /* and tls.crt holds none */
    event_count = 0;
    look_until(1);
    assert_non_null(strstr(events[0].text, "holds no private key"));
    assert_shows("alpha");
    put_one_file("alpha2"); /* a key, but not its owner's alone */
    assert_true(rn_is_ok(rn_path_join(path, site, "tls.crt", NULL)));
    assert_int_equal(chmod(path, 0644), 0);
    event_count = 0;
    look_until(1);
    assert_int_equal(events[0].kind, RN_CREDWATCH_REFUSED);
    assert_shows("alpha");
    assert_int_equal(chmod(path, 0600), 0);
    rn_credwatch_reload(watch);
    assert_shows("alpha2");
    event_count = 0;
    put_pair("alpha2");
    look_until(1);
    assert_int_equal(events[0].kind, RN_CREDWATCH_RELOADED);
    assert_shows("alpha2");
}

/* --- SIGHUP ----------------------------------------------------------------------------------- */

static void on_stop(void *context, unsigned count)
{
    *(unsigned *)context = count;
}

/* Loads at once, changed or not, as often as it comes; ends nothing. */
static void test_hangup(void **state)
{
    (void)state;
    unsigned stopped = 0;
    struct rn_sigwatch *signals = NULL;
    struct end running;
    dial_member(&running);
    assert_true(rn_is_ok(rn_sigwatch_new(member.rpc, on_stop, &stopped, &signals, NULL)));
    assert_int_equal(raise(SIGHUP), 0); /* nobody listens yet: nothing */
    rn_sigwatch_on_hangup(signals, rn_credwatch_reload, watch);
    put_pair("alpha2");
    assert_int_equal(raise(SIGHUP), 0);
    WAIT_FOR(&member, &running, event_count >= 1);
    assert_int_equal(events[0].kind, RN_CREDWATCH_RELOADED);
    assert_shows("alpha2");
    const unsigned before = event_count;
    assert_int_equal(raise(SIGHUP), 0);
    WAIT_FOR(&member, &running, event_count > before);
    put("tls.key", "beta", ".key");
    assert_int_equal(raise(SIGHUP), 0);
    WAIT_FOR(&member, &running, events[event_count - 1].kind == RN_CREDWATCH_REFUSED);
    assert_alive(&running);
    assert_int_equal(stopped, 0);
    assert_int_equal(raise(SIGTERM), 0);
    WAIT_FOR(&member, &running, stopped == 1);
    end_close(&running);
    rn_sigwatch_stop(signals);
    end_close(&member);
    rn_sigwatch_free(signals);
}

/* --- the end of a certificate ----------------------------------------------------------------- */

static void test_stages(void **state)
{
    (void)state;
    static const struct {
        unsigned life_days;
        double left_days;
        enum rn_credwatch_stage stage;
    } rows[] = {
        {365, 364, RN_CREDWATCH_FAR},    {365, 30, RN_CREDWATCH_FAR},
        {365, 29.9, RN_CREDWATCH_MONTH}, {365, 7, RN_CREDWATCH_MONTH},
        {365, 6.9, RN_CREDWATCH_WEEK},   {365, 1, RN_CREDWATCH_WEEK},
        {365, 0.9, RN_CREDWATCH_DAY},    {365, 0, RN_CREDWATCH_DAY},
        {365, -0.1, RN_CREDWATCH_OVER},  {60, 29, RN_CREDWATCH_MONTH},
        {59, 29, RN_CREDWATCH_FAR},      {59, 6, RN_CREDWATCH_WEEK},
        {10, 6, RN_CREDWATCH_FAR},       {10, 0.5, RN_CREDWATCH_DAY},
        {1, 0.1, RN_CREDWATCH_FAR},      {1, -0.1, RN_CREDWATCH_OVER},
    };
    const uint64_t end = 20000 * DAY_MS;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        const uint64_t now = (uint64_t)((double)end - rows[i].left_days * (double)DAY_MS);
        assert_int_equal(rn_credwatch_stage_of(end - rows[i].life_days * DAY_MS, end, now),
                         rows[i].stage);
    }
}

/* Of a certificate of 30 days: warned a week and a day before, an error after; each once. */
static void test_end_is_told(void **state)
{
    (void)state;
    look_until(0);
    assert_in_range(rn_rpc_certificate_seconds_left(member.rpc), 29 * 86400, 30 * 86400);
    clock_ahead_ms = 24 * DAY_MS;
    look_until(1);
    assert_int_equal(events[0].kind, RN_CREDWATCH_EXPIRING);
    assert_non_null(strstr(events[0].text, "in 5 days"));
    assert_in_range(events[0].seconds_left, 5 * 86400, 6 * 86400);
    clock_ahead_ms = 29 * DAY_MS + DAY_MS / 2;
    look_until(2);
    assert_int_equal(events[1].kind, RN_CREDWATCH_EXPIRING);
    assert_non_null(strstr(events[1].text, "in 11 hours"));
    clock_ahead_ms = 31 * DAY_MS;
    look_until(3);
    assert_int_equal(events[2].kind, RN_CREDWATCH_EXPIRED);
    assert_non_null(strstr(events[2].text, "expired on 20"));
    assert_true(events[2].seconds_left < 0);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer status = {0};
    rn_credwatch_status(member.rpc, &status);
    assert_non_null(strstr(rn_buffer_text(&status), "\"seconds_left\":-"));
    put_pair("alphalong"); /* a renewed one ends it */
    look_until(4);
    assert_int_equal(events[3].kind, RN_CREDWATCH_RELOADED);
    assert_non_null(strstr(events[3].text, "2040-01-01"));
}

/* With an expired certificate nothing is dialled, that is said once, and a renewal ends it. */
static void test_redial_says_why(void **state)
{
    (void)state;
    struct end coordinator = {0};
    end_serve(&coordinator, "coordinatorlong", 0); /* valid on both clocks */
    clock_ahead_ms = 31 * DAY_MS;
    end_dial(&member, coordinator.port, COORDINATOR, false);
    WAIT_FOR(&member, &coordinator, member.links_down == 1);
    assert_int_equal(rn_class_of(member.down.result), RN_CLASS_RETRY);
    assert_non_null(strstr(member.detail, "this site's TLS certificate expired on 20"));
    assert_non_null(strstr(member.detail, "operator"));
    const uint64_t until = rn_clock_monotonic_ms() + 500; /* several attempts at 50 ms and more */
    WAIT_FOR(&member, &coordinator, rn_clock_monotonic_ms() > until);
    assert_int_equal(member.links_down, 1);
    assert_int_equal(coordinator.authorized, 0);
    put_pair("alphalong");
    WAIT_FOR(&member, &coordinator, member.session != NULL);
    rn_rpc_link_drop(member.link);
    WAIT_FOR(&member, &coordinator, member.session == NULL);
    end_close(&coordinator);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, member_up, member_down)

static const struct CMUnitTest tests[] = {
    TEST(test_pair_replaced),
    TEST(test_one_file_replaced),
    TEST(test_halves_wait),
    TEST(test_replaced_before_first_look),
    TEST(test_unchanged_is_quiet),
    TEST(test_broken_keeps_old),
    TEST(test_hangup),
    cmocka_unit_test(test_stages),
    TEST(test_end_is_told),
    TEST(test_redial_says_why),
};

int main(void)
{
    if (!rn_is_ok(rn_sigwatch_setup(NULL)) || !rn_is_ok(rn_rpc_setup(NULL))) {
        return 1;
    }
    if (!certs_make()) {
        return 77;
    }
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    certs_remove();
    return failed;
}
