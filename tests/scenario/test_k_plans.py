#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""After the first job: another plan in the same federation, with the job before kept and brought
back; a member that leaves and one that comes anew; and configuration files that are none, which every
command refuses with the line, whatever is in them."""

import fcntl
import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "parity"))
import verify_log  # noqa: E402
from federation import (CONFIG, DATA, REFUSED, RETRY, USAGE, Process, check, edit, main, ok, refused, rondo, roster,
                        tensors)  # fmt: skip

NO_FILES = {
    "empty": b"",
    "comments": b"# nothing\n\n# at all\n",
    "dashes": b"---\n",
    "two documents": b"version: 1\n---\nversion: 1\n",
    "byte-order mark": b"\xef\xbb\xbfversion: 1\n",
    "UTF-16": "version: 1\n".encode("utf-16"),
    "NUL": b"version: 1\nname: a\0b\n",
    "tab": b"version: 1\nmodel:\n\thash: a\n",
    "alias": b"version: &a 1\nname: *a\n",
    "deep": b"a: " + b"[" * 5000 + b"]" * 5000 + b"\n",
    "huge": b"#" * 70000,
}


def files_that_are_none(scenario, fed):
    """plan.yaml, policy.yaml and site.yaml of a member, and the policy that join is given."""
    north, member = fed.directory / "north", fed.directory / "hostile"
    for what, text in NO_FILES.items():
        for name, command in (("plan.yaml", ("plan", "check")), ("policy.yaml", ("plan", "check")),
                              ("site.yaml", ("status",)), ("site.yaml", ("run",))):  # fmt: skip
            shutil.copytree(north, member)
            (member / name).write_bytes(text)
            code, _, err = rondo(*command, member)
            check(code in (DATA, CONFIG), f"{what} as {name}: exit {code}\n{err}")
            check(name in err and len(err.splitlines()) == 1, f"{what} as {name}: {err!r}")
            shutil.rmtree(member)
        policy = fed.directory / "none.yaml"
        policy.write_bytes(text)
        before = sorted(fed.directory.iterdir())
        code, _, err = rondo("join", fed.invitation, "--dir", fed.directory / "new", "--model", fed.model, "--data",
                             fed.directory / "north.tsv", "--text", "sentence", "--label", "label",
                             "--policy", policy)  # fmt: skip
        check(code in (DATA, CONFIG) and "none.yaml" in err, f"{what} as the policy of join: exit {code}\n{err}")
        check(sorted(fed.directory.iterdir()) == before, f"{what}: join left something behind")
    scenario.say(f"{len(NO_FILES)} texts that are no file of ours: refused everywhere, with the line")


def take(fed, names):
    """The members take their new welcomes and sign; the operator collects."""
    operator = fed.directory / "coordinator"
    for name in names:
        ok("join", operator / f"welcome/{name}.welcome", "--dir", fed.directory / name, "--sign", *roster(operator))
    ok("plan", "sign", operator, *[fed.directory / f"{name}/{name}.signature" for name in names])


def run(fed, names):
    fed.names = list(names)
    fed.coordinator = Process("rondo-coordinator", fed.directory / "coordinator")
    fed.trainers = {name: Process("rondo-trainer", fed.directory / name) for name in names}
    fed.start().finish()
    fed.check_agreement()


def kept_by(fed, names, plan_hash):
    """Where each site keeps the job of that plan."""
    return {name: fed.directory / name / "state/jobs" / plan_hash[:16] for name in ("coordinator", *names)}


def plan_hash(site):
    return json.loads(ok("plan", "show", site / "plan.yaml", "--format", "json"))["hash"]


def by_hand(fed, alike):
    """An operator that goes round the gate: the members refuse to sign a plan that begins like a job they ran."""
    operator = fed.directory / "coordinator"
    copy, north = fed.directory / "coordinator-copy", fed.directory / "north-copy"
    shutil.copytree(operator, copy, ignore=shutil.ignore_patterns("state", "plan.yaml.sigs"))
    shutil.copytree(fed.directory / "north", north, ignore=shutil.ignore_patterns("admin.sock"))
    shutil.copy(alike, copy / "plan.yaml")
    ok("plan", "sign", copy)
    refused(REFUSED, "give it another seed", "join", copy / "welcome/north.welcome", "--dir", north, "--sign")
    shutil.rmtree(copy)
    shutil.rmtree(north)


def second_plan(scenario, fed):
    operator, second = fed.directory / "coordinator", fed.directory / "second.yaml"
    first_hash, names = plan_hash(operator), list(fed.names)
    first = {name: fed.adapter(name) for name in ("coordinator", *names)}
    ok("plan", "new", operator, "--out", second, "--plan", operator / "plan.yaml", "--name", "second",
       "--rounds", 1, "--lr-head", 0.01)  # fmt: skip
    refused(USAGE, "exists already", "plan", "new", operator, "--out", second, "--labels", "a,b")
    changed = json.loads(ok("plan", "diff", operator, second, "--format", "json"))["fields"]
    found = {row["field"]: (row["from"], row["to"]) for row in changed}
    check(found.pop("seed")[1] != 1, "the second plan has the seed of the first")
    check(found == {"name": ("scenario", "second"), "rounds": (2, 1), "training.lr_head": (0.005, 0.01)}, changed)
    words = ok("plan", "diff", operator, second)
    check("rounds" in words and "2 -> 1" in words and "4 fields" in words, words)
    alike = fed.directory / "alike.yaml"
    ok("plan", "new", operator, "--out", alike, "--plan", operator / "plan.yaml", "--rounds", 1, "--seed", 1)
    refused(REFUSED, "give it another seed", "plan", "propose", operator, alike)

    held = fed.coordinator
    held.start()
    held.wait_for(held.since_start, event="listen")
    refused(RETRY, "stop it before its plan changes", "plan", "propose", operator, second)
    check(plan_hash(operator) == first_hash, "a refused proposal changed the plan")
    held.discard()
    held.child.wait()

    edit(second, "rank: 2 ", "rank: 3 ")  # more than the members' policies allow
    ok("plan", "propose", operator, second)
    refused(REFUSED, "policy-rank-too-large", "join", operator / "welcome/north.welcome", "--dir",
            fed.directory / "north", "--sign")  # fmt: skip
    edit(second, "rank: 3 ", "rank: 2 ")
    out = ok("plan", "propose", operator, second)
    refused(REFUSED, "raise it to 2", "join", operator / "welcome/north.welcome", "--dir", fed.directory / "north",
            "--sign", *roster(operator))  # fmt: skip
    for name in names:
        edit(fed.directory / name / "policy.yaml", "jobs_max: 1", "jobs_max: 2")
    take(fed, names)
    kept = kept_by(fed, names, first_hash)
    for name, path in kept.items():
        check(tensors(path / "adapters/final") == first[name], f"{name}: another adapter in {path}")
        check((path / "journal.db").exists() and (path / "plan.yaml").exists(), f"{path} is not whole")
        check(not (fed.directory / name / "state/adapters").exists(), f"{name}: the old adapters are in the new job")
        ledger = fed.directory / name / "state/jobs.ledger"
        check(ledger.exists() == (name != "coordinator"), f"{name}: the ledger of jobs goes with no job")
    fed.rounds = 1
    run(fed, names)
    check(sorted(fed.rows()) == [1], f"{fed.rows()}")
    by_hand(fed, alike)
    for name, path in kept.items():
        check(tensors(path / "adapters/final") == first[name], f"{name}: the second job changed {path}")
    scenario.say(f"a second plan ran; the first job is kept at every site\n{out}")
    return first, first_hash


def first_plan_again(scenario, fed, first, first_hash):
    """What was spent stays spent: the job comes back with its plan."""
    operator, names = fed.directory / "coordinator", list(fed.names)
    second_hash = plan_hash(operator)
    kept = kept_by(fed, names, first_hash)
    again = fed.directory / "first.yaml"
    shutil.copy(kept["coordinator"] / "plan.yaml", again)
    ok("plan", "propose", operator, again)
    take(fed, names)
    check(plan_hash(operator) == first_hash, "the first plan came back changed")
    for name, path in kept.items():
        check(fed.adapter(name) == first[name], f"{name}: the first job did not come back")
        check(not path.exists(), f"{path} is still there")
        check(kept_by(fed, names, second_hash)[name].exists(), f"{name}: the second job is gone")
    scenario.say("the first plan came back, and with it its job")


def lost_after_a_job(fed):
    """Both copies are gone, or old ones, at a plan that nothing ran for yet: the job before, put aside, is missed."""
    north, operator = fed.directory / "north-copy", fed.directory / "coordinator"
    shutil.copytree(fed.directory / "north", north, ignore=shutil.ignore_patterns("admin.sock", "journal.db*"))
    earlier = next((fed.directory / "north/state/jobs").iterdir()).name
    shutil.copytree(fed.directory / "north/state/jobs", north / "state/jobs", dirs_exist_ok=True)
    lines = (north / "jobs.ledger").read_text().splitlines(keepends=True)
    old = "".join(line for line in lines if f"job {earlier}" not in line and f"job {plan_hash(north)}" not in line)
    for text in (None, old):
        for path in (north / "jobs.ledger", north / "state/jobs.ledger"):
            path.unlink(missing_ok=True)
            if text is not None:
                path.write_text(text)
        code, out, err = rondo(north, program="rondo-trainer")
        check(code == DATA and f"state/jobs/{earlier}" in err and "Put back the newest one" in err, f"{code}\n{err}")
        refused(DATA, f"state/jobs/{earlier}", "join", operator / "welcome/north.welcome", "--dir", north, "--sign",
                *roster(operator))  # fmt: skip
        code, out, err = rondo("doctor", north, "--offline", "--format", "json")
        row = next(row for row in json.loads(out)["findings"] if row["check"] == "ledger")
        check(code == DATA and row["state"] == "failed" and earlier in row["text"], f"{code}: {row}")
    shutil.rmtree(north)


def lost(scenario, fed):
    """The identity's ledger knows what state does not, and the other way round; one service runs with it."""
    north = fed.directory / "north"

    def starts(code, sentence):
        found, _, err = rondo(north, program="rondo-trainer")
        check(found == code and sentence in err, f"exit {found}, not {code}\n{err}")

    (north / "state").rename(north / "away")
    (north / "state").mkdir(mode=0o700)
    for _ in range(2):  # the first start must not make the second one believe
        starts(DATA, "it was lost, or is another directory")
    shutil.rmtree(north / "state")
    (north / "away").rename(north / "state")
    copies = {path: path.read_bytes() for path in (north / "jobs.ledger", north / "state/jobs.ledger")}
    for path in copies:
        path.unlink()
    starts(DATA, "it is missing or an old copy")
    for path, content in copies.items():
        path.write_bytes(content)
    with open(north / "jobs.ledger.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        starts(RETRY, "another rondo-trainer runs with the identity")
    shown = json.loads(ok("doctor", north, "--offline", "--format", "json"))
    model = ok("model", "hash", fed.model).split()[0]
    check(shown["ledger"] == {"jobs": 2, "jobs_max": 2, "models": [{"model": model, "jobs": 2}]}, f"{shown['ledger']}")
    check(any(row["check"] == "ledger" and f"2 over {model[:16]}..." in row["text"] for row in shown["findings"]), f"{shown}")
    lost_after_a_job(fed)
    scenario.say("a lost state, a lost ledger and a second service with one identity are refused")


def another_member(scenario, fed):
    operator = fed.directory / "coordinator"
    listed = json.loads(ok("member", "list", operator, "--format", "json"))["members"]
    check([row["name"] for row in listed] == fed.names, f"{listed}")
    check(all(len(row["key"]) == 64 and len(row["certificate_until"]) == 10 and row["connected"] is None
              for row in listed), f"{listed}")  # fmt: skip
    before = {path: path.read_bytes() for path in operator.rglob("*") if path.is_file() and path.name[0] != "."}
    refused(CONFIG, "rondo plan propose", "member", "remove", operator, "west")  # three survive no loss
    refused(USAGE, "is no member", "member", "remove", operator, "nobody")
    after = {path: path.read_bytes() for path in operator.rglob("*") if path.is_file() and path.name[0] != "."}
    check(before == after, "a refused removal changed something")

    third = fed.directory / "third.yaml"
    ok("plan", "new", operator, "--out", third, "--plan", operator / "plan.yaml", "--name", "third", "--losses", 0,
       "--rounds", 1)  # fmt: skip
    ok("plan", "propose", operator, third)
    ok("member", "remove", operator, "west")
    site = (operator / "site.yaml").read_text()
    check("west" not in site and "west" not in (operator / "roster").read_text(), site)
    check(not list(operator.glob("*/west.*")), "papers of a member that left")
    names = [name for name in fed.names if name != "west"]
    take(fed, names)
    fed.rounds = 1
    run(fed, names)
    scenario.say("a member left; the others ran a job without it")

    # A disk was lost: the organisation comes back under its name, with new keys.
    ok("invite", operator, "west", "--address", f"127.0.0.1:{fed.port}")
    fresh = fed.directory / "west-again"
    ok("join", operator / "invitations/west.invite", "--dir", fresh, "--model", fed.model, "--data",
       fed.directory / "west.tsv", "--text", "sentence", "--label", "label", "--threads", 1,
       "--log-format", "json")  # fmt: skip
    ok("invite", operator, "--accept", fresh / "west.request")
    shutil.rmtree(fed.directory / "west")
    fresh.rename(fed.directory / "west")
    take(fed, [*names, "west"])
    run(fed, [*names, "west"])
    log = verify_log.verify(operator / "state/log", operator / "roster", quorum=True)
    check(log["jobs"] == 4 and len(log["cosigned"]) == 4, f"one log over all plans and rosters: {log}")
    for name in fed.names:
        check(verify_log.verify(fed.directory / name / "state/log", operator / "roster")["jobs"] == 4, f"{name}'s copy")
    ok("member", "renew", operator, "west", "--days", 30)
    ok("join", operator / "renewals/west.renewal", "--dir", fed.directory / "west")
    scenario.say("the same organisation came back with new keys, and its certificate was renewed")


def run_all(scenario):
    fed = scenario.federation(members=4, rounds=2, listening=("west",))
    operator = fed.directory / "coordinator"
    ok("invite", operator, "spare", "--address", f"127.0.0.1:{fed.port}")
    fed.invitation = fed.directory / "spare.invite"
    (operator / "invitations/spare.invite").rename(fed.invitation)
    files_that_are_none(scenario, fed)
    fed.start().finish()
    fed.check_agreement()
    first, first_hash = second_plan(scenario, fed)
    first_plan_again(scenario, fed, first, first_hash)
    lost(scenario, fed)
    for name in fed.names:
        edit(fed.directory / name / "policy.yaml", "jobs_max: 2", "jobs_max: 9")
    another_member(scenario, fed)


if __name__ == "__main__":
    sys.exit(main("plans", run_all))
