/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/setup/setupfiles.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/random.h"
#include "services/host/sitefiles.h"

/* ---- Staged directories. */

rn_result rn_setup_stage_begin(struct rn_setup_stage *stage, const char *path, struct rn_error *err)
{
    *stage = (struct rn_setup_stage){0};
    char partial[RN_PATH_MAX];
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    RN_ENSURE(rn_text_format(stage->final_path, RN_PATH_MAX, "%.*s", (int)length, path) &&
                  rn_text_format(partial, RN_PATH_MAX, "%.*s.partial-%ld", (int)length, path,
                                 (long)getpid()),
              err, RN_E_USAGE, "the directory's path is too long");
    if (rmdir(stage->final_path) != 0 && errno != ENOENT) {
        return rn_fail(err, RN_E_USAGE,
                       "%s exists already: choose another directory, or remove it first",
                       stage->final_path);
    }
    RN_TRY(rn_directory_make(partial, 0700, err));
    memcpy(stage->partial, partial, sizeof partial);
    return rn_ok();
}

rn_result rn_setup_stage_commit(struct rn_setup_stage *stage, struct rn_error *err)
{
    RN_ENSURE(rename(stage->partial, stage->final_path) == 0, err, RN_E_IO,
              "%s: cannot be made: %s", stage->final_path, strerror(errno));
    stage->partial[0] = '\0';
    return rn_ok();
}

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *where)
{
    (void)facts;
    (void)kind;
    (void)where;
    (void)remove(path);
    return 0;
}

