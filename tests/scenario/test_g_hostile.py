#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real programs with one that attacks among them: a hostile coordinator (hostilecoordinator.c) against six
real trainers, and a hostile member (hostilemember.c) among five with a real coordinator. In each job one attack
strikes in each session; looked at is what the honest ones say and do, that the attack got nothing, that no adapter
moved that should not, and that the job went on.

One attack by hand: set up a federation as the README does, with six members, and start one of its services as

    RONDO_ATTACK="faces@2.1" build/release/tests/hostilecoordinator coordinator
    RONDO_ATTACK="garbage@1.1" build/release/tests/hostilemember north

NAME@ROUND.ATTEMPT; the attacks are named at the head of the two files. Members that an operator invents are in
test_a_enrolment.py, floods by a member in test_g_flood.py. Under a sanitizer it is the same, slower, and with room for
what was freed in the bound on memory."""

import json
import os
import shutil
import sys
import time

from federation import (BIN, DATA, INCOMPLETE, LIMIT, REFUSED, Process, Skip, check, edit, main, matrices, ok)  # fmt: skip

PROGRAMS = BIN.parent / "tests"
# Of one member in the flood: 6 or 12 lines of a kind a minute (services/federation/jobevent.c), a handful of kinds.
LINES_A_MINUTE = 60
# By which a member may grow while it is sent 160 MiB and reads none of it: 64 MiB are its inbox
# (services/host/executor.h), the rest the transport's; under a sanitizer also what was freed.
MEBIBYTES = 400 if os.environ.get("RONDO_SANITIZED") else 96


def make_hostile(process, *attacks):
    process.program = PROGRAMS / ("hostilecoordinator" if process.name == "coordinator" else "hostilemember")
    if not process.program.exists():
        raise Skip(f"{process.program} is not built")
    process.environment = {"RONDO_ATTACK": " ".join(attacks)}


def check_struck(process):
    """No attack has got what it was made for, and every one has struck in its session."""
    found = {"won": [], "struck": []}
    for event in process.events:
        program, _, what = str(event.get("event")).partition(".")
        if program == "hostile" and what in found:
            found[what].append(f"{event['attack']}@{event['round']}.{event['attempt']}")
    check(not found["won"], f"succeeded: {found['won']}")
    ordered = process.environment["RONDO_ATTACK"].split()
    check(sorted(found["struck"]) == sorted(ordered), f"{found['struck']} struck, ordered were {ordered}")


def said(process, **fields):
    return [event for event in process.events if all(event.get(key) == value for key, value in fields.items())]


def details(process, number):
    """Why it refused messages of this round."""
    return [event["detail"] for event in said(process, event="message.refused", round=number)]


def status(directory):
    return json.loads(ok("status", directory, "--format", "json"))


def until(condition, what):
    end = time.monotonic() + LIMIT
    while not condition():
        check(time.monotonic() < end, f"not in {LIMIT} s: {what}")
        time.sleep(0.1)


def stages(process, number, attempt=1):
    return [event["stage"] for event in said(process, event="stage.enter", round=number, attempt=attempt)]


def outcomes(fed):
    return [(row["outcome"], row["attempt"], row["members"]) for _, row in sorted(fed.rows().items())]


def memory(process):
    """Largest resident size so far, in MiB."""
    with open(f"/proc/{process.child.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmHWM"))


# ---- A hostile coordinator


def small_cohorts(fed):
    """Round 1: three of six, then two times three with one session id. Four are the floor."""
    for place, member in enumerate(fed.trainers.values()):
        offered = {1: ["R0", "aborted"] if place < 3 else [], 2: ["R0", "aborted"]}
        seen = {attempt: stages(member, 1, attempt) for attempt in offered}
        check(seen == offered, f"{member.name} went beyond Ready: {seen}")
        check(set(details(member, 1)) == {"ready set: 3 members are below 4"}, f"{details(member, 1)}")
        check(len(said(member, event="round.done", round=1)) == 1, f"{member.name}: round 1 is done once")


def two_faces(fed):
    """Round 2: half of the members are shown other survivors, and each half a certificate of its three votes."""
    for member in fed.trainers.values():
        check(stages(member, 2) == ["R0", "R1", "R1-acks", "R2", "R3", "aborted"], f"{stages(member, 2)}")
        expected = ["certificate: 3 votes, 4 are needed", "certificate: over other survivors"]
        check(sorted(set(details(member, 2))) == expected, f"{member.name}: {details(member, 2)}")
        over = said(member, event="round.aborted", round=2)
        check([event["detail"] for event in over] == ["not certified"], f"{member.name}: {over}")
        check(not said(member, event="round.done", round=2), f"{member.name} took a sum of round 2")
    rows = fed.rows()
    check(rows[2]["adapter"] == rows[1]["adapter"], "the adapter moved in a round without a sum")
    before, after = (fed.adapter("coordinator", name) for name in ("round-0001", "round-0003"))
    check(matrices(before, "A") == matrices(after, "A"), "A moved in round 2, which had no sum")
    check(matrices(before, "B") != matrices(after, "B"), "B did not move in round 3")


def flooded(scenario, fed, grown):
    """Round 4: thousands of messages from the moment a member was ready. North does not read one of them for the
    whole of it, the others read all."""
    minutes = 1 + int(time.monotonic() - scenario.began) // 60
    for member in fed.trainers.values():
        lines = [event for event in member.events if event.get("event") in ("message.refused", "round.refused")]
        check(len(lines) <= LINES_A_MINUTE * minutes, f"{member.name}: {len(lines)} lines in {minutes} minutes")
        check(any(event["round"] == 4 for event in lines), f"{member.name} refused nothing in round 4")
        check(grown[member.name] < MEBIBYTES, f"{member.name} grew by {grown[member.name]} MiB")


def look_at_evidence(fed, standing):
    """Whom every member's status accuses, while the coordinator stands."""
    fed.coordinator.wait_gate(standing)
    for name, member in fed.trainers.items():
        member.wait_for(event="alarm.evidence", round=2)
        until(lambda name=name: status(fed.directory / name)["evidence"] is not None, f"{name} shows its evidence")
        against = status(fed.directory / name)["evidence"]["against"]
        check(against == ["coordinator"], f"{name} accuses {against}")
        check("against   coordinator" in ok("status", fed.directory / name), "the text form says it too")
    fed.coordinator.open_gate(standing)


