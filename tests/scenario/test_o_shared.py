#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Noise that the members add together, by the real programs: every round is one noisy sum, charged before its first
gradient and computed again by the second verifier; a member that is killed after it was charged leaves enough noise to the
others, comes back and pays again (privacy case 30); a policy that does not say how many members it counts on refuses the plan
before data is touched."""

import json
import os
import subprocess
import sys

from federation import REFUSED, ROOT, Failure, check, edit, main, ok, refused

RECORDS = 60
# 6 of 60 records a round are expected, and 30 held: P[Bin(60, 0.1) > 30] is 1e-14. Of five members one may collude and one
# may be lost: four remain, three of them honest.
SHARED = {"dp_sampling_rate": 0.1, "dp_mode": "shared", "dp_noise": 4.0, "dp_clip": 1, "dp_denominator": 6, "honest": 3,
          "optimizer": "sgd", "steps": 1, "batch": 30, "metrics": "home", "lr": 0.5}  # fmt: skip
PROMISE = ["--dp-epsilon", 8, "--dp-records", RECORDS]
TRUST = [*PROMISE, "--dp-shared-honest", 3]


def ledger(fed, name):
    return (fed.directory / name / "privacy-data.ledger").read_text().splitlines()


def count(fed, name, kind):
    return sum(line.startswith(kind + " ") for line in ledger(fed, name))


def check_ledger(fed, name, begun):
    """By the verifier, and by the one that shares no code with it: the same sum of the filter."""
    verdict = json.loads(ok("ledger", "verify", fed.directory / name, "--format", "json"))
    check(verdict["passed"] and verdict["claimable"], f"{name}: {verdict}")
    check(count(fed, name, "shared") == 1 and count(fed, name, "plan") == 0, f"{name}: no record of a shared plan")
    check(count(fed, name, "intent") == begun, f"{name}: {count(fed, name, 'intent')} sums are charged, not {begun}")
    path = fed.directory / name / "privacy-data.ledger"
    said = subprocess.run([sys.executable, ROOT / "tests/parity/verify_privacy_ledger.py", path], capture_output=True, text=True,
                          timeout=120, env=os.environ, check=False)  # fmt: skip
    check(said.returncode == 0, f"{name}: the second verifier says {said.stdout}{said.stderr}")
    spent = verdict["ledger"]["filter"]["begun"]
    check(abs(float(said.stdout.split("filter ")[1].split()[0]) / spent - 1) < 1e-9, f"{said.stdout}, not {spent}")
    return spent


def check_claims(fed, name):
    page = ok("privacy", "claims", fed.directory / name)
    for words in ("noise is shared", "3 honest members", "by RDP, noise shared", "counts on others"):
        check(words in page, f"{name}: the claims do not say {words!r}:\n{page}")


def one_is_lost(scenario):
    """South is killed in round 2 after its sum was charged; every round has a sum, and every ledger holds."""
    fed = scenario.federation("shared", members=5, rounds=4, join=TRUST, dp_retries=1, **SHARED)
    south = fed.trainers["south"]
    trap = south.gate(event="privacy.intent", round=2)
    fed.start()
    south.kill_at(trap)
    south.start()
    fed.finish()
    fed.check_agreement()
    rows = fed.rows()
    check(all(row["outcome"] == "ok" for row in rows.values()) and len(rows) == 4, f"{rows}")
    check(len({row["adapter"] for row in rows.values()}) == 4, "a round moved nothing")
    for name in fed.names:
        check_ledger(fed, name, 5 if name == "south" else 4)
    check_claims(fed, "north")
    scenario.say("a lost sum is paid for, and the job ends as any other")
    return fed


def trust_is_said(scenario, fed):
    """Refused by the policy that counts on nobody, or on fewer than the plan does; nothing is charged."""
    site = fed.directory / "north"
    before = ledger(fed, "north")
    policy = (site / "policy.yaml").read_text()
    plan = fed.directory / "again.yaml"
    plan.write_text((fed.directory / "coordinator/plan.yaml").read_text().replace("\nseed: ", "\nseed: 7", 1))
    for allowed in (0, 2):
        edit(site / "policy.yaml", "shared_honest: 3", f"shared_honest: {allowed}")
        refused(REFUSED, "policy-shared-trust", "policy", "check", plan, "--site", site)
        (site / "policy.yaml").write_text(policy)
    check(ledger(fed, "north") == before, "a refused plan changed the ledger")
    scenario.say("nobody's noise is counted on unasked")


def run(scenario):
    fed = one_is_lost(scenario)
    trust_is_said(scenario, fed)


if __name__ == "__main__":
    sys.exit(main("shared", run))
