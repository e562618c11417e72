#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A blind job by the real programs: four members and a coordinator, of which the coordinator is killed while it unmasks, one
member while it uploads, and one comes late. Every member publishes the same adapter; the coordinator has its hash in its
records, and nothing of it in its directory or, where this machine lets one look, in its memory."""

import json
import re
import sys

from federation import CONFIG, LABELS, MODEL, check, edit, main, ok, refused, rondo

PIECE = 32  # bytes of a tensor that are searched for: eight values


def pieces(fed):
    """Bytes from all over the final adapter; every matrix of it was trained."""
    all_pieces = []
    for _, _, data in fed.adapter("north").values():
        step = max(PIECE, len(data) // 8 // 4 * 4)
        all_pieces += [data[at:at + PIECE] for at in range(0, len(data) - PIECE + 1, step)]
    return [piece for piece in all_pieces if len(set(piece)) > 8]


def files_with(directory, wanted):
    """Files below the directory that hold one of these pieces."""
    held = []
    for path in directory.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if any(piece in data for piece in wanted):
                held.append(str(path.relative_to(directory)))
    return held


# More than the program ever holds: beyond it is the shadow of a sanitizer, terabytes of address space.
MAPPED_MAX = 1 << 30


def memory_with(process, wanted):
    """How many pieces the process's writable memory holds; None where it may not be read."""
    found = set()
    try:
        maps = open(f"/proc/{process.child.pid}/maps").read()
        with open(f"/proc/{process.child.pid}/mem", "rb", 0) as memory:
            for begin, end in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) rw", maps, re.M):
                if int(end, 16) - int(begin, 16) > MAPPED_MAX:
                    continue
                try:
                    memory.seek(int(begin, 16))
                    data = memory.read(int(end, 16) - int(begin, 16))
                except (OSError, ValueError):
                    continue  # a guard page, or memory of the kernel's
                found |= {piece for piece in wanted if piece in data}
    except OSError:
        return None
    return len(found)


def trouble(scenario, fed):
    coordinator, south, east = fed.coordinator, fed.trainers["south"], fed.trainers["east"]
    unmasks = coordinator.gate(event="stage.enter", round=2, stage="R4")
    uploads = south.gate(event="stage.enter", round=3, stage="R2")
    trains = east.gate(event="round.begin", round=4)
    coordinator.options = ["--stay"]
    fed.start()
    coordinator.kill_at(unmasks)
    coordinator.start()
    scenario.say("the coordinator was killed while it unmasked round 2, and started again")
    south.kill_at(uploads)
    south.start()
    scenario.say("south was killed while it uploaded in round 3, and started again")
    east.kill_at(trains)
    coordinator.wait_for(event="stage.enter", round=4, stage="R1")
    east.start()
    scenario.say("east was away when round 4 began, and came back")


def check_status(fed):
    code, text, _ = rondo("status", fed.directory / "coordinator")
    check(code == 0 and "blind: members hold the adapter" in text, f"rondo status: {text}")
    status = json.loads(ok("status", fed.directory / "coordinator", "--format", "json"))
    check(status["blind"] is True, "status does not say that it is blind")
    return status


def check_rows(fed):
    rows = fed.rows()
    check(sorted(rows) == list(range(1, fed.rounds + 1)), f"rounds {sorted(rows)}")
    for number, row in rows.items():
        check(row["outcome"] == "ok", f"round {number}: {row}")
        told = [key for key in ("loss", "accuracy", "dev_loss", "start_metric", "start_dev_loss")
                if row.get(key) is not None]  # fmt: skip
        check(not told, f"round {number}: the coordinator tells {told}")
    for process in fed.trainers.values():
        hashes = {event["round"]: event["hash"] for event in process.events if event.get("event") == "round.done"}
        for number, found in hashes.items():
            check(found == rows[number]["adapter"], f"{process.name}: round {number} is another adapter")
        check(not any(str(event.get("event")).startswith("alarm.") for event in process.events), process.tail())