def gates_of_flood(fed):
    """South trains as long as the flood goes on; north stops at its first refusal, the line after train.done."""
    members = fed.trainers
    return (members["south"].gate(event="train.begin", round=4), members["north"].gate(event="train.done", round=4),
            {name: member.gate(event="round.done", round=4) for name, member in members.items()})  # fmt: skip


def look_at_flood(fed, training, asleep, summed):
    """The members' growth in MiB while the flood goes on, and to the end of the round."""
    members = fed.trainers
    members["south"].wait_gate(training)
    members["north"].wait_gate(asleep)
    before = {name: memory(member) for name, member in members.items()}
    fed.coordinator.wait_for(event="hostile.flooded")
    peaks = {name: memory(member) for name, member in members.items()}
    members["north"].open_gate(asleep)
    members["south"].open_gate(training)
    for name, gate in summed.items():
        members[name].wait_gate(gate)
        peaks[name] = max(peaks[name], memory(members[name]))
        members[name].open_gate(gate)
    return {name: peak - before[name] for name, peak in peaks.items()}


def hostile_coordinator(scenario):
    fed = scenario.federation("coordinator", members=6, rounds=4, attempts=3, head="local")
    make_hostile(fed.coordinator, "shrink@1.1", "split@1.2", "faces@2.1", "flood@4.1")
    gates = gates_of_flood(fed)
    standing = fed.coordinator.gate(event="stage.enter", round=2, stage="aborting")
    fed.start()
    look_at_evidence(fed, standing)
    grown = look_at_flood(fed, *gates)
    fed.finish()
    check_struck(fed.coordinator)
    check(outcomes(fed) == [("ok", 3, 6), ("round-aborted", 1, 0), ("ok", 1, 6), ("ok", 1, 6)], f"{outcomes(fed)}")
    small_cohorts(fed)
    two_faces(fed)
    flooded(scenario, fed, grown)
    fed.check_agreement(alarms=["alarm.evidence"])
    scenario.say(f"shrunk, split, two-faced, flooded: the job went on; the flood took {max(grown.values())} MiB")
    return fed


