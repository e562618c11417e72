#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What running services read again. Signatures of the plan that the operator collects while everybody
waits for them. Certificates, which are replaced in the middle of a round: a member's pair of files,
noticed by itself, and the coordinator's as one PEM file, with SIGHUP. No stream ends, new handshakes see
the new ones, a broken file changes nothing, and `rondo status` shows until when they are valid."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time

from federation import LIMIT, check, main, ok

ROUNDS = 2


def issue(operator, site, uri):
    """A new key and a certificate of 90 days for it, as PEM texts: from the federation's own authority."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=site, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    (site / "ext").write_text(
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
        f"extendedKeyUsage=clientAuth,serverAuth\nsubjectAltName=URI:{uri}\n"
    )
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "new.key")
    openssl("req", "-new", "-key", "new.key", "-subj", "/CN=renewed", "-out", "new.csr")
    openssl("x509", "-req", "-in", "new.csr", "-CA", operator / "ca.crt", "-CAkey", operator / "ca.key",
            "-set_serial", "4711", "-days", "90", "-extfile", "ext", "-out", "new.crt")  # fmt: skip
    return (site / "new.key").read_text(), (site / "new.crt").read_text()


def put(path, text):
    """As a careful tool does it: a new file, renamed over the old one."""
    beside = path.with_suffix(".part")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    beside.rename(path)


def shown(fed, name):
    """The certificate that the coordinator shows to this member, as PEM."""
    directory = fed.directory / name
    context = ssl.create_default_context(cafile=directory / "ca.crt")
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    with socket.create_connection(("127.0.0.1", fed.port), timeout=60) as plain:
        with context.wrap_socket(plain) as secure:
            return ssl.DER_cert_to_PEM_cert(secure.getpeercert(binary_form=True))


def status(directory):
    return json.loads(ok("status", directory, "--format", "json"))


def until(condition, what):
    """A status is a snapshot, and a moment old."""
    end = time.monotonic() + LIMIT
    while not condition():
        check(time.monotonic() < end, f"not in {LIMIT} s: {what}")
        time.sleep(0.1)


def nobody_trains(fed, moment):
    trained = [process.name for process in fed.processes() if process.find(event="train.begin")]
    check(not trained and fed.coordinator.find(event="round.begin") is None, f"{moment}: {trained} have trained")


def late_signatures(scenario):
    """Members start with their own signature alone, the coordinator before anything is collected."""
    fed = scenario.federation("late", members=3, rounds=ROUNDS, collect=False)
    operator, north = fed.directory / "coordinator", fed.directory / "north"
    found = json.loads(ok("doctor", north, "--offline", "--format", "json"))
    note = next(finding["text"] for finding in found["findings"] if finding["check"] == "signatures")
    check(found["ready"] and "not yet south, east" in note, f"doctor: {note}")
    fed.start()
    for name, trainer in fed.trainers.items():
        waits = trainer.wait_for(event="policy.waits")
        others = ", ".join(other for other in fed.names if other != name)
        check(others in waits["detail"], f"{name}: {waits}")
        fed.coordinator.wait_for(event="member.waits", member=name)
        trainer.wait_for(event="coordinator.welcome")
    until(lambda: all(member["waits"] and not member["signed"] for member in status(operator)["members"]),
          "the status says that everybody waits")  # fmt: skip
    text = ok("status", operator)
    check(text.count("waits for signatures of the plan") == 3 and "not signed  north, south, east" in text, text)
    until(lambda: "south, east" in status(north)["waits_for"], "a member's status says what it waits for")
    listed = json.loads(ok("member", "list", operator, "--format", "json"))
    keys = {row["name"]: row["fingerprint"] for row in listed["members"]}
    check({member["name"]: member["key"] for member in status(operator)["members"]} == keys, "others' fingerprints")
    check(status(north)["key"] == keys["north"], "its own")
    for site in operator, north:
        check(status(site)["roster"] == listed["fingerprint"] and listed["fingerprint"] in ok("status", site), f"{site}")
    check(keys["north"] in ok("status", north), "the text form shows its own, too")
    nobody_trains(fed, "nothing collected")

    fed.collect("north", "south")
    fed.trainers["east"].wait_for(event="policy.satisfied")  # with its own it has all three
    fed.coordinator.wait_for(event="member.ready", member="east")
    for trainer in (fed.trainers["north"], fed.trainers["south"]):
        taken = trainer.wait_for(event="signatures.taken")
        trainer.wait_for(since=trainer.events.index(taken), event="policy.waits")
    until(lambda: status(north)["waits_for"].endswith("not signed yet: east"), "... and what it waits for now")
    nobody_trains(fed, "two of three collected")
    scenario.say("members wait with two signatures of three, and the coordinator says so")

    collected = (operator / "plan.yaml.sigs").read_text()
    put(operator / "plan.yaml.sigs", collected.replace("plan ", "plan 0", 1))
    fed.coordinator.wait_for(event="signatures.refused")
    put(operator / "plan.yaml.sigs", collected.replace("\nsouth ", "\nnorth ", 1).replace(collected[-9:], "00000000\n"))
    fed.coordinator.signal(signal.SIGHUP)
    fed.coordinator.wait_for(since=fed.coordinator.events.index(fed.coordinator.find(event="signatures.refused")) + 1,
                             event="signatures.refused")  # fmt: skip
    check([member["signed"] for member in status(operator)["members"]] == [True, True, False], "the old set stays")
    nobody_trains(fed, "broken files")
    put(operator / "plan.yaml.sigs", collected)

    fed.collect("east")
    fed.finish()
    fed.check_agreement()
    rows = fed.rows()
    check(len(rows) == ROUNDS and all(row["members"] == 3 for row in rows.values()), f"{rows}")
    complete = (operator / "plan.yaml.sigs").read_bytes()
    for name in fed.names:
        check((fed.directory / name / "plan.yaml.sigs").read_bytes() == complete, f"{name} keeps other signatures")
    scenario.say("with the third one the job ran and ended; every site keeps the whole set")
    for process in fed.processes():
        process.start()
    fed.finish()
    for name, trainer in fed.trainers.items():
        check(trainer.find(trainer.since_start, event="policy.waits") is None, f"{name} waits with a full set on disk")


def certificates(scenario):
    fed = scenario.federation(members=3, rounds=ROUNDS)
    operator, north = fed.directory / "coordinator", fed.trainers["north"]
    begun = fed.trainers["south"].gate(event="train.begin", round=1)
    fed.start()
    fed.trainers["south"].wait_gate(begun)
    for process in (fed.coordinator, north):
        process.wait_for(event="service.start")
    before = status(operator)["certificate"]

    key, chain = issue(operator, north.directory, "spiffe://scenario/member/north")
    put(north.directory / "tls.key", key)
    put(north.directory / "tls.crt", chain)
    north.wait_for(event="certificate.loaded")
    scenario.say("a member's replaced pair was noticed")

    key, chain = issue(operator, operator, "spiffe://scenario/coordinator")
    kept = (operator / "tls.key").read_text()
    put(operator / "tls.crt", chain)  # with the old key: does not fit
    fed.coordinator.signal(signal.SIGHUP)
    refusal = fed.coordinator.wait_for(event="certificate.refused")
    check("does not belong" in refusal["detail"], f"{refusal}")
    check(status(operator)["certificate"]["expires"] == before["expires"], "the old certificate stays")
    put(operator / "tls.crt", key + chain)
    check(kept == (operator / "tls.key").read_text(), "nobody touched the key")
    (operator / "tls.key").unlink()
    fed.coordinator.signal(signal.SIGHUP)
    fed.coordinator.wait_for(event="certificate.loaded")
    check(shown(fed, "north") == chain, "the coordinator shows its new certificate")
    after = status(operator)["certificate"]
    check(after["expires"] != before["expires"] and 89 * 86400 < after["seconds_left"] <= 90 * 86400, f"{after}")
    check("valid until" in ok("status", north.directory), "the text form shows it too")
    scenario.say("the coordinator took its own from one file, with SIGHUP")

    lost = [process.find(event=event) for process in fed.processes() for event in ("member.lost", "coordinator.lost")]
    check(not any(lost), f"a stream ended: {lost}")
    fed.trainers["south"].open_gate(begun)
    fed.finish()
    rows = fed.rows()
    check(all(row["outcome"] == "ok" and row["members"] == 3 for row in rows.values()), f"{rows}")
    fed.check_agreement()


def run(scenario):
    late_signatures(scenario)
    certificates(scenario)


if __name__ == "__main__":
    sys.exit(main("reload", run))
