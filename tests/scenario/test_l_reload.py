#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Certificates are replaced under running services, in the middle of a round: a member's pair of files,
noticed by itself, and the coordinator's as one PEM file, with SIGHUP. No stream ends, new handshakes see
the new ones, a broken file changes nothing, and `rondo status` shows until when they are valid."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys

from federation import check, main, ok

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


def run(scenario):
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
    check(status(operator)["certificate"] == {**before, "seconds_left": status(operator)["certificate"]["seconds_left"]},
          "the old certificate stays")  # fmt: skip
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


if __name__ == "__main__":
    sys.exit(main("reload", run))
