#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The federation's log by the real programs: what the coordinator writes and what each member keeps holds for a verifier
that was written from the standards (tests/parity/verify_log.py), through a coordinator that is killed; every flipped byte
is found; a coordinator that logs what was not, or begins the log anew, is left by its members."""

import pathlib
import shutil
import signal
import sys

from federation import BIN, INCOMPLETE, PEER, ROOT, Skip, check, main

sys.path.insert(0, str(ROOT / "tests/parity"))
import verify_log  # noqa: E402


def look(fed, site, quorum=False):
    return verify_log.verify(fed.directory / site / "state/log", fed.directory / "coordinator/roster", quorum)


def entries_of(fed, site):
    folder = fed.directory / site / "state/log"
    size = int((folder / "checkpoint").read_text(encoding="utf-8").splitlines()[1])
    return [verify_log.json.loads(entry) for entry in verify_log.read_entries(folder, size)[0]]


def killed_and_whole(scenario):
    """Killed at a stage of round 2: nothing is lost, nothing twice."""
    fed = scenario.federation("killed", members=4, rounds=3)
    trap = fed.coordinator.gate(event="stage.enter", round=2, stage="R2")
    fed.start()
    fed.coordinator.kill_at(trap)
    fed.coordinator.start()
    fed.finish()
    fed.check_agreement()
    found = look(fed, "coordinator", quorum=True)
    check(found["jobs"] == 1 and len(found["cosigned"]) >= 3, f"{found}")
    for name in fed.names:
        own = look(fed, name)
        check(own["cosigned"] == [f"rondo/{fed_name(fed)}/{name}"], f"{name}: {own}")
    rounds = {entry["round"]: entry for entry in entries_of(fed, "coordinator") if entry["kind"] == "round"}
    rows = fed.rows()
    check(sorted(rounds) == sorted(rows), f"the log has rounds {sorted(rounds)}, rounds.csv {sorted(rows)}")
    for number, row in rows.items():
        check(rounds[number]["after"].startswith(str(row["adapter"])[:16]), f"round {number}: {rounds[number]}, {row}")
    check(entries_of(fed, "coordinator")[-1]["kind"] in ("end", "witness"), "the job's end is in the log")
    scenario.say(f"killed: {found}")
    return fed


def fed_name(fed):
    return entries_of(fed, "coordinator")[0]["federation"]


def flipped(scenario, fed):
    """One bit of each byte of the checkpoint, and of a byte in every other file that its size names."""
    work = scenario.work / "flipped"
    shutil.copytree(fed.directory / "coordinator/state/log", work)
    roster = fed.directory / "coordinator/roster"
    size = int((work / "checkpoint").read_text(encoding="utf-8").splitlines()[1])
    names = [f"tile/{kind}/{verify_log.path(index)}" + (f".p/{width}" if width < 256 else "")
             for kind, index, width in verify_log.files_of(size)]  # fmt: skip
    places = [(pathlib.Path("checkpoint"), at) for at in range(len((work / "checkpoint").read_bytes()))]
    places += [(pathlib.Path(name), at) for name in names for at in range(0, (work / name).stat().st_size, 7)]
    found = 0
    for name, at in places:
        data = bytearray((work / name).read_bytes())
        data[at] ^= 1
        (work / name).write_bytes(data)
        try:
            verify_log.verify(work, roster, True)
        except (verify_log.Fault, ValueError, KeyError, IndexError):
            found += 1
        data[at] ^= 1
        (work / name).write_bytes(data)
    verify_log.verify(work, roster, True)
    check(found == len(places), f"{found} of {len(places)} flipped bits were found")
    scenario.say(f"flipped: {found} of {len(places)} found")


def said(process):
    return str(process.last_words())


def lies(scenario):
    """Round 2 has one member more in the log than it had: each member leaves, and the log there is as it was."""
    fed = scenario.federation("lies", members=4, rounds=4)
    fed.coordinator.program = BIN.parent / "tests/hostilecoordinator"
    if not fed.coordinator.program.exists():
        raise Skip(f"{fed.coordinator.program} is not built")
    fed.coordinator.environment = {"RONDO_ATTACK": "loglies@2.1"}
    fed.start()
    codes = {name: member.collect() for name, member in fed.trainers.items()}
    check(set(codes.values()) == {PEER}, f"members end with {codes}")
    check(all("says of round 2 what this site did not see" in said(member) for member in fed.trainers.values()),
          f"{[said(member) for member in fed.trainers.values()]}")  # fmt: skip
    fed.coordinator.signal(signal.SIGTERM)
    fed.coordinator.signal(signal.SIGTERM)
    fed.coordinator.collect()
    scenario.say(f"lies: {said(fed.trainers['north'])}")


def begun_anew(scenario):
    """The coordinator's log is gone in the middle of the job: what its members have more of, it does not know, and
    with the folder of one of them it goes on."""
    fed = scenario.federation("anew", members=4, rounds=4)
    trap = fed.coordinator.gate(event="stage.enter", round=3, stage="R2")
    fed.start()
    fed.coordinator.kill_at(trap)
    shutil.rmtree(fed.directory / "coordinator/state/log")
    fed.coordinator.start()
    code = fed.coordinator.collect()
    check(code == INCOMPLETE and "entries of the log" in said(fed.coordinator), f"exit {code}: {said(fed.coordinator)}")
    scenario.say(f"begun anew: {said(fed.coordinator)[:200]}")
    shutil.rmtree(fed.directory / "coordinator/state/log")
    shutil.copytree(fed.directory / "north/state/log", fed.directory / "coordinator/state/log")
    fed.coordinator.start()
    fed.finish()
    fed.check_agreement()
    scenario.say(f"with a member's copy it goes on: {look(fed, 'coordinator', quorum=True)}")


def run(scenario):
    fed = killed_and_whole(scenario)
    flipped(scenario, fed)
    begun_anew(scenario)
    lies(scenario)


if __name__ == "__main__":
    sys.exit(main("log", run))
