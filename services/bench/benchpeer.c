/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking for Python and its packages; choice of what is compared.
 */
#include "services/bench/benchpeer.h"

#include "base/guard.h"
#include "services/bench/benchchild.h"
#include "services/cli/kit/options.h"

#include <jansson.h>
#include <string.h>

#define PROBE_LIMIT_MS 120000

static const struct variant {
    const char *name;
    bool bf16, compiled, usual;
} variants[] = {
    {"bf16", true, false, true},          {"float32", false, false, true},
    {"bf16-compiled", true, true, true},  {"float32-compiled", false, true, true},
    {"bf16-weights", true, false, false},
};
_Static_assert(RN_ARRAY_LENGTH(variants) <= RN_BENCH_VARIANTS_MAX, "room for all variants");

const char rn_bench_variant_names[] = "bf16,float32,bf16-compiled,float32-compiled,bf16-weights";

static void read_versions(void *context, const char *line)
{
    struct rn_bench_peer *peer = context;
    const char *torch = NULL;
    const char *transformers = NULL;
    const char *peft = NULL;
    json_t *root = json_loads(line, 0, NULL);
    if (root != NULL && json_unpack(root, "{s:s, s:s, s:s}", "torch", &torch, "transformers",
                                    &transformers, "peft", &peft) == 0) {
        (void)rn_text_format(peer->versions, sizeof(peer->versions),
                             "torch %.20s, transformers %.20s, peft %.20s", torch, transformers,
                             peft);
    }
    json_decref(root);
}

rn_result rn_bench_peer_find(const char *python, const struct rn_bench_place *place,
                             struct rn_bench_peer *out, struct rn_error *err)
{
    char errors[RN_PATH_MAX];
    struct rn_error why = {{0}};
    struct rn_bench_use use;
    struct rn_bench_peer peer = {.python = NULL};
    if (strcmp(python, "none") == 0) {
        (void)rn_text_format(peer.note, sizeof(peer.note), "no peer wanted: Rondo alone");
        *out = peer;
        return rn_ok();
    }
    RN_TRY(rn_path_join(peer.script, place->dir, "bench_peer.py", err));
    RN_TRY(rn_path_join(errors, place->dir, "errors", err));
    RN_TRY(rn_file_write(peer.script, rn_view_text(rn_bench_peer_text), 0644, err));
    const char *const argv[] = {python, peer.script, "--probe", NULL};
    const rn_result found =
        rn_bench_child_run(argv, errors, PROBE_LIMIT_MS, read_versions, &peer, &use, &why);
    if (found.code == RN_E_ROUND_ABORTED) {
        return rn_fail(err, found.code, "%s", why.text);
    }
    if (rn_is_ok(found) && peer.versions[0] != '\0') {
        peer.python = python;
    } else {
        (void)rn_text_format(peer.note, sizeof(peer.note),
                             "no peer: %.60s cannot import torch, transformers and peft (%.100s); "
                             "name one that can with --python",
                             python, why.text);
    }
    *out = peer;
    return rn_ok();
}

static bool allowed(const struct variant *variant, const char *precision)
{
    return strcmp(precision, "best") == 0 || (strcmp(precision, "bf16") == 0) == variant->bf16;
}

static rn_result variant_find(const char *name, const struct variant **out, struct rn_error *err)
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(variants); i++) {
        if (strcmp(variants[i].name, name) == 0) {
            *out = &variants[i];
            return rn_ok();
        }
    }
    return rn_fail(err, RN_E_USAGE, "--peers: \"%.40s\" is none of %s", name,
                   rn_bench_variant_names);
}

rn_result rn_bench_peer_choose(struct rn_bench_peer *peer, const char *names, const char *precision,
                               bool quick, struct rn_error *err)
{
    peer->variant_count = 0;
    for (size_t i = 0; names == NULL && i < RN_ARRAY_LENGTH(variants); i++) {
        if (variants[i].usual && allowed(&variants[i], precision) &&
            !(quick && variants[i].compiled)) {
            peer->variants[peer->variant_count++] = variants[i].name;
        }
    }
    for (const char *at = names; at != NULL && *at != '\0';) {
        char name[48];
        const struct variant *variant = NULL;
        const size_t length = strcspn(at, ",");
        (void)rn_text_format(name, sizeof(name), "%.*s", (int)length, at);
        RN_TRY(variant_find(name, &variant, err));
        RN_ENSURE(peer->variant_count < RN_BENCH_VARIANTS_MAX, err, RN_E_USAGE,
                  "--peers names more than %d", RN_BENCH_VARIANTS_MAX);
        if (allowed(variant, precision)) {
            peer->variants[peer->variant_count++] = variant->name;
        }
        at += length + (at[length] == ',');
    }
    return rn_ok();
}
