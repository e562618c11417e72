#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""case 31. One enrolled member floods its coordinator over real mutual TLS (floodingmember.c): the
others' rounds end well all the same, the coordinator's memory and log stay small, and `rondo status`
answers in the middle of it."""

import json
import subprocess
import sys
import threading
import time

from federation import BIN, Skip, check, main, ok

FLOOD = BIN.parent / "tests/floodingmember"
# Of one member: 6 to 60 lines of a kind a minute (services/federation/jobevent.c), a handful of kinds.
LINES_A_MINUTE = 200
MEBIBYTES = 700


class Flood:
    """The program, and what kinds of streams it has had so far."""

    def __init__(self, fed, name):
        self.child = subprocess.Popen(
            [FLOOD, fed.directory / name, f"127.0.0.1:{fed.port}", "scenario"], stdout=subprocess.PIPE, text=True
        )
        self.manners = set()
        self.changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            with self.changed:
                self.manners.add(line.strip())
                self.changed.notify_all()

    def wait_for_all(self):
        with self.changed:
            good = self.changed.wait_for(lambda: len(self.manners) == 4, 120)
        check(good, f"only {self.manners} got a stream")

    def end(self):
        check(self.child.poll() is None, "the flood ended by itself")
        self.child.kill()
        self.child.wait()


def memory(process):
    """Largest resident size so far, in MiB."""
    with open(f"/proc/{process.child.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmHWM"))


def run(scenario):
    if not FLOOD.exists():
        raise Skip(f"{FLOOD} is not built")
    # A member that is here and never gets ready is waited for until the soft time-out, as any slow one.
    fed = scenario.federation(members=4, rounds=2, train_soft=10)
    others = [process for name, process in fed.trainers.items() if name != "west"]
    first = fed.coordinator.gate(event="round.begin", round=1)
    last = fed.coordinator.gate(event="round.done", round=2)
    fed.coordinator.start()
    flood = Flood(fed, "west")
    flood.wait_for_all()
    for process in others:
        process.start()
    fed.coordinator.wait_gate(first)
    fed.coordinator.open_gate(first)
    fed.coordinator.wait_gate(last)
    peak = memory(fed.coordinator)
    fed.coordinator.open_gate(last)
    status = json.loads(ok("status", fed.directory / "coordinator", "--format", "json"))
    flood.end()
    fed.finish()
    rows = fed.rows()
    check([(row["outcome"], row["members"]) for row in rows.values()] == [("ok", 3)] * 2, f"{rows}")
    lines = [event for event in fed.coordinator.events if event.get("member") == "west"]
    minutes = 1 + int(time.monotonic() - scenario.began) // 60
    check(len(lines) <= LINES_A_MINUTE * minutes, f"{len(lines)} lines about west in {minutes} minutes")
    check(peak < MEBIBYTES, f"the coordinator took {peak} MiB")
    scenario.say(f"two rounds of three under a flood: {peak} MiB, {len(lines)} lines, round {status['round']}")


if __name__ == "__main__":
    sys.exit(main("flood", run))