void rn_setup_stage_clear(struct rn_setup_stage *stage)
{
    if (stage->partial[0] != '\0') {
        (void)nftw(stage->partial, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        stage->partial[0] = '\0';
    }
}

/* ---- Single files. */

rn_result rn_setup_read(const char *directory, const char *name, size_t max, struct rn_buffer *out,
                        struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(rn_path_join(path, directory, name, err));
    return rn_file_read(path, max, out, err);
}

rn_result rn_setup_read_key(const char *directory, const char *name, struct rn_buffer *out,
                            struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(rn_path_join(path, directory, name, err));
    RN_TRY(rn_file_private_check(path, err));
    return rn_file_read(path, RN_SETUP_PEM_MAX, out, err);
}

rn_result rn_setup_write(const char *directory, const char *name, struct rn_view content,
                         unsigned mode, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(rn_path_join(path, directory, name, err));
    return rn_file_write(path, content, mode, err);
}

bool rn_setup_has(const char *directory, const char *name)
{
    char path[RN_PATH_MAX];
    return rn_is_ok(rn_path_join(path, directory, name, NULL)) && rn_file_exists(path);
}

rn_result rn_setup_identity(const char *directory, struct rn_identity **out, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(rn_path_join(path, directory, "identity.key", err));
    return rn_identity_load(path, out, err);
}

rn_result rn_setup_lock(const char *directory, int *out_lock, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_ENSURE(rn_setup_has(directory, "site.yaml"), err, RN_E_NO_INPUT,
              "%s is no site's directory (make one with rondo init or rondo join)", directory);
    RN_TRY(rn_path_join(path, directory, ".setup.lock", err));
    return rn_file_lock(path, out_lock, err);
}

/* ---- A directory. */

rn_result rn_setup_load_site(struct rn_setup *setup, struct rn_error *err)
{
    return rn_site_files_configuration(setup->directory, &setup->site, err);
}

rn_result rn_setup_load_plan(struct rn_setup *setup, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(rn_path_join(path, setup->directory, "plan.yaml", err));
    if (!rn_file_exists(path)) {
        return rn_ok();
    }
    RN_TRY(rn_file_read(path, RN_PLAN_BYTES_MAX, &setup->plan_bytes, err));
    return rn_plan_parse(rn_buffer_view(&setup->plan_bytes), path, &setup->plan, err);
}

rn_result rn_setup_plan_read(const char *path, struct rn_plan *out, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_TRY(rn_file_read(path, RN_PLAN_BYTES_MAX, &text, err));
    return rn_plan_parse(rn_buffer_view(&text), path, out, err);
}

rn_result rn_setup_load_roster(struct rn_setup *setup, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(rn_path_join(path, setup->directory, "roster", err));
    if (!rn_file_exists(path)) {
        return rn_ok();
    }
    RN_TRY(rn_file_read(path, RN_ROSTER_BYTES_MAX, &setup->roster_bytes, err));
    const rn_result parsed =
        rn_roster_parse(rn_buffer_view(&setup->roster_bytes), &setup->roster, err);
    setup->has_roster = rn_is_ok(parsed);
    return rn_is_ok(parsed) ? parsed : rn_fail_context(err, parsed, "%s", path);
}

rn_result rn_setup_load_signatures(struct rn_setup *setup, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    rn_signatures_init(&setup->signatures, &setup->plan);
    RN_TRY(rn_path_join(path, setup->directory, "plan.yaml.sigs", err));
    if (!rn_file_exists(path)) {
        return rn_ok();
    }
    RN_TRY(rn_file_read(path, RN_SIGNATURES_BYTES_MAX, &text, err));
    RN_TRY(rn_signatures_parse(rn_buffer_view(&text), path, &setup->signatures, err));
    if (memcmp(setup->signatures.plan_hash, setup->plan.hash, 32) != 0) {
        rn_signatures_init(&setup->signatures, &setup->plan);
    }
    return rn_ok();
}

rn_result rn_setup_load_policy(struct rn_setup *setup, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_TRY(rn_path_join(path, setup->directory, "policy.yaml", err));
    if (!rn_file_exists(path)) {
        return rn_ok();
    }
    RN_TRY(rn_file_read(path, RN_POLICY_BYTES_MAX, &text, err));
    RN_TRY(rn_policy_parse(rn_buffer_view(&text), path, &setup->policy, err));
    setup->has_policy = true;
    return rn_ok();
}

rn_result rn_setup_begin(const char *directory, struct rn_setup **out, struct rn_error *err)
{
    struct rn_setup *setup = rn_alloc(1, sizeof *setup);
    if (!rn_text_format(setup->directory, RN_PATH_MAX, "%s", directory)) {
        rn_setup_free(setup);
        return rn_fail(err, RN_E_USAGE, "the directory's path is too long");
    }
    *out = setup;
    return rn_ok();
}

static rn_result load_all(struct rn_setup *setup, struct rn_error *err)
{
    RN_TRY(rn_setup_load_site(setup, err));
    RN_TRY(rn_setup_load_plan(setup, err));
    RN_TRY(rn_setup_load_roster(setup, err));
    RN_TRY(rn_setup_load_signatures(setup, err));
    return rn_setup_load_policy(setup, err);
}

rn_result rn_setup_open(const char *directory, struct rn_setup **out, struct rn_error *err)
{
    struct rn_setup *setup = NULL;
    RN_TRY(rn_setup_begin(directory, &setup, err));
    const rn_result result = load_all(setup, err);
    if (!rn_is_ok(result)) {
        rn_setup_free(setup);
        return result;
    }
    *out = setup;
    return rn_ok();
}

void rn_setup_free(struct rn_setup *setup)
{
    if (setup != NULL) {
        rn_buffer_clear(&setup->plan_bytes);
        rn_buffer_clear(&setup->roster_bytes);
        rn_free(setup);
    }
}

void rn_setup_free_cleanup(struct rn_setup **setup)
{
    rn_setup_free(*setup);
}

/* ---- Text. */

/* The line "section:" at the left margin, or NULL. */
static char *section_find(char *text, const char *section)
{
    char head[64];
    (void)rn_text_format(head, sizeof head, "%s:", section);
    for (char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, head, strlen(head)) == 0) {
            return line;
        }
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    return NULL;
}

