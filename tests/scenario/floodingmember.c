/* SPDX-License-Identifier: Apache-2.0
 *
 *     floodingmember SITE ADDRESS FEDERATION
 *
 * An enrolled member that asks its coordinator for everything without end, over the real transport
 * and with its site's own key: streams that never greet, greetings, words that it misses rounds,
 * bytes that are no message, and messages that only a check of their signature shows to be forged.
 * Redials what is closed. Until it is killed; it prints a line when each kind of stream first
 * stood.
 */
#include <stdio.h>
#include <string.h>

#include "base/guard.h"
#include "crypto/secagg/envelope.h"
#include "crypto/secagg/params.h"
#include "crypto/setup.h"
#include "services/host/credfiles.h"
#include "services/rpc/rpc.h"
#include "services/wire/wire.h"

enum manner { SILENT, MISSING, GARBAGE, FORGED, MANNERS };
static const char *const names[MANNERS] = {"silent", "missing", "garbage", "forged"};

/* Two links of each manner. */
#define LINKS (2 * MANNERS)

struct stream {
    struct rn_rpc_stream *stream;
    bool greeted;
    uint32_t sent;
};

static struct stream streams[LINKS];
static bool told[MANNERS];
static struct rn_wire_hello hello; /* with the coordinator's hashes, once it has greeted */
static bool knows_hashes;
static uint8_t forged[RN_SA_DONE_BYTES];

static struct stream *of(const struct rn_rpc_stream *stream)
{
    for (size_t i = 0; i < LINKS; i++) {
        if (streams[i].stream == stream) {
            return &streams[i];
        }
    }
    return NULL;
}

static rn_result authorize(void *user, const struct rn_peer *peer, enum rn_rpc_kind kind,
                           bool renewal)
{
    (void)user;
    (void)peer;
    (void)kind;
    (void)renewal;
    return rn_ok();
}

static void on_open(void *user, struct rn_rpc_stream *stream)
{
    struct stream *place = of(NULL);
    (void)user;
    if (place == NULL) {
        rn_rpc_stream_close(stream, rn_fail(NULL, RN_E_BUSY, "one too many"));
        return;
    }
    const enum manner manner = (enum manner)((size_t)(place - streams) % MANNERS);
    *place = (struct stream){.stream = stream};
    if (!told[manner]) {
        told[manner] = true;
        (void)printf("%s\n", names[manner]);
        (void)fflush(stdout);
    }
}

static void on_message(void *user, struct rn_rpc_stream *stream, struct rn_view message)
{
    struct rn_wire_envelope envelope;
    (void)user;
    (void)stream;
    if (!knows_hashes && rn_is_ok(rn_wire_envelope_decode(message, &envelope, NULL)) &&
        envelope.body == RN_WIRE_HELLO) {
        knows_hashes = true;
        hello.plan_hash = envelope.as.hello.plan_hash;
        hello.roster_hash = envelope.as.hello.roster_hash;
        hello.adapter_hash = envelope.as.hello.adapter_hash;
        memcpy(forged + 8, envelope.as.hello.plan_hash.bytes, RN_HASH_BYTES);
    }
}

static void on_closed(void *user, struct rn_rpc_stream *stream, const struct rn_rpc_end *end)
{
    struct stream *place = of(stream);
    (void)user;
    (void)end;
    if (place != NULL) {
        *place = (struct stream){0};
    }
}

static void on_writable(void *user, struct rn_rpc_stream *stream)
{
    (void)user;
    (void)stream;
}

static void on_link_down(void *user, struct rn_rpc_link *link, const struct rn_rpc_end *end)
{
    (void)user;
    (void)link;
    (void)end;
}

static bool say(struct rn_rpc_stream *stream, const struct rn_wire_envelope *envelope)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    return rn_is_ok(rn_wire_envelope_encode(envelope, &bytes, NULL)) &&
           rn_is_ok(rn_rpc_stream_send(stream, rn_buffer_view(&bytes)));
}

