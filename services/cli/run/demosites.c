/* SPDX-License-Identifier: Apache-2.0
 *
 * From nothing to a federation that is ready to run: the commands of the README, one after the
 * other.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/fingerprint.h"
#include "services/cli/run/demo.h"
#include "services/cli/setup/setupfiles.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COMMAND_LIMIT_MS 120000

static const char *const organisation_names[RN_DEMO_MEMBERS_MAX] = {
    "north", "south", "east",  "west", "centre", "harbour", "hill", "lake",
    "river", "coast", "field", "wood", "island", "valley",  "port", "bridge",
};

rn_result rn_demo_path(const struct rn_demo *demo, char out[static RN_PATH_MAX],
                       struct rn_error *err, const char *format, ...)
{
    char tail[RN_PATH_MAX];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(tail, sizeof(tail), format, arguments);
    va_end(arguments);
    RN_ENSURE(length >= 0 && (size_t)length < sizeof(tail), err, RN_E_USAGE, "path too long");
    return rn_path_join(out, demo->directory, tail, err);
}

/* A port that was free a moment ago. */
static rn_result free_port(unsigned *out, struct rn_error *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    RN_ENSURE(descriptor >= 0, err, RN_E_SYSTEM, "no socket: %s", strerror(errno));
    struct sockaddr *plain = (struct sockaddr *)&address;
    const bool ok =
        bind(descriptor, plain, length) == 0 && getsockname(descriptor, plain, &length) == 0;
    (void)close(descriptor);
    RN_ENSURE(ok, err, RN_E_SYSTEM, "no free port on 127.0.0.1: %s", strerror(errno));
    *out = ntohs(address.sin_port);
    return rn_ok();
}

/* Texts of numbers for a command line. */
struct numbers {
    char text[24][40];
    size_t count;
};

static const char *whole(struct numbers *numbers, uint64_t value)
{
    char *out = numbers->text[numbers->count++];
    (void)rn_text_format(out, sizeof(numbers->text[0]), "%llu", (unsigned long long)value);
    return out;
}

static const char *real(struct numbers *numbers, double value)
{
    char *out = numbers->text[numbers->count++];
    (void)rn_text_format(out, sizeof(numbers->text[0]), "%.17g", value);
    return out;
}

static rn_result run(struct rn_demo *demo, const char *const *arguments, struct rn_error *err)
{
    return rn_child_run("rondo", arguments, demo->output, COMMAND_LIMIT_MS, err);
}

/* At most three more arguments from `count` on: how the user's data files are read. */
static void add_format(const struct rn_demo *demo, const char **arguments, size_t count)
{
    if (demo->settings->format != NULL) {
        arguments[count++] = "--data-format";
        arguments[count++] = demo->settings->format;
    }
    if (demo->settings->no_header) {
        arguments[count] = "--no-header";
    }
}

static void add_pair(const char **arguments, size_t *count, const char *option, const char *value)
{
    arguments[(*count)++] = option;
    arguments[(*count)++] = value;
}

static rn_result split_data(struct rn_demo *demo, struct rn_error *err)
{
    const struct rn_demo_settings *s = demo->settings;
    struct numbers n = {.count = 0};
    char out[RN_PATH_MAX];
    RN_TRY(rn_demo_path(demo, out, err, "data"));
    const char *arguments[] = {"data",    "split",
                               "--data",  s->train,
                               "--text",  s->text,
                               "--label", s->label,
                               "--parts", whole(&n, s->members),
                               "--skew",  real(&n, s->skew),
                               "--seed",  whole(&n, s->seed),
                               "--out",   out,
                               NULL,      NULL,
                               NULL,      NULL};
    add_format(demo, arguments, 16);
    return run(demo, arguments, err);
}

static void member_list(const struct rn_demo *demo, char *out, size_t capacity)
{
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < demo->members; i++) {
        (void)rn_text_format(out + length, capacity - length, "%s%s", i > 0 ? "," : "",
                             demo->names[i]);
        length += strlen(out + length);
    }
}