/* In the section that begins at line, the 64 hex digits after "key:"; NULL when there are none. */
static char *digits_find(char *line, const char *key)
{
    char head[64];
    (void)rn_text_format(head, sizeof head, "%s:", key);
    for (char *end = strchr(line, '\n'); end != NULL; end = strchr(line, '\n')) {
        line = end + 1;
        const size_t indent = strspn(line, " ");
        if (indent == 0 && *line != '#' && *line != '\n') {
            return NULL; /* the next section */
        }
        if (strncmp(line + indent, head, strlen(head)) != 0) {
            continue;
        }
        char *digits = line + indent + strlen(head);
        digits += strspn(digits, " \"'");
        if (strspn(digits, "0123456789abcdefABCDEF") == RN_PLAN_HASH_TEXT) {
            return digits;
        }
    }
    return NULL;
}

rn_result rn_setup_replace_hash(struct rn_buffer *text, const char *section, const char *key,
                                const uint8_t value[static 32], struct rn_error *err)
{
    char hex[RN_PLAN_HASH_TEXT + 1];
    rn_hex_encode(hex, value, 32);
    (void)rn_buffer_text(text); /* closes the text with a NUL */
    char *line = section_find((char *)text->data, section);
    char *digits = line == NULL ? NULL : digits_find(line, key);
    RN_ENSURE(
        digits != NULL, err, RN_E_CONFIG,
        "plan.yaml: the line '%s: 64 hex digits' of section '%s' was not found; write it on a "
        "line of its own",
        key, section);
    memcpy(digits, hex, RN_PLAN_HASH_TEXT);
    return rn_ok();
}

rn_result rn_setup_replace_seed(struct rn_buffer *text, struct rn_error *err)
{
    uint32_t seed = 0;
    struct rn_buffer fresh = {0};
    RN_TRY(rn_random_bytes(&seed, sizeof seed, err));
    (void)rn_buffer_text(text); /* closes the text with a NUL */
    char *line = section_find((char *)text->data, "seed");
    const char *digits = line == NULL ? NULL : line + 5 + strspn(line + 5, " ");
    const size_t length = digits == NULL ? 0 : strspn(digits, "0123456789");
    RN_ENSURE(length > 0, err, RN_E_CONFIG,
              "plan.yaml: the line 'seed: NUMBER' was not found; write it on a line of its own");
    rn_buffer_append(&fresh, text->data, (size_t)(digits - (const char *)text->data));
    rn_buffer_format(&fresh, "%u%s", seed, digits + length);
    rn_buffer_clear(text);
    *text = fresh;
    return rn_ok();
}

rn_result rn_setup_absolute(const char *path, char out[static RN_PATH_MAX], struct rn_error *err)
{
    RN_ENSURE(realpath(path, out) != NULL, err, RN_E_NO_INPUT, "%s: %s", path, strerror(errno));
    RN_ENSURE(strlen(out) <= RN_SITE_PATH_MAX, err, RN_E_USAGE, "%s: the path is too long", path);
    return rn_ok();
}

rn_result rn_setup_address_split(const char *address, char out_host[static 256],
                                 char out_port[static 8], struct rn_error *err)
{
    const char *colon = strrchr(address, ':');
    const bool bracketed = address[0] == '[' && colon != NULL && colon[-1] == ']';
    const size_t length = colon == NULL ? 0 : (size_t)(colon - address) - (bracketed ? 2 : 0);
    RN_ENSURE(colon != NULL && colon != address && length > 0 && length < 256 &&
                  strspn(colon + 1, "0123456789") == strlen(colon + 1) && colon[1] != '\0' &&
                  rn_text_format(out_port, 8, "%s", colon + 1) &&
                  strtol(out_port, NULL, 10) <= 65535 &&
                  (bracketed || memchr(address, ':', length) == NULL),
              err, RN_E_USAGE, "'%.80s' is no address: expected host:port or [IPv6]:port", address);
    (void)rn_text_format(out_host, 256, "%.*s", (int)length, address + (bracketed ? 1 : 0));
    return rn_ok();
}

rn_result rn_setup_address_reach(const char *address, char out_host[static 256],
                                 struct rn_error *err)
{
    char port[8];
    RN_TRY(rn_setup_address_split(address, out_host, port, err));
    RN_ENSURE(
        strtol(port, NULL, 10) != 0, err, RN_E_USAGE,
        "'%.80s' cannot be dialled: port 0 stands for any free port; name the one that others "
        "are to reach",
        address);
    return rn_ok();
}
