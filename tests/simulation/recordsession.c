/* SPDX-License-Identifier: Apache-2.0
 *
 * Records one session of the simulator, for verifiers that share no code with it
 * (tests/parity/verify_session.py).
 *
 *     recordsession losses|wide|abort|blind|ring DIR
 *
 * DIR, which exists, gets three files:
 *   session.wire   what was on the wire, in order of sending: "RNSAREC1", then for each message its
 *                  length, sender, receiver and a check (u32 each, little-endian; places as in the
 *                  header of a message) and its bytes. The check is the first four bytes of
 *                  SHA-256("rondo/v1 recording" padded to 32 bytes, number of the message u64,
 *                  length, sender, receiver): it covers what the protocol itself does not.
 *   session.json   what every member knows before the session: roster, numbers of the plan, hashes
 *   secrets.json   what only a test may know: members' keys, secrets and vectors
 */
#include "tests/simulation/simulator.c"

#include "base/file.h"
#include "crypto/secagg/member_state.h"

#define FILE_BYTES_MAX ((size_t)64 << 20)

/* Who fails how; SIM_COORDINATOR: nobody. */
struct scenario {
    const char *name;
    struct sim_options options;
    uint32_t lost_after_shares;  /* sends no Ack */
    uint32_t lost_after_done;    /* sends Done but no Vote */
    uint32_t liar, lied_about;   /* answers with a false share of that one */
    uint32_t bad_dealer, victim; /* deals garbage to that one and those after it; */
    uint32_t victims;            /* so many of them */
    uint32_t chunk_lost_of;      /* its first chunk has to be asked for */
    uint32_t done_lost_from;     /* Dones of this member and those after it never arrive; */
    uint32_t done_lost_count;    /* so many of them */
    bool summed;
};

static const struct scenario scenarios[] = {
    {
        .name = "losses",
        .options = {.members = 12, .colluding = 1, .losses = 5, .seed = 21},
        .lost_after_shares = 1,
        .lost_after_done = 3,
        .liar = 0,
        .lied_about = 2,
        .bad_dealer = 4,
        .victim = 5,
        .victims = 2, /* one more than may complain without costing it its place */
        .chunk_lost_of = 5,
        .done_lost_from = 2,
        .done_lost_count = 1,
        .summed = true,
    },
    {
        .name = "wide",
        .options = {.members = 5,
                    .colluding = 1,
                    .losses = 1,
                    .seed = 22,
                    .value_max = ((uint64_t)1 << 45) - 1,
                    .elements = 9,
                    .chunk_elements = 5},
        .lost_after_shares = SIM_COORDINATOR,
        .lost_after_done = SIM_COORDINATOR,
        .liar = SIM_COORDINATOR,
        .bad_dealer = 4,
        .victim = 2,
        .victims = 1,
        .chunk_lost_of = SIM_COORDINATOR,
        .summed = true,
    },
    {
        .name = "abort",
        .options = {.members = 5, .colluding = 1, .losses = 1, .seed = 23},
        .lost_after_shares = SIM_COORDINATOR,
        .lost_after_done = SIM_COORDINATOR,
        .liar = SIM_COORDINATOR,
        .bad_dealer = SIM_COORDINATOR,
        .chunk_lost_of = SIM_COORDINATOR,
        .done_lost_from = 1,
        .done_lost_count = 2,
        .summed = false,
    },
    {
        .name = "blind",
        .options = {.members = 4, .colluding = 1, .losses = 1, .seed = 24, .blind = true},
        .lost_after_shares = SIM_COORDINATOR,
        .lost_after_done = 3,
        .liar = SIM_COORDINATOR,
        .bad_dealer = SIM_COORDINATOR,
        .chunk_lost_of = SIM_COORDINATOR,
        .summed = true,
    },
    {
        .name = "ring",
        .options = {.members = 129, .colluding = 1, .losses = 2, .seed = 24, .elements = 3},
        .lost_after_shares = SIM_COORDINATOR,
        .lost_after_done = SIM_COORDINATOR,
        .liar = SIM_COORDINATOR,
        .bad_dealer = SIM_COORDINATOR,
        .chunk_lost_of = SIM_COORDINATOR,
        .done_lost_from = 5,
        .done_lost_count = 1,
        .summed = true,
    },
};

struct recording {
    const struct scenario *scenario;
    struct rn_buffer wire;
    struct rn_buffer secrets;
    uint64_t messages;
    bool known[SIM_MEMBERS]; /* whose secrets were written */
    bool chunk_lost;
};

/* ---- faults ---- */

static void replace(struct rn_buffer *message, struct rn_buffer *forged)
{
    rn_buffer_clear(message);
    *message = *forged;
}