def check_adapters(fed):
    """All members', byte for byte; nothing at the coordinator."""
    finals = {name: fed.directory / name / "state/adapters/final/adapter_model.safetensors" for name in fed.names}
    first = finals["north"].read_bytes()
    for name, path in finals.items():
        check(path.read_bytes() == first, f"{name} published another adapter")
    adapters = fed.directory / "coordinator/state/adapters"
    check(not adapters.exists() or not list(adapters.iterdir()), "the coordinator published an adapter")


def check_blindness(scenario, fed):
    wanted = pieces(fed)
    check(len(wanted) > 10, f"only {len(wanted)} pieces to search for")
    held = files_with(fed.directory / "coordinator", wanted)
    check(not held, f"the coordinator has bytes of the adapter in {held}")
    check(files_with(fed.directory / "south", wanted), "the search finds nothing at a member either")
    found = memory_with(fed.coordinator, wanted)
    check(found in (None, 0), f"the coordinator's memory holds {found} pieces of the adapter")
    scenario.say(f"{len(wanted)} pieces of the adapter: none in the coordinator's files; in its memory: {found}")


def open_control(scenario):
    """The same search finds them at an open coordinator."""
    fed = scenario.federation("open", members=3, rounds=2)
    fed.coordinator.options = ["--stay"]
    fed.start()
    for process in fed.trainers.values():
        check(process.collect() == 0, f"{process.name}: {process.tail()}")
    fed.coordinator.wait_for(event="service.stay")
    wanted = pieces(fed)
    check(files_with(fed.directory / "coordinator", wanted), "the search finds nothing in an open coordinator's files")
    found = memory_with(fed.coordinator, wanted)
    scenario.say(f"at an open coordinator the search finds them, {found} of {len(wanted)} in its memory")


def refusals(scenario):
    operator = scenario.work / "operator"
    more = ("--federation", "scenario", "--address", "127.0.0.1:1", "--model", MODEL, "--labels", LABELS,
            "--members", "north,south,east")  # fmt: skip
    refused(CONFIG, "not with coordinator: blind", "init", operator, *more, "--coordinator", "blind",
            "--metrics", "summed", "--evaluation")  # fmt: skip
    ok("init", operator, *more, "--coordinator", "blind")
    shown = ok("plan", "show", operator)
    check("members alone see sums and the adapter" in shown, f"plan show does not say what blind means: {shown}")
    refused(CONFIG, "seals the group key of a blind plan", "init", scenario.work / "half", *more, "--kem", "hybrid")


def hybrid(scenario):
    """A whole job where the build can; elsewhere it says what it takes."""
    operator = scenario.work / "operator"
    edit(operator / "plan.yaml", "kem: none", "kem: hybrid")
    code, _, errors = rondo("plan", "check", operator)
    if code == CONFIG and "libsodium" in errors:
        check("needs a Rondo built with libsodium 1.0.22 or later" in errors, f"it does not say what it needs: {errors}")
        check(re.search(r"this build has libsodium \d", errors), f"it does not say which one it has: {errors}")
        return
    check("ML-KEM-768" in ok("plan", "show", operator), "plan show does not say what hybrid means")
    fed = scenario.federation("hybrid", members=3, rounds=2, coordinator="blind", kem="hybrid")
    fed.start()
    for process in [*fed.trainers.values(), fed.coordinator]:
        check(process.collect() == 0, f"{process.name}: {process.tail()}")
    head = (fed.directory / "north/plan.yaml.sigs").read_text().splitlines()[0]
    check(head == "rondo-signatures 3", f"the signatures are not those of a hybrid plan: {head}")
    check_adapters(fed)


def run(scenario):
    fed = scenario.federation("blind", members=4, rounds=5, coordinator="blind")
    trouble(scenario, fed)
    for process in fed.trainers.values():
        check(process.collect() == 0, f"{process.name}: {process.tail()}")
    fed.coordinator.wait_for(event="service.stay")
    status = check_status(fed)
    check_rows(fed)
    check(status["adapter"] == fed.rows()[fed.rounds]["adapter"], "status names another adapter")
    check_adapters(fed)
    check_blindness(scenario, fed)
    open_control(scenario)
    refusals(scenario)
    hybrid(scenario)


if __name__ == "__main__":
    sys.exit(main("blind", run))