/* One message in this stream's manner; false: the queue is full. */
static bool flood(struct stream *place)
{
    const enum manner manner = (enum manner)((size_t)(place - streams) % MANNERS);
    const struct rn_wire_envelope greeting = {.body = RN_WIRE_HELLO, .as.hello = hello};
    const struct rn_wire_envelope missing = {
        .body = RN_WIRE_STATUS,
        .as.status = {.round = 1 + place->sent % 3, .reason = RN_E_ROUND_STALE}};
    const struct rn_wire_envelope message = {.body = RN_WIRE_SECAGG,
                                             .as.secagg = rn_view_of(forged, sizeof forged)};
    place->sent++;
    if (manner == SILENT || !knows_hashes) {
        return false;
    }
    if (!place->greeted) {
        place->greeted = true;
        return say(place->stream, &greeting);
    }
    return manner == MISSING  ? say(place->stream, &missing)
           : manner == FORGED ? say(place->stream, &message)
                              : rn_is_ok(rn_rpc_stream_send(
                                    place->stream, rn_view_of(forged, 1 + place->sent % 60)));
}

/* A frame of a Done; its session is none. */
static void forge(void)
{
    static const uint8_t head[8] = {0x52, 0x4e, 0x53, 0x41, RN_SA_VERSION & 0xff, 0, RN_SA_DONE, 0};
    memcpy(forged, head, sizeof head);
    forged[92] = RN_SA_DONE_BODY;
}

static rn_result open_rpc(const char *site, const char *federation, struct rn_rpc **out,
                          struct rn_error *err)
{
    struct rn_credfiles files;
    struct rn_rpc_config config = {
        .federation = federation,
        .backoff_ms = 50,
        .callbacks = {.authorize = authorize,
                      .on_open = on_open,
                      .on_message = on_message,
                      .on_writable = on_writable,
                      .on_closed = on_closed,
                      .on_link_down = on_link_down},
    };
    RN_TRY(rn_rpc_setup(err));
    RN_TRY(rn_credfiles_read(site, &files, err));
    config.material.key_pem = rn_buffer_view(&files.key_pem);
    config.material.chain_pem = rn_buffer_view(&files.chain_pem);
    config.material.ca_pem = rn_buffer_view(&files.ca_pem);
    const rn_result opened = rn_rpc_open(&config, out, err);
    rn_credfiles_clear(&files);
    return opened;
}

static rn_result run(char **arguments, struct rn_error *err)
{
    struct rn_rpc *rpc = NULL;
    char expected[256];
    RN_TRY(rn_crypto_setup(err));
    RN_TRY(open_rpc(arguments[1], arguments[3], &rpc, err));
    RN_BUG_IF(!rn_text_format(expected, sizeof expected, "spiffe://%s/coordinator", arguments[3]));
    RN_BUG_IF(!rn_text_format(hello.name, sizeof hello.name, "%s", rn_rpc_self(rpc)->name));
    hello.protocol = RN_WIRE_PROTOCOL;
    hello.next_round = 1;
    memset(hello.incarnation, 7, sizeof hello.incarnation);
    forge();
    RN_TRY(rn_rpc_start(rpc, err));
    for (size_t i = 0; i < LINKS; i++) {
        struct rn_rpc_link *link = NULL;
        RN_TRY(rn_rpc_link(rpc, arguments[2], expected, false, &link, err));
    }
    while (rn_rpc_step(rpc, 1)) {
        for (size_t i = 0; i < LINKS; i++) {
            for (int k = 0; k < 100 && streams[i].stream != NULL && flood(&streams[i]); k++) {
            }
        }
    }
    return rn_ok();
}

int main(int count, char **arguments)
{
    struct rn_error err = {0};
    if (count != 4 || !rn_is_ok(run(arguments, &err))) {
        (void)fprintf(stderr, "floodingmember SITE ADDRESS FEDERATION: %s\n", err.text);
        return 1;
    }
    return 0;
}
