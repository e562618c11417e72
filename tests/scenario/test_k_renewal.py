#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Certificates are renewed in the middle of a job: those of one member and of the coordinator, both
killed (SIGKILL) in a round, the member after its update was spent. Started again with their new
certificates they go on with the same plan, the same roster, the same ledger and the same round."""

import hashlib
import shutil
import socket
import sqlite3
import ssl
import sys

from federation import check, main, ok, refused, CONFIG, USAGE

ROUNDS = 4
SPENT, PLAN = 4, 13  # kinds of records (services/federation/jobrecord.h)
BOUND = ("plan.yaml", "roster", "plan.yaml.sigs", "identity.key", "tls.key", "ca.crt")


def hashes(directory, names=BOUND):
    return {name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in names}


def ask(process, scratch, sql, *values):
    """First columns of what the state's database says; the process must be down."""
    copy = scratch / f"journal-{process.name}"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for file in (process.directory / "state").glob("journal.db*"):
        shutil.copy(file, copy)
    with sqlite3.connect(copy / "journal.db") as database:
        return [bytes(row[0]) for row in database.execute(sql, values)]


def records(process, scratch, kind):
    return ask(process, scratch, "SELECT body FROM record WHERE kind = ? ORDER BY id", kind)


def binding(process, scratch):
    """Role and identity, then the plan, that the state belongs to."""
    return ask(process, scratch, "SELECT value FROM state WHERE name = 'binding'") + records(process, scratch, PLAN)


def served(fed, name):
    """The certificate (DER) that the coordinator shows to this member."""
    directory = fed.directory / name
    context = ssl.create_default_context(cafile=directory / "ca.crt")
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    with socket.create_connection(("127.0.0.1", fed.port), timeout=60) as plain:
        with context.wrap_socket(plain) as secure:
            return secure.getpeercert(binary_form=True)


def der(path):
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def renew(fed, *names, days):
    """The operator's command, then each member's; returns what changed in the operator's directory."""
    operator = fed.directory / "coordinator"
    before = hashes(operator)
    ok("invite", operator, "--renew", *names, "--days", days)
    check(hashes(operator) == before, "a renewal changes nothing but certificates")
    for name in (name for name in names or fed.names if name != "coordinator"):
        site = fed.directory / name
        held = hashes(site)
        ok("join", operator / f"renewals/{name}.renewal", "--dir", site)
        check(hashes(site) == held, f"{name}: a renewal brings nothing but a certificate")
        check((site / "tls.crt").read_bytes() == (operator / f"members/{name}.crt").read_bytes(),
              f"{name} holds its new certificate")  # fmt: skip


# case 45
def through_a_job(scenario):
    fed = scenario.federation(members=4, rounds=ROUNDS)
    north, coordinator = fed.trainers["north"], fed.coordinator
    sites = (north, coordinator)
    voting = north.gate(event="stage.enter", round=2, stage="R3")
    unmasking = coordinator.gate(event="stage.enter", round=2, stage="R4")
    fed.start()
    north.kill_at(voting)
    coordinator.kill_at(unmasking)
    spent = records(north, scenario.work, SPENT)
    check(spent, "the member's update is spent when it votes")
    bound = {site.name: binding(site, scenario.work) for site in sites}
    check(all(len(rows) == 2 for rows in bound.values()), f"role, identity and plan are bound: {bound}")
    old = {site.name: der(site.directory / "tls.crt") for site in sites}

    renew(fed, "north", "coordinator", days=500)
    check(all(der(site.directory / "tls.crt") != old[site.name] for site in sites), "both certificates are new")
    held = coordinator.gate(event="round.done", round=ROUNDS)
    for site in sites:
        site.start()
    coordinator.wait_for(coordinator.since_start, event="round.done", round=2)
    check(served(fed, "north") == der(coordinator.directory / "tls.crt"), "the coordinator shows its new certificate")
    scenario.say("north and the coordinator went on with new certificates")

    renew(fed, days=600)  # everybody, the services running
    coordinator.wait_gate(held)
    coordinator.open_gate(held)
    fed.finish()
    for number, row in fed.rows().items():
        check(row["outcome"] == "ok", f"round {number}: {row}")
    fed.check_agreement()
    check(fed.rows()[ROUNDS]["members"] == 4, "everybody is in the last sum")
    after = records(north, scenario.work, SPENT)
    check(after[: len(spent)] == spent and len(after) > len(spent), "the ledger of spent updates goes on")
    for site in sites:
        rows = binding(site, scenario.work)
        check(rows == bound[site.name], f"{site.name}: the journal is bound as before")
    return fed


# case 45
def refusals(fed):
    operator, north, south = (fed.directory / name for name in ("coordinator", "north", "south"))
    refused(CONFIG, "another member", "join", operator / "renewals/south.renewal", "--dir", north)
    refused(USAGE, "no member", "invite", operator, "--renew", "nobody")
    refused(USAGE, "--renew", "invite", operator, "--renew", "--accept")
    # An old welcome does not put the old certificate back, and keeps the collected signatures.
    kept = hashes(north, ("tls.crt", "plan.yaml.sigs"))
    ok("join", operator / "welcome/north.welcome", "--dir", north)
    check(hashes(north, ("tls.crt", "plan.yaml.sigs")) == kept, "the certificate that runs longer stays")
    # A changed plan is not signed by the way.
    plan = (operator / "plan.yaml").read_text()
    (operator / "plan.yaml").write_text(plan.replace("seed: 1", "seed: 2"))
    signatures = hashes(operator, ("plan.yaml.sigs",))
    ok("invite", operator, "--renew", "south")
    check(hashes(operator, ("plan.yaml.sigs",)) == signatures, "renewal signs nothing")
    ok("join", operator / "renewals/south.renewal", "--dir", south)
    check("seed: 1" in (south / "plan.yaml").read_text(), "renewal brings no plan")
    (operator / "plan.yaml").write_text(plan)


def run(scenario):
    refusals(through_a_job(scenario))


if __name__ == "__main__":
    sys.exit(main("renewal", run))
