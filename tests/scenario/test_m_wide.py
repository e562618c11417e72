#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""More members than the complete share graph takes: 130 enrolled by the real commands, the real coordinator, and
all members in one process (crowd.c), each over its own connection of mutual TLS. The graph is drawn, a round gets
its sum, and everybody arrives at the same adapter. RONDO_WIDE: how many members (default 130)."""

import concurrent.futures
import json
import os
import subprocess
import sys

from federation import BIN, LABELS, MODEL, REFUSED, SMALL, TRAIN, Process, Skip
from federation import check, free_port, lines, main, ok, rondo

CROWD = BIN.parent / "tests/crowd"
MEMBERS = int(os.environ.get("RONDO_WIDE", "130"))
SECONDS = 600


class Wide:
    """The sites of a wide federation; what Federation (federation.py) is made of, without a process a member."""

    def __init__(self, directory, members):
        self.directory = directory
        self.operator = directory / "coordinator"
        self.names = [f"site-{place:04}" for place in range(members)]
        directory.mkdir()
        rows = lines(TRAIN)
        (directory / "data.tsv").write_text("\n".join(rows[:9]) + "\n")
        options = {**SMALL, "rounds": 1, "colluding": 2, "losses": 2, "honest": 2, "rank": 1, "targets": "query"}
        ok("init", self.operator, "--federation", "scenario", "--address", f"127.0.0.1:{free_port()}", "--model",
           MODEL, "--members", ",".join(self.names), "--labels", LABELS, "--threads", 1, "--log-format", "json",
           *[str(word) for key, value in options.items() for word in (f"--{key}", value)])  # fmt: skip
        self.coordinator = Process("rondo-coordinator", self.operator)

    def each(self, work):
        """The members act by themselves."""
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(work, self.names))

    def join(self):
        self.each(lambda name: ok(
            "join", self.operator / f"invitations/{name}.invite", "--dir", self.directory / name, "--model", MODEL,
            "--data", self.directory / "data.tsv", "--text", "sentence", "--label", "label", "--threads", 1))  # fmt: skip
        requests = [self.directory / f"{name}/{name}.request" for name in self.names]
        answer = json.loads(ok("invite", self.operator, "--accept", "--format", "json", *requests))
        check(answer["members"] == len(self.names) and answer["complete"], f"accepted: {answer}")
        self.fingerprint = json.loads(ok("member", "list", self.operator, "--format", "json"))["fingerprint"]

    def welcome(self, name):
        return self.operator / f"welcome/{name}.welcome"

    def sign(self):
        self.each(lambda name: ok(
            "join", self.welcome(name), "--dir", self.directory / name, "--sign", "--roster", self.fingerprint))  # fmt: skip
        ok("plan", "sign", self.operator, *[self.directory / f"{name}/{name}.signature" for name in self.names])

    def processes(self):
        return [self.coordinator]

    def report(self):
        print("\n".join(self.coordinator.tail(30)))


def check_commands(fed):
    """What people see of a wide federation, before anything runs."""
    name = fed.names[0]
    code, out, _ = rondo("join", fed.welcome(name), "--dir", fed.directory / name, "--format", "json")
    shown = json.loads(out)
    check(code == REFUSED and len(shown["roster"]["members"]) == MEMBERS, f"join without --roster: {code}")
    check(name not in shown["calls"] and len(set(shown["calls"])) == MEMBERS - 2, f"to call: {len(shown['calls'])}")
    text = ok("plan", "show", fed.operator)
    check("share graph     each shares with" in text and "takes no part in any round of this plan" in text, text)


def check_signed(fed):
    name = fed.names[-1]
    pins = (fed.directory / name / "policy.yaml").read_text()
    check(pins.count("  - name: site-") == MEMBERS, "policy.yaml does not pin every member")
    signed = (fed.operator / "plan.yaml.sigs").read_text().splitlines()
    check(len(signed) == MEMBERS + 3, f"plan.yaml.sigs has {len(signed)} lines")
    welcome = fed.welcome(name).read_text()
    check(welcome.count(" ed25519 ") == MEMBERS + 1 and welcome.count("\ncoordinator ") == 2, "welcome")
    check(f"\n{name} " not in welcome, "the welcome of a wide federation holds members' signatures")
    # At the member's own site they are not, and need not be: its service gets them.
    ok("plan", "check", fed.directory / name)
    report = json.loads(ok("doctor", fed.operator, "--offline", "--format", "json"))
    check(not [row for row in report["findings"] if row["state"] == "failed"], f"doctor: {report}")


def peak(process):
    """Largest resident size so far, in MiB."""
    with open(f"/proc/{process.child.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmHWM"))


def check_round(scenario, fed):
    done = fed.coordinator.gate(event="round.done", round=1)
    fed.coordinator.start()
    crowd = subprocess.Popen([CROWD, fed.directory, str(SECONDS), *fed.names], stdout=subprocess.PIPE, text=True)
    try:
        fed.coordinator.wait_gate(done)
        memory = peak(fed.coordinator)
        fed.coordinator.open_gate(done)
        said = json.loads(crowd.communicate(timeout=SECONDS)[0])
    finally:
        crowd.kill()
    code = fed.coordinator.collect()
    rows = [json.loads(line) for line in (fed.operator / "state/rounds.jsonl").read_text().splitlines()]
    row = next(row for row in rows if row["round"] == 1)
    check(code == 0 and row["outcome"] == "ok" and row["members"] == MEMBERS, f"exit {code}: {row}")
    check([said[key] for key in ("ended", "well", "finals")] == [MEMBERS] * 3, f"the crowd says {said}")
    check(said["hash"] == row["adapter"], f"adapters: {said['hash']} at the members, {row['adapter']} is the sum's")
    scenario.say(f"a round of {MEMBERS} over mutual TLS; the coordinator took {memory} MiB")


def run(scenario):
    if not CROWD.exists():
        raise Skip(f"{CROWD} is not built")
    fed = Wide(scenario.work / "fed", MEMBERS)
    scenario.federations.append(fed)
    fed.join()
    scenario.say(f"{MEMBERS} have joined")
    check_commands(fed)
    fed.sign()
    check_signed(fed)
    scenario.say("and signed")
    check_round(scenario, fed)


if __name__ == "__main__":
    sys.exit(main("wide", run))
