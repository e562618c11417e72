#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Differential privacy in federated rounds by the real programs: every training is in the member's ledger before it
begins, and a trainer that is killed in it has paid; trainings beyond the plan's are refused; a second plan beyond the
budget, a plan that lies about noise, rate, clip or steps, and an older copy of the ledger are refused before data is
touched (privacy cases 27, 28, 29); what leaves tells no loss, no count and no time (privacy case 31); the claims page is
generated from the ledger alone, and not for one in which a plan without noise ran (privacy case 35)."""

import json
import shutil
import sys

from federation import CONFIG, DATA, REFUSED, check, edit, main, ok, refused, rondo

RECORDS = 60
# 6 of 60 records a step are expected, and 30 held: P[Bin(60, 0.1) > 30] is 1e-14.
PRIVATE = {"dp_sampling_rate": 0.1, "dp_noise": 3.0, "dp_clip": 1, "dp_denominator": 6, "batch": 30, "metrics": "home"}
PROMISE = ["--dp-epsilon", 8, "--dp-records", RECORDS]


def show(fed, name):
    return json.loads(ok("ledger", "show", fed.directory / name, "--format", "json"))


def ledger_bytes(fed, name):
    return (fed.directory / name / "privacy-data.ledger").read_bytes()


def records(fed, name, kind):
    return [line for line in ledger_bytes(fed, name).decode().splitlines() if line.startswith(kind + " ")]


def check_ledger(fed, name, begun):
    """Chain, signatures and sums by the verifier; as many intents; the plan is closed."""
    verdict = json.loads(ok("ledger", "verify", fed.directory / name, "--format", "json"))
    check("FAIL" not in json.dumps(verdict), f"{name}: {verdict}")
    check(len(records(fed, name, "intent")) == begun,
          f"{name}: {len(records(fed, name, 'intent'))} trainings are charged, not {begun}")  # fmt: skip
    check(len(records(fed, name, "close")) == 1, f"{name}: the plan is not closed")
    copies = [fed.directory / name / folder / "privacy-data.ledger" for folder in ("", "state")]
    check(copies[0].read_bytes() == copies[1].read_bytes(), f"{name}: the two copies differ")


def check_silence(fed):
    """What the coordinator has of a round holds no number of the members' records."""
    for number, row in fed.rows().items():
        told = {key: row.get(key) for key in ("loss", "examples") if row.get(key)}
        check(not told, f"round {number} tells {told}")
    for event in fed.coordinator.events:
        check("loss" not in event, f"the coordinator says {event}")


def killed_in_training(scenario):
    """The killed training is charged and done again within the plan's retries; the job is as any other."""
    fed = scenario.federation("killed", members=4, rounds=4, join=PROMISE, dp_retries=1, **PRIVATE)
    trap = fed.trainers["south"].gate(event="privacy.intent", round=2)
    fed.start()
    fed.trainers["south"].kill_at(trap)
    fed.trainers["south"].start()
    fed.finish()
    fed.check_agreement()
    for name in fed.names:
        check_ledger(fed, name, 5 if name == "south" else 4)
    check_silence(fed)
    page = ok("privacy", "claims", fed.directory / "north")
    check("psilon" in page and "delta" in page, page)
    scenario.say("a killed training is paid for and done again")
    return fed


def used_up(scenario):
    """No retries: after one training was lost the last round has none left, and goes on without this member."""
    fed = scenario.federation("used-up", members=4, rounds=4, join=PROMISE, dp_retries=0, **PRIVATE)
    south = fed.trainers["south"]
    trap = south.gate(event="privacy.intent", round=2)
    fed.start()
    south.kill_at(trap)
    south.start()
    fed.finish()
    last = fed.rows()[4]
    check(last["members"] == 3 and last["outcome"] == "ok", f"round 4: {last}")
    failed = south.find(event="train.failed", round=4)
    check(failed is not None and "all of its 4 trainings" in str(failed), f"south did not refuse: {failed}")
    check_ledger(fed, "south", 4)
    scenario.say("beyond the plan's trainings none is begun")


def resigned(fed, name, old, new):
    """The member's own plan and signature with this change, made while its policy was loose; the policy is as before."""
    site = fed.directory / name
    policy = (site / "policy.yaml").read_text()
    loose = policy
    for field, value in (("noise_min", "0.1"), ("rate_max", "1"), ("clip_max", "100"), ("steps_max", "1000"),
                         ("rounds_max", "1000"), ("epsilon_plan", "8"), ("jobs_max", "9")):  # fmt: skip
        begin = loose.index(f"  {field}: ")
        loose = loose[:begin] + f"  {field}: {value}\n" + loose[loose.index("\n", begin) + 1:]
    plan = (fed.directory / "coordinator/plan.yaml").read_text()
    check(old in plan, f"no {old!r} in the plan")
    proposed = fed.directory / "lie.yaml"
    proposed.write_text(plan.replace(old, new, 1).replace("\nseed: ", "\nseed: 7", 1))
    (site / "policy.yaml").write_text(loose)
    return proposed, policy