static void lie(struct sim *sim, uint32_t about, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_buffer forged = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    for (size_t at = 4; at < body.length; at += RN_SA_REVEAL_ENTRY) {
        body.data[at + 8] ^= body.data[at] == about ? 1 : 0;
    }
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    replace(message, &forged);
}

static void deal_garbage(struct sim *sim, const struct scenario *s, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    struct rn_sa_member *dealer = sim->members[m.sender];
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_buffer forged = {0};
    uint8_t leaves[SIM_MEMBERS * RN_HASH_BYTES];
    uint8_t root[RN_HASH_BYTES];
    struct rn_sa_shares_hashes hashes;
    rn_buffer_append(&body, m.body.data, m.body.length);
    const size_t entries = 2 * rn_sa_coefficient_bytes(&dealer->t);
    for (uint32_t k = 0; k < s->victims; k++) {
        body.data[entries + (s->victim + k) * (size_t)RN_SA_SEALED_BYTES] ^= 1;
    }
    rn_sa_shares_hash(&dealer->t, m.sender, rn_buffer_view(&body), leaves, &hashes);
    rn_sa_shares_root(&dealer->t, m.sender, &hashes, root);
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, root, &forged);
    rn_buffer_clear(&dealer->shares); /* it stands by what it sent */
    rn_buffer_append(&dealer->shares, forged.data, forged.length);
    replace(message, &forged);
}

static bool is_lost(struct recording *rec, const struct rn_sa_message *m)
{
    const struct scenario *s = rec->scenario;
    if (m->type == RN_SA_DONE && m->sender >= s->done_lost_from &&
        m->sender - s->done_lost_from < s->done_lost_count) {
        return true;
    }
    if (m->type == RN_SA_CHUNK && m->sender == s->chunk_lost_of && !rec->chunk_lost) {
        rec->chunk_lost = true;
        return true;
    }
    return false;
}

/* ---- the files ---- */

static void write_hex(struct rn_buffer *out, const char *name, const uint8_t bytes[static 32])
{
    char text[2 * 32 + 1];
    rn_hex_encode(text, bytes, 32);
    rn_buffer_format(out, "\"%s\": \"%s\"", name, text);
}

static void write_secrets(struct sim *sim, struct recording *rec, uint32_t i)
{
    const struct rn_sa_secrets *secrets = &sim->members[i]->vault->session;
    rn_buffer_format(&rec->secrets, ",\n\"%u\": {\"vector\": [", i);
    for (uint64_t e = 0; e < sim->context.elements; e++) {
        rn_buffer_format(&rec->secrets, "%s%llu", e == 0 ? "" : ", ",
                         (unsigned long long)sim_value(sim, i, e));
    }
    rn_buffer_format(&rec->secrets, "], ");
    write_hex(&rec->secrets, "channel", secrets->channel.bytes);
    rn_buffer_format(&rec->secrets, ", ");
    write_hex(&rec->secrets, "s", secrets->mask_secret.bytes);
    rn_buffer_format(&rec->secrets, ", ");
    write_hex(&rec->secrets, "b", secrets->self_seed.bytes);
    rn_buffer_format(&rec->secrets, "}");
}

/* The seeds of sim_init: with them a test signs what it forges. */
static void write_identities(const struct sim *sim, struct rn_buffer *out)
{
    rn_buffer_format(out, "{\"identities\": {");
    for (uint32_t i = 0; i <= sim->params.members; i++) {
        const uint32_t place = i < sim->params.members ? i : SIM_COORDINATOR;
        const uint8_t seed[32] = {(uint8_t)place, 7, (uint8_t)(place >> 8)};
        char name[16];
        (void)rn_text_format(name, sizeof name, "%u", place == i ? i : RN_SA_COORDINATOR);
        rn_buffer_format(out, "%s", i == 0 ? "" : ", ");
        write_hex(out, name, seed);
    }
    rn_buffer_format(out, "}, ");
    write_hex(out, "group", sim->group.bytes);
}

static void write_roster(const struct sim *sim, struct rn_buffer *out)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) text = {0};
    assert_true(rn_is_ok(rn_roster_write(&sim->roster, &text, NULL)));
    rn_buffer_format(out, "{\"roster\": \"");
    for (size_t k = 0; k < text.length; k++) {
        rn_buffer_format(out, text.data[k] == '\n' ? "\\n" : "%c", text.data[k]);
    }
    rn_buffer_format(out, "\",\n");
}

