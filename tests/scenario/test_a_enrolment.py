#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Setting up a federation with the real `rondo`: the commands of the README, and everything that
must be refused without leaving anything half-written behind.

RONDO_BIN is the folder of the programs (default: build/debug/bin).
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
RONDO = pathlib.Path(os.environ.get("RONDO_BIN", ROOT / "build/debug/bin")).resolve() / "rondo"
MODEL = ROOT / "deploy/embedded/model"
DATA = ROOT / "deploy/embedded/train.tsv.gz"
USAGE, DATA_WRONG, NO_INPUT, PEER, CONFIG, REFUSED, IDENTITY = 64, 65, 66, 76, 78, 79, 80


def rondo(*arguments):
    done = subprocess.run(
        [RONDO, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
    )
    return done.returncode, done.stdout, done.stderr


def ok(*arguments):
    code, out, err = rondo(*arguments)
    assert code == 0, f"{arguments}: exit {code}\n{out}{err}"
    return out


def refused(expected_code, expected_text, *arguments):
    code, out, err = rondo(*arguments)
    assert code == expected_code, f"{arguments}: exit {code}, expected {expected_code}\n{out}{err}"
    assert expected_text in err, f"{arguments}: expected {expected_text!r} in\n{err}"


def tree(path):
    """Every file below path with its hash."""
    path = pathlib.Path(path)
    return {
        str(f.relative_to(path)): hashlib.sha256(f.read_bytes()).hexdigest()
        for f in sorted(path.rglob("*"))
        if f.is_file()
    }


def unchanged(path, function, *arguments):
    before = tree(path)
    function(*arguments)
    assert tree(path) == before, f"{arguments} changed something"


def init(directory, members="north,south,east", federation="clinics", *more):
    return (
        "init", directory, "--federation", federation, "--address", "127.0.0.1:18543", "--model", MODEL,
        "--labels", "complaint,praise", "--members", members, "--max-length", "48", *more,
    )  # fmt: skip


def join(invitation, directory, *more):
    return (
        "join", invitation, "--dir", directory, "--model", MODEL, "--data", DATA, "--text", "sentence",
        "--label", "label", *more,
    )  # fmt: skip


def edit(path, old, new):
    text = path.read_text()
    assert old in text, f"{path} does not hold {old!r}"
    path.write_text(text.replace(old, new, 1))


def modes(path):
    for name in ("identity.key", "tls.key"):
        assert (path / name).stat().st_mode & 0o777 == 0o600, f"{path / name} is readable by others"


def happy_path(work):
    """Operator: init, invite --accept, plan sign. Member: join, join --sign, plan sign."""
    operator = work / "operator"
    names = ["north", "south", "east"]
    ok(*init(operator))
    modes(operator)
    assert (operator / "ca.key").stat().st_mode & 0o777 == 0o600
    for name in names:
        ok(*join(operator / f"invitations/{name}.invite", work / name))
        modes(work / name)
    requests = [work / name / f"{name}.request" for name in names]
    answer = json.loads(ok("invite", operator, "--accept", *requests, "--format", "json"))
    assert answer == {"members": 3, "pending": 0, "pending_names": "", "complete": True}, answer
    for name in names:
        ok("join", operator / f"welcome/{name}.welcome", "--dir", work / name, "--sign")
    signatures = [work / name / f"{name}.signature" for name in names]
    answer = json.loads(ok("plan", "sign", operator, *signatures, "--format", "json"))
    assert answer["enough"] and answer["members_signed"] == 3, answer
    for name in names:
        ok("plan", "sign", work / name, operator / "plan.yaml.sigs")
        shown = json.loads(ok("plan", "show", work / name, "--format", "json"))
        assert shown["policy"]["reason"] == "accepted" and shown["cohort"]["quorum"] == 3, shown
        assert shown["upload"]["bytes_max"] > 0
        found = json.loads(ok("doctor", work / name, "--offline", "--format", "json"))
        assert found["ready"], found
    assert len({(work / name / "plan.yaml").read_bytes() for name in names}) == 1
    assert not list((operator / "invitations").iterdir()), "used invitations are gone"
    return operator


def wrong_beginnings(work):
    refused(USAGE, "a-z", *init(work / "x", federation="Clinics"))
    refused(USAGE, "no address", "init", work / "x", "--federation", "c", "--address", "here", "--model", MODEL,
            "--labels", "a,b")  # fmt: skip
    refused(NO_INPUT, "nowhere", "init", work / "x", "--federation", "c", "--address", "h:1", "--model",
            work / "nowhere", "--labels", "a,b")  # fmt: skip
    refused(USAGE, "'coordinator'", *init(work / "x", members="coordinator"))
    refused(CONFIG, "invited already", *init(work / "x", members="north,north"))
    refused(CONFIG, "max_examples", *init(work / "x", "a,b,c", "c", "--weights", "examples"))
    assert not list(work.glob("x*")), "a failed init leaves nothing behind"


def wrong_joins(work, operator):
    """operator has an open invitation of west."""
    invitation = operator / "invitations/west.invite"
    text = invitation.read_text()
    copy = work / "copy.invite"
    copy.write_text(text[: len(text) // 2])
    refused(DATA_WRONG, "cut off", *join(copy, work / "west"))
    copy.write_text(re.sub("field expires .*", "field expires 2001-01-01", text))
    refused(CONFIG, "expired", *join(copy, work / "west"))
    copy.write_text("nothing")
    refused(DATA_WRONG, "neither an invitation nor a welcome", *join(copy, work / "west"))
    other = work / "other-model"
    shutil.copytree(MODEL, other)
    edit(other / "tokenizer.json", "{", "{ ")
    code, _, err = rondo("join", invitation, "--dir", work / "west", "--model", other, "--data", DATA,
                         "--text", "sentence", "--label", "label")  # fmt: skip
    assert code == CONFIG and "get the same files" in err, err
    policy = work / "policy.yaml"
    policy.write_text("version: 1\n")
    refused(CONFIG, "is missing", *join(invitation, work / "west", "--policy", policy))
    refused(USAGE, "--data", "join", invitation, "--dir", work / "west", "--model", MODEL)
    assert not list(work.glob("west*")), "a failed join leaves nothing behind"
    ok(*join(invitation, work / "west"))
    refused(USAGE, "exists already", *join(invitation, work / "west"))


def wrong_requests(work, operator):
    request = work / "west/west.request"
    north = work / "north/north.request"
    copy = work / "copy.request"
    accept = ("invite", operator, "--accept")

    def bad(code, text, *files):
        unchanged(operator, refused, code, text, *accept, *files)

    bad(PEER, "is a member already", north)
    bad(PEER, "is a member already", request, north)
    copy.write_text(request.read_text())
    bad(PEER, "are both for 'west'", request, copy)
    edit(copy, "field address -", "field address a:1")
    bad(PEER, "not made with the invitation", copy)
    copy.write_text(request.read_text())
    edit(copy, "field member west", "field member stranger")
    bad(PEER, "no open invitation", copy)
    copy.write_text(request.read_text())
    edit(copy, "field federation clinics", "field federation banks")
    bad(PEER, "is for federation", copy)
    copy.write_text(request.read_text()[:-5])
    bad(DATA_WRONG, "cut off", copy)
    bad(NO_INPUT, "nowhere", work / "nowhere")
    # The same member invited again: a new token, so the old request is worth nothing.
    (operator / "invitations/west.invite").unlink()
    ok("invite", operator, "west")
    bad(PEER, "not made with the invitation", request)
    shutil.rmtree(work / "west")
    ok(*join(operator / "invitations/west.invite", work / "west"))
    # Another operator's request, made with its own invitation.
    foreign = work / "foreign"
    ok(*init(foreign, members="west,b,c"))
    ok(*join(foreign / "invitations/west.invite", work / "foreign-west"))
    bad(PEER, "not made with the invitation", work / "foreign-west/west.request")
    ok(*accept, request)
    bad(PEER, "is a member already", request)
    refused(USAGE, "is a member's directory", "invite", work / "west", "someone")
    refused(CONFIG, "is a member already", "invite", operator, "west")


def wrong_welcomes(work, operator):
    west = work / "west"
    welcome = operator / "welcome/west.welcome"
    copy = work / "copy.welcome"
    unchanged(west, refused, CONFIG, "is for another member", "join", operator / "welcome/north.welcome",
              "--dir", west)  # fmt: skip
    # A certificate of another CA, or of another member.
    foreign = work / "foreign"
    for name in "b", "c":
        ok(*join(foreign / f"invitations/{name}.invite", work / f"foreign-{name}"))
    ok("invite", foreign, "--accept", work / "foreign-west/west.request", work / "foreign-b/b.request",
       work / "foreign-c/c.request")  # fmt: skip
    unchanged(west, refused, IDENTITY, "", "join", foreign / "welcome/west.welcome", "--dir", west)
    text = welcome.read_text()
    for old in "rounds: 8", "member 0 north":
        copy.write_text(text.replace(old, old[:-1] + "9", 1))
        code, _, err = rondo("join", copy, "--dir", west)
        assert code in (CONFIG, PEER, DATA_WRONG), (code, err)
    ok("join", welcome, "--dir", west)


def wrong_policies(work, operator):
    """Each bound refuses with its stable code; nothing is signed then."""
    west = work / "west"
    policy = west / "policy.yaml"
    accepted = policy.read_text()
    for old, new, reason in [
        ("rank_max: 4", "rank_max: 3", "policy-rank-too-large"),
        ("rounds_max: 8", "rounds_max: 7", "policy-rounds-too-many"),
        ("steps_max: 50", "steps_max: 49", "policy-steps-too-many"),
        ("allowed: [rolora]", "allowed: [ffa-lora]", "policy-method"),
        ('targets: ["query", "value"]', 'targets: ["query"]', "policy-target"),
        ("members_min: 3", "members_min: 9", "policy-cohort-too-small"),
        ("threshold_min: 3", "threshold_min: 9", "policy-threshold-too-low"),
        ("heads: [federated]", "heads: [frozen]", "policy-head"),
    ]:
        edit(policy, old, new)
        unchanged(west, refused, REFUSED, reason, "plan", "sign", west)
        code, out, _ = rondo("plan", "check", west, "--format", "json")
        assert code == REFUSED and json.loads(out)["policy"]["reason"] == reason, out
        policy.write_text(accepted)
    edit(policy, "rank_max: 4", "rank_max: 4\n  rank_min: 1")
    refused(CONFIG, "unknown key 'lora.rank_min'", "plan", "sign", west)
    policy.unlink()
    refused(REFUSED, "without it nothing runs", "plan", "sign", west)
    policy.write_text(accepted)
    plan = west / "plan.yaml"
    signed = plan.read_text()
    edit(plan, "lr_a: 0.001", "lr_a: 0.002")
    ok("plan", "sign", west)  # a changed plan is another plan: the others' signatures do not count
    refused(PEER, "another plan", "plan", "sign", west, operator / "plan.yaml.sigs")
    plan.write_text(signed)
    ok("plan", "sign", west, operator / "plan.yaml.sigs")
    shutil.copy(work / "north/north.signature", work / "foreign.signature")
    edit(work / "foreign.signature", "north ", "west ")
    refused(PEER, "another plan", "plan", "sign", west, work / "foreign.signature")


def infeasible(work):
    """Two members cannot hide anyone; the reason is said, and more members repair it."""
    operator = work / "two"
    ok(*init(operator, members="a,b"))
    for name in "a", "b":
        ok(*join(operator / f"invitations/{name}.invite", work / f"two-{name}"))
    refused(CONFIG, "cannot hide anyone", "invite", operator, "--accept", work / "two-a/a.request",
            work / "two-b/b.request")  # fmt: skip
    refused(CONFIG, "cannot hide anyone", "plan", "check", operator)
    ok("invite", operator, "c", "d")
    for name in "c", "d":
        ok(*join(operator / f"invitations/{name}.invite", work / f"two-{name}"))
    answer = json.loads(ok("invite", operator, "--accept", work / "two-c/c.request", "--format", "json"))
    assert answer["pending_names"] == "d" and not answer["complete"], answer
    ok("invite", operator, "--accept", "--final")
    assert (operator / "welcome/c.welcome").exists()
    plan = json.loads(ok("plan", "check", operator, "--format", "json"))
    assert plan["cohort"]["members"] == 3 and plan["cohort"]["losses_max"] == 0, plan
    refused(CONFIG, "survive at most 0", "plan", "check", edited_plan(work, operator, "losses: 0", "losses: 1"),
            "--members", "3")  # fmt: skip
    ok("plan", "check", work / "edited.yaml", "--members", "4")


def edited_plan(work, operator, old, new):
    path = work / "edited.yaml"
    path.write_text((operator / "plan.yaml").read_text())
    edit(path, old, new)
    return path


def listening_member(work):
    """A member that the coordinator dials is entered in the coordinator's configuration."""
    operator = work / "dialling"
    ok(*init(operator, members="a,b,c"))
    ok(*join(operator / "invitations/a.invite", work / "dial-a", "--listen", "127.0.0.1:18544"))
    ok(*join(operator / "invitations/b.invite", work / "dial-b", "--listen", "0.0.0.0:18545", "--address",
             "b.example.org:18545"))  # fmt: skip
    ok(*join(operator / "invitations/c.invite", work / "dial-c"))
    ok("invite", operator, "--accept", *[work / f"dial-{n}/{n}.request" for n in "abc"])
    text = (operator / "site.yaml").read_text()
    assert "direction: both" in text and '"b.example.org:18545"' in text and "name: a" in text, text
    assert "direction: listen" in (work / "dial-a/site.yaml").read_text()
    code, out, _ = rondo("doctor", operator, "--offline", "--format", "json")
    failed = [finding["check"] for finding in json.loads(out)["findings"] if finding["state"] == "failed"]
    assert code == CONFIG and failed == ["signatures"], out


def renewal(work, operator):
    """Everybody gets a new certificate; a new period is a new roster, hence a new plan to sign."""
    def state():
        return tree(operator)

    before = state()
    answer = json.loads(ok("invite", operator, "--renew", "--days", "700", "--format", "json"))
    assert answer["complete"] and answer["members"] == 4, answer
    changed = {name for name, value in state().items() if before.get(name) != value}
    expected = {"tls.crt", "roster", "plan.yaml", "plan.yaml.sigs"}
    for name in "north", "south", "east", "west":
        expected |= {f"members/{name}.crt", f"welcome/{name}.welcome"}
    assert changed == expected, changed ^ expected
    refused(PEER, "another plan", "plan", "sign", operator, work / "north/north.signature")
    for name in "north", "south", "east", "west":
        ok("join", operator / f"welcome/{name}.welcome", "--dir", work / name, "--sign")
    ok("plan", "sign", operator, *[work / n / f"{n}.signature" for n in ("north", "south", "east", "west")])
    ok("plan", "sign", work / "north", operator / "plan.yaml.sigs")
    assert json.loads(ok("doctor", work / "north", "--offline", "--format", "json"))["ready"]


def own_plan(work):
    operator = work / "own"
    source = work / "operator/plan.yaml"
    ok("init", operator, "--federation", "clinics", "--address", "h:1", "--model", MODEL, "--plan", source)
    text = (operator / "plan.yaml").read_text()
    assert "hash: " + 64 * "0" in text and text.count("\n") == source.read_text().count("\n")
    bad = work / "bad.yaml"
    bad.write_text(source.read_text() + "extra: 1\n")
    refused(CONFIG, "unknown key 'extra'", "init", work / "y", "--federation", "clinics", "--address", "h:1",
            "--model", MODEL, "--plan", bad)  # fmt: skip
    assert not list(work.glob("y*"))


def main():
    if not RONDO.exists():
        print(f"skipped: {RONDO} is not built")
        return 77
    with tempfile.TemporaryDirectory(prefix="rondo-enrolment-") as folder:
        work = pathlib.Path(folder)
        operator = happy_path(work)
        wrong_beginnings(work)
        ok("invite", operator, "west")
        wrong_joins(work, operator)
        wrong_requests(work, operator)
        wrong_welcomes(work, operator)
        wrong_policies(work, operator)
        infeasible(work)
        listening_member(work)
        renewal(work, operator)
        own_plan(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