def has_receipts(fed, names):
    shown = status(fed.directory / "coordinator")
    return shown["stage"] == "R5" and all(not row["missing"] for row in shown["members"] if row["name"] in names)


def false_sum(scenario, attack, right):
    """Round 1 is announced with one element changed, to all or to all but `right`: who is shown it sees it by the
    uploads and holds a document against the coordinator; nobody takes an adapter from it."""
    fed = scenario.federation(attack, members=4, rounds=2, head="local")
    enough = scenario.work / f"{attack}-looked-at"
    make_hostile(fed.coordinator, f"{attack}@1.1")
    fed.coordinator.environment["RONDO_ATTACK_UNTIL"] = str(enough)
    fed.start()
    for name, member in fed.trainers.items():
        if name in right:
            continue
        over = member.wait_for(event="round.aborted", round=1)
        check(over["reason"] == "sum-forged" and over["detail"] == "not certified", f"{name}: {over}")
        check(member.find(event="alarm.evidence", round=1), f"{name} holds no evidence")
        until(lambda name=name: status(fed.directory / name)["evidence"] is not None, f"{name} shows its evidence")
        against = status(fed.directory / name)["evidence"]["against"]
        check(against == ["coordinator"], f"{name} accuses {against}")
    until(lambda: has_receipts(fed, right), f"receipts of {right}")
    enough.touch()
    fed.finish()
    check_struck(fed.coordinator)
    check(outcomes(fed) == [("round-aborted", 1, 0), ("ok", 1, 4)], f"{outcomes(fed)}")
    lost = fed.coordinator.find(event="round.aborted", round=1)
    check(lost["reason"] == "receipt-quorum", f"{lost}")
    for member in fed.trainers.values():
        check(not said(member, event="round.done", round=1), f"{member.name} took an adapter of round 1")
    check(not (fed.directory / "coordinator/state/adapters/round-0001").exists(), "an adapter of round 1 was published")
    fed.check_agreement(alarms=["alarm.evidence"])
    scenario.say(f"{attack}: who was shown a false sum saw it, the adapter stayed, the job went on")


# ---- A plan once more


def renewed(fed):
    """New certificates for everybody, and a coordinator that remembers nothing of the job."""
    operator = fed.directory / "coordinator"
    ok("invite", operator, "--renew", "--days", 500)
    for name in fed.names:
        ok("join", operator / f"renewals/{name}.renewal", "--dir", fed.directory / name)
    (operator / "state/log").rename(operator / "log-kept")  # without it the members would stop at once (test_o_log.py)
    shutil.rmtree(operator / "state")
    (operator / "state").mkdir(mode=0o700)
    (operator / "log-kept").rename(operator / "state/log")
    for process in fed.processes():
        process.__init__(process.program, process.directory)


