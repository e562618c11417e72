#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long the event loops of a real federation are ever kept from their work, at a vector of ten million elements,
ten members, and a coordinator whose every fsync takes two seconds.

    RONDO_BIN=build/release/bin python3 tests/bench/loop_pause.py [--members 10] [--layers 10] [--rounds 1] [--fsync 2] \
        [--upload-memory 64M]

The model is the embedded one with its layers repeated, rank 512 on every linear module, both matrices trained
(fedavg-lora), one step of batch 1. The vector grows with --layers: 2^20 elements each. Prints one JSON object: the upload
as `rondo plan check` foresees it, members, seconds of an fsync, the longest pause of the coordinator and of each member in
milliseconds, the seconds from the start of the processes to their end, the rows of rounds.jsonl, and the peak memory of
coordinator and largest member in MiB. --upload-memory: what the coordinator holds of uploads in memory
(limits.upload_memory of its site.yaml).
Pauses are by the wall clock: a loop that has to wait for a core counts as paused. Members have machines of their own in
a federation, so here they run at the lowest priority, and their own pauses say more about the machine than about them.
Ten members at ten million elements take about 8 GiB of memory and some minutes on two cores.
"""

import argparse
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenario"))
import federation
from federation import BIN, MODEL, check, main, ok, slow_fsync

federation.LIMIT = 7200
RANK = 512
SLOW = {"train-soft": 3600, "train-hard": 7200, "stage-soft": 1800, "stage-hard": 3600}


def deeper(directory, layers):
    """The embedded model with its layers repeated until there are this many."""
    shutil.copytree(MODEL, directory)
    raw = (MODEL / "model.safetensors").read_bytes()
    size = struct.unpack_from("<Q", raw)[0]
    header = {name: entry for name, entry in json.loads(raw[8 : 8 + size]).items() if name != "__metadata__"}
    config = json.loads((MODEL / "config.json").read_text())
    own = config["num_hidden_layers"]
    wanted = {name: name for name in header if "encoder.layer." not in name}
    for layer in range(layers):
        part = f"encoder.layer.{layer % own}."
        wanted |= {name.replace(part, f"encoder.layer.{layer}."): name for name in header if part in name}
    entries, data = {}, bytearray()
    for name, source in wanted.items():
        begin, end = header[source]["data_offsets"]
        entries[name] = {**header[source], "data_offsets": [len(data), len(data) + end - begin]}
        data += raw[8 + size + begin : 8 + size + end]
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    (directory / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (directory / "config.json").write_text(json.dumps({**config, "num_hidden_layers": layers}))
    return directory


class Watch:
    """The last status and the peak memory of one process, asked while it runs."""

    def __init__(self, process):
        self.process = process
        self.pause_ms = self.peak_kib = 0

    def look(self):
        done = subprocess.run([BIN / "rondo", "status", self.process.directory, "--format", "json"],
                              capture_output=True, text=True, timeout=60)  # fmt: skip
        if done.returncode == 0:
            self.pause_ms = json.loads(done.stdout)["loop_pause_max_ms"]
        try:
            text = pathlib.Path(f"/proc/{self.process.child.pid}/status").read_text()
        except OSError:
            return
        peak = [int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM")]
        self.peak_kib = max([self.peak_kib, *peak])


def upload_memory(fed, limit):
    """Writes limits.upload_memory into the coordinator's site.yaml."""
    site = fed.directory / "coordinator/site.yaml"
    site.write_text(site.read_text() + f"limits:\n  upload_memory: {limit}\n")


def run(scenario, options):
    model = deeper(scenario.work / "model", options.layers)
    fed = scenario.federation(
        "pause", members=options.members, rounds=options.rounds, examples=4, model=model, method="fedavg-lora",
        targets="all-linear", rank=RANK, alpha=RANK, batch=1, steps=1, **SLOW)  # fmt: skip
    if options.fsync > 0:
        fed.coordinator.environment = slow_fsync(fed.directory, options.fsync)
    if options.upload_memory:
        upload_memory(fed, options.upload_memory)
    plan = json.loads(ok("plan", "check", fed.directory / "coordinator", "--format", "json"))
    began = time.monotonic()
    fed.coordinator.start()
    os.nice(19)
    for trainer in fed.trainers.values():
        trainer.start()
    watches = [Watch(process) for process in fed.processes()]
    while any(process.child.poll() is None for process in fed.processes()):
        for watch in watches:
            watch.look()
        time.sleep(1)
    fed.finish()
    took = time.monotonic() - began
    fed.check_agreement()
    rows = fed.rows()
    check(all(row["outcome"] == "ok" for row in rows.values()), "a round has no sum")
    members = watches[1:]
    print(json.dumps({
        "upload": plan.get("upload"), "members": options.members, "fsync_s": options.fsync,
        "coordinator_pause_ms": watches[0].pause_ms, "member_pause_ms": [watch.pause_ms for watch in members],
        "seconds": round(took, 1), "rounds": list(rows.values()),
        "coordinator_peak_mib": watches[0].peak_kib // 1024,
        "member_peak_mib": max(watch.peak_kib for watch in members) // 1024,
    }))  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--fsync", type=int, default=2)
    parser.add_argument("--upload-memory", help="limits.upload_memory of the coordinator: 64M")
    asked = parser.parse_args()
    sys.exit(main("loop-pause", lambda scenario: run(scenario, asked)))
