#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`rondo simulate` is the services without masks: of one plan, and the same file for each member, both make the same
adapter, byte for byte, after every round. Coordinator and trainers are the real programs over real mutual TLS, but for
the key of the members' rounding, which is secret in a service and known here (seededmember.c). With the real trainer
the adapters must differ, by the roundings and what later rounds make of them."""

import json
import re
import struct
import subprocess
import sys
import time

from federation import BIN, DEV, LIMIT, MODEL, ROOT, TRAIN, USAGE, Skip, check, main, ok, refused, tensors

SEEDED = BIN.parent / "tests/seededmember"
SEED = 4711


def members(fed):
    """Names in the order of the roster."""
    listed = json.loads(ok("member", "list", fed.directory / "coordinator", "--format", "json"))["members"]
    return [row["name"] for row in listed]


def command_of(fed, out):
    files = [fed.directory / f"{name}.tsv" for name in members(fed)]
    return [BIN / "rondo", "simulate", fed.directory / "coordinator/plan.yaml", *files, "--partition", "files", "--out",
            out, "--model", MODEL, "--text", "sentence", "--label", "label", "--format", "json"]  # fmt: skip


def simulate(fed, out, *options):
    return json.loads(ok(*command_of(fed, out)[1:], *options))


def hashes(out):
    rows = [line.split(",") for line in (out / "rounds.csv").read_text().splitlines()]
    return {int(row[0]): row[rows[0].index("adapter_hash")] for row in rows[1:]}


def serve(fed, seeded):
    for place, name in enumerate(members(fed)):
        if seeded:
            fed.trainers[name].program = SEEDED
            fed.trainers[name].environment = {"RONDO_TEST_PLACE": str(place), "RONDO_TEST_SEED": str(SEED)}
    fed.start()
    fed.finish()
    fed.check_agreement()


def check_equal(scenario, fed, out, said):
    """Round by round, and the files at the end."""
    rows = fed.rows()
    check(hashes(out) == {number: row["adapter"] for number, row in rows.items()}, f"rounds differ: {hashes(out)} {rows}")
    check(said["adapter_hash"] == rows[fed.rounds]["adapter"] and said["clients"] == len(fed.names), f"{said}")
    for row in rows.values():
        check(row["outcome"] == "ok" and row["members"] == len(fed.names), f"{row}")
    served = fed.directory / "coordinator/state/adapters/final"
    file = "adapter_model.safetensors"
    check((out / "adapter" / file).read_bytes() == (served / file).read_bytes(), f"{file} differs")
    scenario.say(f"{fed.directory.name}: {fed.rounds} rounds, the same adapter {said['adapter_hash'][:16]}")


def largest_difference(one, other):
    worst = 0.0
    for name, (_, _, raw) in one.items():
        values = zip(struct.unpack(f"<{len(raw) // 4}f", raw), struct.unpack(f"<{len(raw) // 4}f", other[name][2]))
        worst = max(worst, max(abs(a - b) for a, b in values))
    return worst


def equal(scenario, name, **options):
    fed = scenario.federation(name, seed=SEED, **options)
    out = fed.directory / "simulated"
    said = simulate(fed, out)
    serve(fed, True)
    check_equal(scenario, fed, out, said)
    return fed, out


def check_resumed(scenario, fed, out):
    """Killed after a round, whichever it was: the same adapter in the end."""
    again = fed.directory / "killed"
    command = command_of(fed, again)
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + LIMIT
    while child.poll() is None and not (again / "rounds.csv").exists() and time.monotonic() < end:
        time.sleep(0.01)
    child.kill()
    child.wait()
    before = len(hashes(again))
    said = simulate(fed, again, "--resume")
    check(hashes(again) == hashes(out) and said["rounds"] == fed.rounds, f"killed after round {before}: {said}")
    refused(USAGE, "was begun with another plan", *command[1:], "--resume", "--seed", "2")
    refused(USAGE, "holds files already", *command[1:])
    scenario.say(f"killed after round {before} of {fed.rounds}, and the same adapter")


STUDY = ROOT / "tests/bench/papers/smoke.yaml"
SMALL = {"client_rounds": "3", "steps": "1", "methods": "[rolora]", "clients": "[3]", "seeds": "[1, 2]"}


def check_study(scenario):
    """A grid of one cell, two rates and two seeds; what is over is not run again, and the page is the same."""
    yaml = STUDY.read_text()
    for key, value in {**SMALL, "model": MODEL, "train": TRAIN, "test": DEV}.items():
        yaml, count = re.subn(rf"^( *{key}:) .*$", rf"\1 {value}", yaml, flags=re.M)
        check(count == 1, f"smoke.yaml holds {key} {count} times")
    file, out = scenario.work / "study.yaml", scenario.work / "study"
    file.write_text(yaml)
    said = json.loads(ok("simulate", "study", file, "--out", out, "--format", "json"))
    page = (out / "report.md").read_text()
    check(said["runs"] == 4 and said["cells"] == 1 and len(list((out / "runs").iterdir())) == 4, f"{said}")
    tried = {path.name: json.loads((path / "result.json").read_text())["value"] for path in (out / "runs").iterdir()}
    rate = max((0, 1), key=lambda number: tried[f"cell-000-try-{number}-1"])
    check({f"cell-000-test-{rate}-1", f"cell-000-test-{rate}-2"} <= set(tried), f"the chosen rate is {rate}: {tried}")
    (out / f"runs/cell-000-test-{rate}-2/result.json").unlink()
    ok("simulate", "study", file, "--out", out, "--quiet")
    check((out / "report.md").read_text() == page, "the page is another one after a stop")
    file.write_text(yaml.replace("batch: 16", "batch: 8"))
    refused(USAGE, "is of another study", "simulate", "study", file, "--out", out)
    scenario.say("a study of four runs")


def run(scenario):
    if not SEEDED.exists():
        raise Skip(f"{SEEDED} is not built")
    fed, out = equal(scenario, "rolora", rounds=3)
    masked = simulate(fed, fed.directory / "masked", "--secagg", "on")
    check(hashes(fed.directory / "masked") == hashes(out), f"with secure aggregation: {masked}")
    equal(scenario, "weighted", rounds=2, members=4, method="fedavg-lora", head="local", weights="examples", max_examples=100)
    fed.reset()
    serve(fed, False)
    step = float(fed.options.get("scale", 0.125)) / (2**15 - 1)
    worst = largest_difference(tensors(out / "adapter"), fed.adapter("coordinator"))
    check(0 < worst, "members that round in secret gave the simulation's bytes")
    scenario.say(f"with secret roundings the largest difference is {worst / step:.2f} steps")
    check(simulate(fed, fed.directory / "judged", "--dev", DEV)["value"] > 0, "nothing was judged")
    check_resumed(scenario, fed, out)
    check_study(scenario)


if __name__ == "__main__":
    sys.exit(main("simulated", run))