def replayed_after_renewal(scenario, fed):
    """It offers the rounds of the plan again, and nobody is there for them."""
    before = {name: fed.adapter(name) for name in fed.names}
    renewed(fed)
    make_hostile(fed.coordinator, *[f"amnesia@{number}.{attempt}" for number in (1, 2) for attempt in (1, 2, 3)])
    fed.start().finish(expected=INCOMPLETE)
    check_struck(fed.coordinator)
    for member in fed.trainers.values():
        done = [event["event"] for event in member.events
                if event.get("event") in ("round.begin", "train.begin", "train.reused", "round.done")]  # fmt: skip
        check(not done, f"{member.name} takes part again: {done}")
        check("the coordinator ended the job before its last round" in str(member.last_words()), member.last_words())
    check({name: fed.adapter(name) for name in fed.names} == before, "an adapter moved")
    lost = fed.coordinator.find(event="job.incomplete")
    scenario.say(f"offered again after renewal: nobody took part; {lost['detail']}")


def signed_elsewhere(scenario, fed, name, old, new):
    """The operator's directory with the job's plan changed and signed by all: where no ledger lies they sign."""
    work = scenario.work / name
    leave = shutil.ignore_patterns("state", "jobs.ledger*", "plan.yaml.sigs")
    for site in ("coordinator", *fed.names):
        shutil.copytree(fed.directory / site, work / site, ignore=leave)
        (work / site / "state").mkdir(mode=0o700)
        edit(work / site / "plan.yaml", old, new)
        ok("plan", "sign", work / site)
    ok("plan", "sign", work / "coordinator", *[work / f"{site}/{site}.signature" for site in fed.names])
    return work / "coordinator"


def check_refuses(directory, code, sentence):
    """The service ends before it dials anybody, and says why."""
    process = Process("rondo-trainer", directory).start()
    try:
        until(lambda: process.child.poll() is not None or process.find(event="dial"), "it ends or dials")
        check(not process.find(event="dial"), f"{directory} runs, and should say {sentence!r}")
        found = process.collect()
        check(found == code and sentence in process.last_words(), f"exit {found}: {process.last_words()}")
        return process.last_words()
    finally:
        process.discard()


def replayed_under_another_name(scenario, fed):
    """The ledger beside the identity refuses what state knows nothing of: the service does not start."""
    north = fed.directory / "north"
    final = fed.adapter("north")
    (north / "state").rename(north / "away")
    for name, old, new, code, sentence in (
        ("nothing", "seed: 1\n", "seed: 1\n", DATA, "updates of this plan were sent from here"),
        ("name", "\nname: scenario ", "\nname: another ", REFUSED, "give it another seed"),
        ("seed", "\nseed: 1\n", "\nseed: 2\n", REFUSED, "raise it to 2"),
    ):
        operator = signed_elsewhere(scenario, fed, name, old, new)
        kept = {file: (north / file).read_bytes() for file in ("plan.yaml", "plan.yaml.sigs")}
        for file in kept:
            shutil.copy(operator / file, north / file)
        (north / "state").mkdir(mode=0o700)
        why = check_refuses(north, code, sentence)
        check(not (north / "state/adapters").exists(), f"{name}: left an adapter behind")
        shutil.rmtree(north / "state")
        for file, content in kept.items():
            (north / file).write_bytes(content)
        scenario.say(f"the plan again, {name} changed: exit {code}: {why[-160:]}")
    (north / "away").rename(north / "state")
    check(fed.adapter("north") == final, "north's adapter moved")


# ---- A hostile member

# Of each round: what north does, and what comes of it: outcome and members in the sum. Six members, four are the
# floor, quorum and threshold, one may lie.
ROUNDS = (
    ("one-share", "ok", 6),  # one complaint is not enough: the holder may be the liar
    ("wrong-shares", "ok", 5),  # two are, although enough right shares are left
    ("off-polynomial", "ok", 5),
    ("commitments", "ok", 5),
    ("votes-twice", "ok", 6),
    ("garbage", "round-aborted", 0),
    (None, "ok", 6),
    ("false-share", "ok", 6),
    (None, "ok", 5),  # without it
)