static void write_context(const struct sim *sim, struct rn_buffer *out)
{
    const struct rn_sa_params *p = &sim->params;
    const struct rn_sa_context *c = &sim->context;
    const struct {
        const char *name;
        const uint8_t *hash;
    } hashes[] = {{"plan", c->plan_hash},       {"base", c->base_hash},
                  {"adapter", c->adapter_hash}, {"layout", c->layout_hash},
                  {"scales", c->scales_hash},   {"group", c->group_hash},
                  {"seed", c->graph_seed}};
    write_roster(sim, out);
    for (size_t k = 0; k < RN_ARRAY_LENGTH(hashes); k++) {
        write_hex(out, hashes[k].name, hashes[k].hash);
        rn_buffer_format(out, ",\n");
    }
    rn_buffer_format(out, "\"colluding\": %u, \"losses\": %u, \"honest\": %u,\n", p->colluding,
                     p->losses, p->honest);
    rn_buffer_format(out, "\"value_max\": %llu, \"chunk_elements\": %u, \"elements\": %llu,\n",
                     (unsigned long long)p->value_max, p->chunk_elements,
                     (unsigned long long)c->elements);
    rn_buffer_format(out, "\"round\": %llu, \"attempt\": %u, \"active\": %u, \"blind\": %u}\n",
                     (unsigned long long)c->round, c->attempt, c->active, c->blind);
}

static void save(const char *directory, const char *name, const struct rn_buffer *content)
{
    char path[RN_PATH_MAX];
    assert_false(content->failed);
    assert_true(rn_is_ok(rn_path_join(path, directory, name, NULL)));
    assert_true(rn_is_ok(rn_file_write(path, rn_buffer_view(content), 0644, NULL)));
}

/* ---- the wire ---- */

static void write_message(struct recording *rec, uint32_t from, uint32_t to, struct rn_view message)
{
    uint8_t head[8 + 3 * 4];
    struct rn_writer w = rn_writer_to(head, sizeof head);
    rn_write_u64(&w, rec->messages++);
    rn_write_u32(&w, (uint32_t)message.length);
    rn_write_u32(&w, from == SIM_COORDINATOR ? RN_SA_COORDINATOR : from);
    rn_write_u32(&w, to == SIM_COORDINATOR ? RN_SA_COORDINATOR : to);
    assert_true(rn_writer_done(&w));
    const struct rn_view view = rn_view_of(head, sizeof head);
    uint8_t check[RN_HASH_BYTES];
    rn_sha256(check, "rondo/v1 recording", &view, 1);
    rn_buffer_append(&rec->wire, head + 8, sizeof head - 8);
    rn_buffer_append(&rec->wire, check, 4);
    rn_buffer_append(&rec->wire, message.data, message.length);
}

static bool record(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct recording *rec = sim->options.tamper_context;
    const struct scenario *s = rec->scenario;
    const struct rn_sa_message m = sim_parse(message);
    if (is_lost(rec, &m)) {
        return false;
    }
    if (m.type == RN_SA_READY && !rec->known[from]) {
        rec->known[from] = true;
        write_secrets(sim, rec, from);
    }
    if (m.type == RN_SA_REVEAL && from == s->liar) {
        lie(sim, s->lied_about, message);
    }
    if (m.type == RN_SA_SHARES && from == s->bad_dealer) {
        deal_garbage(sim, s, message);
    }
    write_message(rec, from, to, rn_buffer_view(message));
    return true;
}

static void run(const struct scenario *scenario, const char *directory)
{
    struct recording rec = {.scenario = scenario};
    rn_buffer_init(&rec.wire, FILE_BYTES_MAX);
    rn_buffer_init(&rec.secrets, FILE_BYTES_MAX);
    rn_buffer_append(&rec.wire, "RNSAREC1", 8);
    struct sim_options options = scenario->options;
    options.tamper = record;
    options.tamper_context = &rec;
    struct sim *sim = sim_new(&options);
    if (scenario->lost_after_shares != SIM_COORDINATOR) {
        sim->nodes[scenario->lost_after_shares].silent_from = RN_SA_ACK;
    }
    if (scenario->lost_after_done != SIM_COORDINATOR) {
        sim->nodes[scenario->lost_after_done].silent_from = RN_SA_VOTE;
    }
    write_identities(sim, &rec.secrets);
    sim_run(sim, 400000);
    rn_buffer_format(&rec.secrets, "}\n");
    const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
    assert_true(coordinator->finished == scenario->summed);
    assert_true(coordinator->aborted == !scenario->summed);
    (void)sim_check_sums(sim);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) context = {0};
    write_context(sim, &context);
    save(directory, "session.wire", &rec.wire);
    save(directory, "session.json", &context);
    save(directory, "secrets.json", &rec.secrets);
    rn_buffer_clear(&rec.wire);
    rn_buffer_clear(&rec.secrets);
    sim_free(sim);
}

int main(int argc, char **argv)
{
    for (size_t k = 0; argc == 3 && k < RN_ARRAY_LENGTH(scenarios); k++) {
        if (strcmp(argv[1], scenarios[k].name) == 0) {
            run(&scenarios[k], argv[2]);
            return 0;
        }
    }
    (void)fprintf(stderr, "usage: recordsession losses|wide|abort|blind|ring DIR\n");
    return 64;
}
