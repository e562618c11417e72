#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The coordinator is killed (SIGKILL) at each stage of a round and started again: it goes on from its
journal, every round ends with the sum over all members, and everybody holds the same adapter.
RONDO_LONG: also killed twice in each round, and while it is away for longer."""

import sys
import time

from federation import LONG, check, main

STAGES = ["R0", "R1", "R1-acks", "R2", "R3", "R4", "R5", "finished"]
MEMBERS = 3


def run_job(scenario, name, away=0.0, twice=False):
    fed = scenario.federation(name, members=MEMBERS, rounds=len(STAGES) + 1)
    coordinator = fed.coordinator
    places = [(number, stage) for number, stage in enumerate(STAGES, start=1)]
    traps = {place: coordinator.gate(event="stage.enter", round=place[0], stage=place[1]) for place in places}
    fed.start()
    for number, stage in places:
        coordinator.kill_at(traps[number, stage])
        time.sleep(away)
        again = coordinator.gate(event="stage.enter", round=number) if twice and stage != "finished" else None
        coordinator.start()
        if again is not None:
            coordinator.kill_at(again)
            coordinator.start()
        scenario.say(f"{name}: coordinator killed in {stage} of round {number}, started again")
    fed.finish()
    for number, row in fed.rows().items():
        check(row["outcome"] == "ok" and row["members"] == MEMBERS, f"round {number}: {row}")
    scenario.say(f"{name}: attempts of each round {[row['attempt'] for row in fed.rows().values()]}")
    fed.check_agreement()


def run(scenario):
    run_job(scenario, "restart")
    if LONG:
        run_job(scenario, "twice", twice=True)
        run_job(scenario, "away", away=20)


if __name__ == "__main__":
    sys.exit(main("coordinator-killed", run))