LIES = [
    ("  noise: 3\n", "  noise: 2.5\n", "policy-noise-too-low"),
    ("  rate: 0.1 ", "  rate: 0.2 ", "policy-rate-too-large"),
    ("  clip: 1 ", "  clip: 2 ", "policy-clip-too-large"),
    ("  steps: 2 ", "  steps: 3 ", "policy-steps-too-many"),
    ("rounds: 4 ", "rounds: 5 ", "policy-rounds-too-many"),
    ("  batch: 30 ", "  batch: 9 ", "policy-cap-too-small"),
]


def lies(scenario, fed):
    """Each change of the signed plan is another plan, and this member's policy says no to it: to the operator's
    proposal, and at the start of the service to a plan that was signed in a weak moment."""
    before = ledger_bytes(fed, "north")
    site = fed.directory / "north"
    kept = {name: (site / name).read_bytes() for name in ("plan.yaml", "plan.yaml.sigs", "policy.yaml")}
    for old, new, code in LIES:
        proposed, policy = resigned(fed, "north", old, new)
        (site / "policy.yaml").write_text(policy)
        refused(REFUSED, code, "policy", "check", proposed, "--site", site)
    for old, new in (("metrics: home", "metrics: summed"), ("weights: uniform\n", "weights: examples\nmax_examples: 9\n")):
        proposed, policy = resigned(fed, "north", old, new)
        (site / "policy.yaml").write_text(policy)
        refused(CONFIG, "not with privacy", "policy", "check", proposed, "--site", site)
    for name, content in kept.items():
        (site / name).write_bytes(content)
    check(ledger_bytes(fed, "north") == before, "a refused plan changed the ledger")
    scenario.say("a plan that lies is refused with its code, and costs nothing")


def old_copy(scenario, fed):
    """Both copies of the ledger as they were when the plan began."""
    site = fed.directory / "north"
    whole = ledger_bytes(fed, "north")
    older = b"".join(whole.splitlines(keepends=True)[:2])
    for folder in ("", "state"):
        (site / folder / "privacy-data.ledger").write_bytes(older)
    code, _, err = rondo(site, program="rondo-trainer")
    check(code == DATA and "older copy" in err, f"exit {code}: {err}")
    for folder in ("", "state"):
        (site / folder / "privacy-data.ledger").write_bytes(whole)
    scenario.say("an older copy of the ledger is noticed")


def damaged(scenario, fed):
    """One character, one line, another order: refused by service and verifier."""
    site = fed.directory / "east"
    whole = ledger_bytes(fed, "east")
    rows = whole.splitlines(keepends=True)
    for what, content in (("edited", whole.replace(b"rounds 4", b"rounds 5", 1)), ("cut", b"".join(rows[:1] + rows[2:])),
                          ("in another order", b"".join([rows[0], rows[2], rows[1], *rows[3:]])),
                          ("doubled", b"".join([*rows, rows[-1]]))):  # fmt: skip
        check(content != whole, what)
        path = fed.directory / "damaged.ledger"
        path.write_bytes(content)
        code, out, err = rondo("ledger", "verify", path)
        check(code != 0, f"a ledger that was {what} verifies: {out}{err}")
    check(ok("ledger", "verify", site), "the whole one verifies")
    scenario.say("a damaged ledger does not verify")


def no_noise(scenario, fed):
    """A plan without noise over the same data, which the policy allows: nothing can be claimed from then on."""
    site = fed.directory / "west"
    policy = (site / "policy.yaml").read_text()
    check("required: true" in policy, "a promise does not ask for noise by itself")
    plan = fed.directory / "plain.yaml"
    text = (fed.directory / "coordinator/plan.yaml").read_text()
    begin = text.index("\nprivacy:")
    end = text.index("\n", text.index("  reply_s:", begin) + 1)
    plan.write_text(text[:begin] + text[end:])
    refused(REFUSED, "policy-privacy-required", "policy", "check", plan, "--site", site)
    edit(site / "policy.yaml", "required: true", "required: false")
    code, out, err = rondo("policy", "check", plan, "--site", site)
    check("policy-privacy" not in out + err, f"{out}{err}")
    scenario.say("noise is asked for by the policy's own word")


def run(scenario):
    fed = killed_in_training(scenario)
    lies(scenario, fed)
    old_copy(scenario, fed)
    damaged(scenario, fed)
    no_noise(scenario, fed)
    used_up(scenario)


if __name__ == "__main__":
    sys.exit(main("privacy", run))