def left_out_as_dealer(north, others):
    """Who deals badly to more than n_c holders is out before anybody uploads; nobody can be blamed."""
    follows = [event["round"] for event in said(north, event="round.follow", reason="excluded")]
    check(follows == [2, 3, 4], f"north follows in rounds {follows}")
    for number in (2, 3, 4):
        check("R3" not in stages(north, number), f"north votes in round {number}: {stages(north, number)}")
        for member in others:
            check("R3" in stages(member, number) and not details(member, number), f"{member.name}: round {number}")


def range_left(fed, others):
    """A garbage vector: the round has no sum, says so, and names nobody."""
    over = fed.coordinator.find(event="round.aborted", round=6)
    check(over["reason"] == "range" and over["detail"] == "not repeatable", f"{over}")
    for member in others:
        check(stages(member, 6)[-2:] == ["R4", "aborted"], f"{member.name}: {stages(member, 6)}")
        check(not said(member, event="round.done", round=6), f"{member.name} took a sum of round 6")
    check(fed.rows()[6]["adapter"] == fed.rows()[5]["adapter"], "the adapter moved in a round without a sum")


def accused(fed, shown):
    """Evidence of two votes and a proof of a false share, against north and nobody else."""
    alarms = [(event["event"], event["round"], event.get("member")) for event in fed.coordinator.events
              if str(event.get("event")).startswith("alarm.")]  # fmt: skip
    wanted = [("alarm.evidence", 5, None), ("alarm.evidence", 8, None), ("alarm.blamed", 8, "north")]
    check(alarms == wanted, f"{alarms}")
    check(shown["evidence"] == {"documents": 1, "round": 5, "against": ["north"], "one_of": []}, f"{shown}")
    check("against   north" in shown["text"], shown["text"])
    check(details(fed.coordinator, 5) == ["vote: differs from the one sent before"], f"{details(fed.coordinator, 5)}")


def hostile_member(scenario):
    fed = scenario.federation("member", members=6, rounds=len(ROUNDS), head="local")
    north = fed.trainers["north"]
    others = [member for member in fed.trainers.values() if member is not north]
    make_hostile(north, *[f"{attack}@{number}.1" for number, (attack, _, _) in enumerate(ROUNDS, 1) if attack])
    # Whoever stands at the line of a stage has not got to the next one. Two votes are seen as long as votes are
    # counted: three of the others vote after them. A false share is looked at when it is among the first: the others
    # answer after it.
    uploaded = {member: member.gate(event="stage.enter", round=5, stage="R2") for member in others[:3]}
    voted = {member: member.gate(event="stage.enter", round=8, stage="R3") for member in others}
    fed.start()
    fed.coordinator.wait_for(event="alarm.evidence", round=5)
    for member, gate in uploaded.items():
        member.open_gate(gate)
    for member, gate in voted.items():
        member.wait_gate(gate)

    def north_answered():
        shown = status(fed.directory / "coordinator")
        return shown["stage"] == "R4" and not shown["members"][0]["missing"]

    until(north_answered, "north's answer has come")
    shown = {**status(fed.directory / "coordinator"), "text": ok("status", fed.directory / "coordinator")}
    for member, gate in voted.items():
        member.open_gate(gate)
    fed.finish()
    check_struck(north)
    check(outcomes(fed) == [(outcome, 1, members) for _, outcome, members in ROUNDS], f"{outcomes(fed)}")
    left_out_as_dealer(north, others)
    range_left(fed, others)
    accused(fed, shown)
    check("train.begin" not in [event["event"] for event in said(north, round=9)], "north trains, who is left out")
    fed.check_agreement(alarms=["alarm.evidence", "alarm.blamed"])
    scenario.say(f"bad shares, garbage, two votes, a false share: {len(ROUNDS)} rounds, the last without north")


def run(scenario):
    hostile_member(scenario)
    false_sum(scenario, "forged", right=[])
    false_sum(scenario, "twosums", right=["north", "south"])
    fed = hostile_coordinator(scenario)
    replayed_after_renewal(scenario, fed)
    replayed_under_another_name(scenario, fed)


if __name__ == "__main__":
    sys.exit(main("hostile", run))
