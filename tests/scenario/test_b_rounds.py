#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Everybody stays alive: three methods, both dial directions, both kinds of weights, three kinds of
heads. All organisations hold the same adapter after every round; what a round does not train keeps
its bytes; a RoLoRA round sends at most half of a FedAvg-LoRA round, plus 5 %."""

import sys

from federation import NAMES, check, main, matrices, LONG

LARGE = {"targets": "all-linear", "rank": 16, "alpha": 32}  # framing is small beside the payload


def frozen_stays(fed):
    """Round by round at the coordinator: the matrix that the phase does not name keeps its bytes."""
    before = None
    for number, row in sorted(fed.rows().items()):
        now = fed.adapter("coordinator", f"round-{number:04d}")
        if before is not None:
            for kind in ("A", "B"):
                same = matrices(now, kind) == matrices(before, kind)
                active = kind in row["phase"]
                check(same != active, f"round {number}, phase {row['phase']}: {kind} is "
                      f"{'unchanged' if same else 'changed'}")  # fmt: skip
            if fed.options["head"] == "frozen":
                check(matrices(now, "head") == matrices(before, "head"), f"round {number} changed the head")
        before = now


def run_one(scenario, name, phases, **options):
    fed = scenario.federation(name, rounds=len(phases), **options).start()
    fed.finish()
    rows = fed.rows()
    found = [row["phase"] for _, row in sorted(rows.items())]
    check(found == phases, f"{name}: phases {found}, not {phases}")
    check(all(row["outcome"] == "ok" and row["members"] == len(fed.names) for row in rows.values()),
          f"{name}: {rows}")  # fmt: skip
    fed.check_agreement()
    frozen_stays(fed)
    sent = [row["uplink_bytes_mean"] for _, row in sorted(rows.items())]
    scenario.say(f"{name}: {len(rows)} rounds, one adapter everywhere; bytes up per organisation {sent}")
    return fed


def uplink(scenario, rolora, fedavg):
    """Through a relay that counts: TLS, HTTP/2, greetings and all."""
    half, whole = (fed.relay.sent / len(fed.names) / fed.rounds for fed in (rolora, fedavg))
    scenario.say(f"uplink of one organisation and round, on the socket: RoLoRA {half:.0f} bytes, FedAvg-LoRA "
                 f"{whole:.0f}, ratio {half / whole:.3f} (limit 0.525)")  # fmt: skip
    check(half / whole <= 0.525, f"a RoLoRA round sends {half / whole:.3f} of a FedAvg-LoRA round")


def initial_matrix(rolora, ffa):
    """Round 1 of RoLoRA trains B, FFA-LoRA never trains A: both still hold A as the seed made it."""
    check(matrices(rolora.adapter("coordinator", "round-0001"), "A") == matrices(ffa.adapter("coordinator"), "A"),
          "the frozen matrix of round 1 is not the one that the seed makes")  # fmt: skip


def run(scenario):
    rolora = run_one(scenario, "rolora", ["B", "A", "B", "A"], head="frozen", relay=True, **LARGE)
    fedavg = run_one(scenario, "fedavg", ["AB"] * 4, head="frozen", method="fedavg-lora", relay=True, **LARGE)
    uplink(scenario, rolora, fedavg)
    ffa = run_one(scenario, "ffa", ["B", "B"], head="frozen", method="ffa-lora", listening=NAMES[:3],
                  weights="examples", max_examples=1000, **LARGE)  # fmt: skip
    initial_matrix(rolora, ffa)
    run_one(scenario, "mixed", ["B", "A"], members=4, listening=NAMES[:2], weights="examples", max_examples=1000)
    if LONG:
        for head in ("frozen", "federated", "local"):
            for weights in ({"weights": "uniform"}, {"weights": "examples", "max_examples": 1000}):
                for method, phases in (("rolora", ["B", "A", "B"]), ("fedavg-lora", ["AB"] * 3), ("ffa-lora", ["B"] * 3)):
                    name = f"{method}-{head}-{weights['weights']}"
                    run_one(scenario, name, phases, head=head, method=method, listening=NAMES[2:3], **weights)


if __name__ == "__main__":
    sys.exit(main("rounds", run))