static rn_result init(struct rn_demo *demo, struct rn_error *err)
{
    const struct rn_demo_settings *s = demo->settings;
    struct numbers n = {.count = 0};
    char site[RN_PATH_MAX];
    char members[RN_DEMO_MEMBERS_MAX * 32];
    char address[32];
    unsigned port = 0;
    RN_TRY(free_port(&port, err));
    (void)rn_text_format(address, sizeof(address), "127.0.0.1:%u", port);
    member_list(demo, members, sizeof(members));
    RN_TRY(rn_demo_path(demo, site, err, "coordinator"));
    const char *arguments[96] = {"init", site, NULL};
    size_t count = 2;
    const char *const pairs[][2] = {
        {"--federation", "demo"},
        {"--address", address},
        {"--model", s->model},
        {"--members", members},
        {"--labels", s->labels},
        {"--rounds", whole(&n, s->rounds)},
        {"--method", s->method},
        {"--weights", s->weights},
        {"--head", s->head},
        {"--targets", s->targets},
        {"--rank", whole(&n, s->rank)},
        {"--alpha", real(&n, s->alpha)},
        {"--lr", real(&n, s->lr)},
        {"--batch", whole(&n, s->epsilon > 0 ? demo->privacy.batch : s->batch)},
        {"--steps", whole(&n, s->steps)},
        {"--seed", whole(&n, s->seed)},
        {"--max-length", whole(&n, s->max_length)},
        {"--scale", real(&n, s->scale)},
        {"--train-soft", "20"},
        {"--stage-soft", "5"},
        {"--log-format", "json"},
        {"--metrics", s->epsilon > 0 ? "home" : "summed"},
        {"--coordinator", s->blind ? "blind" : "open"},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(pairs); i++) {
        add_pair(arguments, &count, pairs[i][0], pairs[i][1]);
    }
    if (s->epsilon > 0) {
        add_pair(arguments, &count, "--dp-sampling-rate", real(&n, demo->privacy.rate));
        add_pair(arguments, &count, "--dp-noise", real(&n, demo->privacy.noise));
        add_pair(arguments, &count, "--dp-clip", real(&n, s->clip));
        add_pair(arguments, &count, "--dp-denominator", real(&n, demo->privacy.denominator));
        add_pair(arguments, &count, "--dp-retries", "2");
    }
    if (!s->blind) { /* else there is nothing here to measure */
        add_pair(arguments, &count, "--dev", s->dev);
        add_pair(arguments, &count, "--text", s->text);
        add_pair(arguments, &count, "--label", s->label);
        add_format(demo, arguments, count);
    }
    return run(demo, arguments, err);
}

/* Command 1 of a member: its own keys, made at the site. */
static rn_result join(struct rn_demo *demo, size_t member, struct rn_error *err)
{
    const struct rn_demo_settings *s = demo->settings;
    const char *text = strchr(s->text, ',') != NULL ? "text,pair" : "text";
    char invitation[RN_PATH_MAX];
    char site[RN_PATH_MAX];
    char data[RN_PATH_MAX];
    RN_TRY(rn_demo_path(demo, invitation, err, "coordinator/invitations/%s.invite",
                        demo->names[member]));
    RN_TRY(rn_demo_path(demo, site, err, "%s", demo->names[member]));
    RN_TRY(rn_demo_path(demo, data, err, "data/part-%zu.jsonl", member + 1));
    struct numbers n = {.count = 0};
    size_t count = 16;
    const char *arguments[32] = {
        "join",   invitation, "--dir",   site,    "--model",   s->model, "--data",       data,
        "--text", text,       "--label", "label", "--threads", "1",      "--log-format", "json"};
    if (s->epsilon > 0) {
        add_pair(arguments, &count, "--dp-epsilon", real(&n, s->epsilon));
        add_pair(arguments, &count, "--dp-records", whole(&n, demo->privacy.records));
        add_pair(arguments, &count, "--dp-delta", real(&n, demo->privacy.delta));
        add_pair(arguments, &count, "--dp-order", real(&n, demo->privacy.order));
    }
    return run(demo, arguments, err);
}

