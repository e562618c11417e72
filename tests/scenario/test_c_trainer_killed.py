#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A trainer is killed (SIGKILL) at each stage of a round. Four members survive one loss: the round
ends with the sum over the survivors, or with all four where the update was in already. Twice: the
killed trainer stays away until the round is over and then catches up; and it is started again at
once, in the middle of the same round. RONDO_LONG: every member at every stage."""

import sys

from federation import LONG, check, main

# A member says "stage.enter" before it sends anything of that stage; Ready (R0) follows the training.
STAGES = [
    ("training", {"event": "train.begin"}),
    ("R0", {"event": "train.done"}),
    *[(stage, {"event": "stage.enter", "stage": stage}) for stage in ("R1", "R1-acks", "R2", "R3", "R4", "R5")],
]


def kill_in_round(fed, victim, number, place, begin, at_once):
    """The coordinator stands at the beginning of the round until the trap is set."""
    process = fed.trainers[victim]
    trap = process.gate(round=number, **place)
    fed.coordinator.open_gate(begin)
    process.kill_at(trap)
    if at_once:
        process.start()
    fed.coordinator.wait_for(event="round.done", round=number)
    if not at_once:
        process.start()


def run_job(scenario, name, at_once, shift):
    rounds = 3 * len(STAGES)
    fed = scenario.federation(name, members=4, rounds=rounds)
    fed.coordinator.hold_at("round.begin", range(1, rounds + 1))
    fed.start()
    left = list(STAGES)
    kills = {}
    whole = True  # the round before had everybody in its sum
    for number in range(1, rounds + 1):
        begin = fed.coordinator.wait_held("round.begin", number)
        if left and whole and begin.event["members"] == 4:
            stage, place = left.pop(0)
            victim = fed.names[(number // 2 + shift) % len(fed.names)]
            kill_in_round(fed, victim, number, place, begin, at_once)
            kills[number] = (stage, victim)
            whole = False
            scenario.say(f"{name}: {victim} killed in {stage} of round {number}")
        else:
            # Somebody is catching up, and nobody else can be lost meanwhile: a round in peace.
            fed.coordinator.open_gate(begin)
            whole = fed.coordinator.wait_for(event="round.done", round=number)["members"] == 4
    check(not left, f"not reached in {rounds} rounds: {left}")
    fed.finish()
    rows = fed.rows()
    for number, (stage, victim) in kills.items():
        row = rows[number]
        check(row["outcome"] == "ok" and row["members"] in (3, 4), f"round {number}, killed in {stage}: {row}")
    scenario.say(f"{name}: members in the sums {[rows[number]['members'] for number in kills]}, attempts "
                 f"{[rows[number]['attempt'] for number in kills]}")  # fmt: skip
    last = rows[rounds]
    check(last["outcome"] == "ok" and last["members"] == 4, f"everybody is back in the last round: {last}")
    fed.check_agreement()


def run(scenario):
    for shift in range(4 if LONG else 1):
        run_job(scenario, f"away-{shift}", False, shift)
        run_job(scenario, f"again-{shift}", True, shift)


if __name__ == "__main__":
    sys.exit(main("trainer-killed", run))
