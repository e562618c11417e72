#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What services get to see when a site is wrong: configuration, plan, policy, base model, data, keys
and certificates, a taken port, a running twin. Each ends the program before anything happens, with
the documented exit code and a sentence that names file, line or field; the site keeps its bytes.
What the commands refuse is in test_a_enrolment.py and test_a_desk.py."""

import hashlib
import shutil
import socket
import subprocess
import sys

from federation import (CONFIG, DATA, IDENTITY, MODEL, NO_INPUT, PEER, PERMISSION, REFUSED, RETRY, Process, check,
                        edit, main, refused)  # fmt: skip


def tree(path):
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.relative_to(path).parts[0] not in ("state", "jobs.ledger.lock")
    }


class Sites:
    """Copies of one good site, each spoilt in one way."""

    def __init__(self, scenario, fed):
        self.scenario = scenario
        self.fed = fed
        self.count = 0

    def spoilt(self, what, code, text, spoil, site="north"):
        self.count += 1
        copy = self.scenario.work / f"copy-{self.count}"
        shutil.copytree(self.fed.directory / site, copy)
        spoil(copy)
        before = tree(copy)
        program = "rondo-coordinator" if site == "coordinator" else "rondo-trainer"
        said = refused(code, text, copy, program=program)
        check(tree(copy) == before, f"{what}: the site has changed")
        check(not (copy / "state/adapters").exists(), f"{what}: left an adapter behind")
        self.scenario.say(f"{what}: exit {code}: {said.strip().splitlines()[-1][-200:]}")


def changed(name, old, new):
    return lambda copy: edit(copy / name, old, new)


def added(name, text):
    def spoil(copy):
        with open(copy / name, "a", encoding="utf-8") as file:
            file.write(text)

    return spoil


def configuration(sites):
    for site in ("north", "coordinator"):
        sites.spoilt(f"unknown key at {site}", CONFIG, "unknown key 'netwrok'", added("site.yaml", "netwrok: 1\n"),
                     site)  # fmt: skip
    sites.spoilt("mistyped value", CONFIG, "site.yaml", changed("site.yaml", "threads: 1", "threads: many"))
    sites.spoilt("unknown key in the plan", CONFIG, "unknown key 'extra'", added("plan.yaml", "extra: 1\n"))
    sites.spoilt("mistyped value in the plan", CONFIG, "plan.yaml", changed("plan.yaml", "rounds: ", "rounds: x"))
    sites.spoilt("unknown key in the policy", CONFIG, "unknown key 'extra'", added("policy.yaml", "extra: 1\n"))
    refused(CONFIG, "this is the site of a member", sites.fed.directory / "north", program="rondo-coordinator")


def agreement(sites):
    sites.spoilt("plan changed after signing", PEER, "plan.yaml.sigs", changed("plan.yaml", "steps: 2", "steps: 3"))
    sites.spoilt("no policy", NO_INPUT, "policy.yaml", lambda copy: (copy / "policy.yaml").unlink())
    sites.spoilt("plan outside the policy", REFUSED, "policy-rank-too-large",
                 changed("policy.yaml", "rank_max: 2", "rank_max: 1"))  # fmt: skip

    def unsigned(name):
        def spoil(copy):
            path = copy / "plan.yaml.sigs"
            lines = path.read_text().splitlines(keepends=True)
            path.write_text("".join(line for line in lines if not line.startswith(f"{name} ")))

        return spoil

    sites.spoilt("not signed by the site itself", REFUSED, "policy-unsigned", unsigned("north"))
    sites.spoilt("not signed by the coordinator", CONFIG, "the coordinator has not signed", unsigned("coordinator"))
    sites.spoilt("roster changed", CONFIG, "plan.yaml", changed("roster", " south ", " sauth "))

    def twice(copy):
        lines = (copy / "roster").read_text().splitlines()
        first = next(line for line in lines if line.startswith("member 0 "))
        (copy / "roster").write_text("\n".join(first.replace("0", "1", 1) if line.startswith("member 1 ") else line
                                               for line in lines) + "\n")  # fmt: skip

    sites.spoilt("organisation twice in the roster", DATA, "roster", twice)


def model_and_data(sites):
    def other_model(copy):
        model = copy / "model"
        shutil.copytree(MODEL, model)
        raw = bytearray((model / "model.safetensors").read_bytes())
        raw[-1] ^= 1
        (model / "model.safetensors").write_bytes(raw)
        edit(copy / "site.yaml", f'model: "{MODEL}"', 'model: "model"')

    def data(text):
        def spoil(copy):
            (copy / "data.tsv").write_text(text)
            edit(copy / "site.yaml", f'train: "{sites.fed.directory / "north.tsv"}"', 'train: "data.tsv"')

        return spoil

    sites.spoilt("another base model", CONFIG, "get the same files", other_model)
    sites.spoilt("label out of range", DATA, "data.tsv:3", data("sentence\tlabel\nfine\tpraise\nbad\tneutral\n"))
    sites.spoilt("data without records", DATA, "data.tsv", data("sentence\tlabel\n"))
    sites.spoilt("empty data", DATA, "data.tsv", data(""))
    sites.spoilt("no data", NO_INPUT, "data.tsv", lambda copy: (data("")(copy), (copy / "data.tsv").unlink()))
    sites.spoilt("missing column", CONFIG, "site.yaml", changed("site.yaml", 'text: "sentence"', 'text: "text"'))


def keys(sites):
    fed = sites.fed

    def taken(*names, source):
        return lambda copy: [shutil.copy(source / name, copy / name) for name in names]

    south = fed.directory / "south"
    sites.spoilt("another member's identity", IDENTITY, "identity.key", taken("identity.key", source=south))
    sites.spoilt("another member's certificate", IDENTITY, "tls.crt", taken("tls.crt", "tls.key", source=south))
    sites.spoilt("certificate of another key", IDENTITY, "tls.crt", taken("tls.key", source=south))
    sites.spoilt("damaged certificate", DATA, "tls.crt", changed("tls.crt", "BEGIN", "BEGUN"))
    sites.spoilt("readable identity", PERMISSION, "identity.key", lambda copy: (copy / "identity.key").chmod(0o644))
    sites.spoilt("readable transport key", PERMISSION, "tls.key", lambda copy: (copy / "tls.key").chmod(0o640))
    foreign = sites.scenario.federation("foreign", members=3).directory / "north"
    sites.spoilt("certificate of another federation", IDENTITY, "tls.crt", taken("tls.crt", "tls.key", source=foreign))

    def expired(copy):
        extension = copy / "extension"
        extension.write_text("subjectAltName=URI:spiffe://scenario/member/north\n"
                             "keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth,serverAuth\n")  # fmt: skip
        authority = fed.directory / "coordinator"
        subprocess.run(["openssl", "req", "-new", "-key", copy / "tls.key", "-subj", "/CN=north", "-out",
                        copy / "request"], check=True, capture_output=True)  # fmt: skip
        subprocess.run(["openssl", "x509", "-req", "-in", copy / "request", "-CA", authority / "ca.crt", "-CAkey",
                        authority / "ca.key", "-days", "-1", "-extfile", extension, "-out", copy / "tls.crt"],
                       check=True, capture_output=True)  # fmt: skip

    if shutil.which("openssl") is not None:
        sites.spoilt("expired certificate", IDENTITY, "expired", expired)
    else:
        sites.scenario.say("expired certificate: left out, there is no openssl command to make one with")


def taken_port(sites):
    with socket.create_server(("127.0.0.1", sites.fed.port)):
        sites.spoilt("port in use", RETRY, f"127.0.0.1:{sites.fed.port}", lambda copy: None, "coordinator")


def running_twice(sites):
    process = Process("rondo-trainer", sites.fed.directory / "north").start()
    try:
        process.wait_for(event="service.start")
        said = refused(RETRY, "state", process.directory, program="rondo-trainer")
        sites.scenario.say(f"started twice: exit {RETRY}: {said.strip()[-200:]}")
    finally:
        process.kill()


def run(scenario):
    fed = scenario.federation("fed", members=3, rounds=2)
    sites = Sites(scenario, fed)
    for group in (configuration, agreement, model_and_data, keys, taken_port, running_twice):
        group(sites)


if __name__ == "__main__":
    sys.exit(main("bad-sites", run))