static rn_result accept_all(struct rn_demo *demo, struct rn_error *err)
{
    static char requests[RN_DEMO_MEMBERS_MAX][RN_PATH_MAX];
    char site[RN_PATH_MAX];
    const char *arguments[RN_DEMO_MEMBERS_MAX + 4] = {"invite", site, "--accept"};
    RN_TRY(rn_demo_path(demo, site, err, "coordinator"));
    for (size_t i = 0; i < demo->members; i++) {
        RN_TRY(
            rn_demo_path(demo, requests[i], err, "%s/%s.request", demo->names[i], demo->names[i]));
        arguments[3 + i] = requests[i];
    }
    return run(demo, arguments, err);
}

/* What the organisations read to each other; here they are one person with one directory. */
static rn_result roster_hear(struct rn_demo *demo, char out[static RN_FINGERPRINT_ROSTER_TEXT],
                             struct rn_error *err)
{
    char site[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_CLEANUP(rn_free_cleanup) struct rn_roster *roster = rn_alloc(1, sizeof *roster);
    RN_TRY(rn_demo_path(demo, site, err, "coordinator"));
    RN_TRY(rn_setup_read(site, "roster", RN_ROSTER_BYTES_MAX, &text, err));
    RN_TRY(rn_roster_parse(rn_buffer_view(&text), roster, err));
    rn_fingerprint_roster(roster, out);
    return rn_ok();
}

/* Command 2 of a member: certificate, roster and plan come in; checked by policy and signed. */
static rn_result welcome(struct rn_demo *demo, size_t member, const char *roster,
                         struct rn_error *err)
{
    char file[RN_PATH_MAX];
    char site[RN_PATH_MAX];
    RN_TRY(rn_demo_path(demo, file, err, "coordinator/welcome/%s.welcome", demo->names[member]));
    RN_TRY(rn_demo_path(demo, site, err, "%s", demo->names[member]));
    const char *arguments[] = {"join", file, "--dir", site, "--sign", "--roster", roster, NULL};
    return run(demo, arguments, err);
}

/* The operator collects the signatures; the members get them from the coordinator. */
static rn_result collect_signatures(struct rn_demo *demo, struct rn_error *err)
{
    static char files[RN_DEMO_MEMBERS_MAX][RN_PATH_MAX];
    char site[RN_PATH_MAX];
    const char *arguments[RN_DEMO_MEMBERS_MAX + 4] = {"plan", "sign", site};
    RN_TRY(rn_demo_path(demo, site, err, "coordinator"));
    for (size_t i = 0; i < demo->members; i++) {
        RN_TRY(
            rn_demo_path(demo, files[i], err, "%s/%s.signature", demo->names[i], demo->names[i]));
        arguments[3 + i] = files[i];
    }
    return run(demo, arguments, err);
}

rn_result rn_demo_sites_make(struct rn_demo *demo, struct rn_error *err)
{
    char roster[RN_FINGERPRINT_ROSTER_TEXT];
    demo->members = (size_t)demo->settings->members;
    for (size_t i = 0; i < demo->members; i++) {
        (void)rn_text_format(demo->names[i], sizeof(demo->names[i]), "%s", organisation_names[i]);
    }
    RN_TRY(rn_demo_path(demo, demo->output, err, "setup.log"));
    RN_TRY(split_data(demo, err));
    if (demo->settings->epsilon > 0) {
        RN_TRY(rn_demo_privacy_plan(demo, err));
    }
    RN_TRY(init(demo, err));
    for (size_t i = 0; i < demo->members; i++) {
        RN_TRY(join(demo, i, err));
    }
    RN_TRY(accept_all(demo, err));
    RN_TRY(roster_hear(demo, roster, err));
    for (size_t i = 0; i < demo->members; i++) {
        RN_TRY(welcome(demo, i, roster, err));
    }
    return collect_signatures(demo, err);
}
