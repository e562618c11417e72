#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trouble around a running job: the coordinator is gone for a while (frozen, then killed), a second
process with a member's identity, a full disk. The job goes on when the trouble is over.
RONDO_LONG: gone for a minute instead of seconds."""

import os
import shutil
import signal
import subprocess
import sys
import time

from federation import IO, LONG, Process, Skip, check, main

AWAY = 60 if LONG else 8


def all_good(fed, rounds):
    fed.finish()
    rows = fed.rows()
    check([row["outcome"] for row in rows.values()] == ["ok"] * rounds, f"{rows}")
    check(all(row["members"] == len(fed.names) for row in rows.values()), f"{rows}")
    fed.check_agreement()


def coordinator_gone(scenario):
    """Frozen in round 1 (its connections stay open), killed in round 2 (they break)."""
    fed = scenario.federation("gone", members=3, rounds=3)
    frozen = fed.coordinator.gate(event="stage.enter", round=1, stage="R2")
    killed = fed.coordinator.gate(event="stage.enter", round=2, stage="R2")
    fed.start()
    fed.coordinator.wait_gate(frozen)
    fed.coordinator.signal(signal.SIGSTOP)
    fed.coordinator.open_gate(frozen)
    time.sleep(AWAY)
    check(all(trainer.child.poll() is None for trainer in fed.trainers.values()), "a trainer gave up")
    fed.coordinator.signal(signal.SIGCONT)
    fed.coordinator.kill_at(killed)
    time.sleep(AWAY)
    check(all(trainer.child.poll() is None for trainer in fed.trainers.values()), "a trainer gave up")
    fed.coordinator.start()
    all_good(fed, 3)
    scenario.say(f"coordinator frozen for {AWAY} s and killed for {AWAY} s: everybody waited, the job is done")


def second_identity(scenario):
    """A copy of a member's site, started elsewhere, is turned away; the first notices nothing."""
    fed = scenario.federation("twin", members=3, rounds=2)
    east = fed.trainers["east"]
    begun = east.gate(event="train.begin", round=1)
    fed.start()
    east.wait_gate(begun)
    copy = scenario.work / "copy-of-north"
    shutil.copytree(fed.directory / "north", copy, ignore=shutil.ignore_patterns("state"))
    (copy / "state").mkdir(mode=0o700)
    second = Process("rondo-trainer", copy).start()
    try:
        second.wait_for(event="identity.connected-already")
        refusal = fed.coordinator.wait_for(event="member.refused", member="north")
    finally:
        second.kill()
    east.open_gate(begun)
    all_good(fed, 2)
    check(fed.coordinator.find(event="member.lost", member="north") is None, "the first was disturbed")
    check(fed.trainers["north"].find(event="coordinator.lost") is None, "the first was disturbed")
    scenario.say(f"second process with one identity: refused ({refusal['detail']}), the first undisturbed")


class SmallDisk:
    """A file system of eight MiB at `path`, for root on a machine that lets it mount."""

    def __init__(self, path):
        self.path = path
        path.mkdir(exist_ok=True)
        if os.geteuid() != 0 or shutil.which("mount") is None:
            raise Skip("a full disk needs root and mount")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", path], capture_output=True)
        if done.returncode != 0:
            raise Skip(f"mount: {done.stderr.decode().strip()}")

    def fill(self):
        with open(self.path / "ballast", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    def free(self):
        (self.path / "ballast").unlink()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.path], check=False)


def full_disk(scenario, who):
    """The disk is full at a stage whose record must be durable: the service stops before it acts on
    what it could not write, and goes on when there is room again."""
    fed = scenario.federation(f"full-{who}", members=3, rounds=2)
    process = fed.coordinator if who == "coordinator" else fed.trainers[who]
    with SmallDisk(process.directory / "state") as disk:
        full = process.gate(event="stage.enter", round=1, stage="R1")
        fed.start()
        process.wait_gate(full)
        disk.fill()
        process.open_gate(full)
        code = process.collect()
        said = [event["text"] for event in process.events if event.get("event") == "text"]
        check(code == IO and said, f"{process.name}: exit {code}, not {IO}: {said}")
        scenario.say(f"full disk at {who}: exit {code}: {said[-1]}")
        disk.free()
        process.start()
        all_good(fed, 2)
        scenario.say(f"full disk at {who}: started again with room, the job is done")


def run(scenario):
    second_identity(scenario)
    coordinator_gone(scenario)
    try:
        for who in ("north", "coordinator"):
            full_disk(scenario, who)
    except Skip as reason:
        scenario.say(f"full disk: left out: {reason}")


if __name__ == "__main__":
    sys.exit(main("trouble", run))
