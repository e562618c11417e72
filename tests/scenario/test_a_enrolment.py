#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Setting up a federation with the real `rondo`: the commands of the README, and everything that
must be refused without leaving anything half-written behind.

RONDO_BIN is the folder of the programs (default: build/release/bin).
"""

import base64
import gzip
import hashlib
import json
import pathlib
import quopri
import re
import shutil
import subprocess
import sys
import tempfile

from federation import (BIN, CONFIG, DATA, IDENTITY, LIMIT, MODEL, NO_INPUT, PEER, PERMISSION, REFUSED, TRAIN,
                        USAGE, edit, ok, refused, rondo, roster)  # fmt: skip

RONDO = BIN / "rondo"


def tree(path):
    """Every file below path with its hash."""
    path = pathlib.Path(path)
    return {
        str(f.relative_to(path)): hashlib.sha256(f.read_bytes()).hexdigest()
        for f in sorted(path.rglob("*"))
        if f.is_file() and f.name != ".setup.lock"
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
        "join", invitation, "--dir", directory, "--model", MODEL, "--data", TRAIN, "--text", "sentence",
        "--label", "label", *more,
    )  # fmt: skip


def modes(path):
    for name in ("identity.key", "tls.key"):
        assert (path / name).stat().st_mode & 0o777 == 0o600, f"{path / name} is readable by others"


def unconfirmed(operator, site, name):
    """A welcome whose roster nobody compared is shown, and nothing of it is taken over."""
    welcome = ("join", operator / f"welcome/{name}.welcome", "--dir", site, "--sign")
    fingerprint = roster(operator)[1]
    before = tree(site)
    code, out, err = rondo(*welcome)
    assert code == REFUSED and fingerprint in out and fingerprint in err, (code, out, err)
    assert re.search(f"{name} +this site +[0-9]{{5}}", out) and len(re.findall(" new ", out)) == 2, out
    code, out, _ = rondo(*welcome, "--format", "json")
    shown = json.loads(out)
    assert code == REFUSED and not shown["taken"] and shown["roster"]["fingerprint"] == fingerprint, (code, out)
    assert all(re.fullmatch("([0-9]{5} ){7}[0-9]{5}", row["fingerprint"]) for row in shown["roster"]["members"]), out
    wrong = ("0" if fingerprint[0] != "0" else "1") + fingerprint[1:]
    for given in wrong, fingerprint[:-1], fingerprint + "0", "":
        code, _, err = rondo(*welcome, "--roster", given)
        assert code in (REFUSED, USAGE), (given, code, err)
    assert tree(site) == before, "a roster that nobody confirmed was taken over"


def piece(bundle, name):
    """Where the file `name` of a bundle is: of its line, its first byte, its end."""
    head = f"file {name} ".encode()
    at = bundle.index(head)
    start = bundle.index(b"\n", at) + 1
    return at, start, start + int(bundle[at + len(head) : start - 1])


# case 45
def swapped_later(work):
    """Everybody compared and joined; then the operator puts a key of its own in south's place."""
    operator, north = work / "swapper", work / "swap-north"
    names = ("north", "south", "east", "west")
    ok(*init(operator, ",".join(names), "clinics", "--losses", "0"))
    for name in names:
        ok(*join(operator / f"invitations/{name}.invite", work / f"swap-{name}"))
    ok("invite", operator, "--accept", *[work / f"swap-{n}/{n}.request" for n in names])
    ok("join", operator / "welcome/north.welcome", "--dir", north, "--sign", *roster(operator))
    plan = json.loads(ok("plan", "show", north, "--format", "json"))
    assert plan["policy"]["reason"] == "accepted" and plan["roster"]["fingerprint"] == roster(operator)[1], plan
    keys = {row["name"]: row for row in plan["roster"]["members"]}
    words = ok("plan", "show", north)
    assert all(f"{row['fingerprint']} {name}\n" in words for name, row in keys.items()), words
    found = json.loads(ok("doctor", north, "--offline", "--format", "json"))["findings"]
    said = next(finding for finding in found if finding["check"] == "roster")
    assert plan["roster"]["fingerprint"] in str(said) and keys["north"]["fingerprint"] in str(said), said

    # One member less: a difference that is shown and has to be confirmed.
    ok("member", "remove", operator, "south")
    welcome = ("join", operator / "welcome/north.welcome", "--dir", north)
    before = tree(north)
    code, out, err = rondo(*welcome)
    assert code == REFUSED and re.search("south +gone", out) and len(re.findall(" known ", out)) == 2, (code, out, err)
    assert tree(north) == before, "a roster that nobody confirmed was taken over"
    # And under south's name a key that is the operator's.
    ok("invite", operator, "south")
    ok(*join(operator / "invitations/south.invite", work / "swap-mallory"))
    ok("invite", operator, "--accept", work / "swap-mallory/south.request")
    for given in (), roster(operator):
        unchanged(north, refused, REFUSED, "another key for 'south'", *welcome, "--sign", *given)
    _, out, _ = rondo(*welcome)
    assert re.search("south +OTHER KEY", out), out
    # Nor by the way of a renewal, which brings a certificate and no file more.
    ok("invite", operator, "--renew", "north", "--days", "500")
    renewal, brought = operator / "renewals/north.renewal", (operator / "welcome/north.welcome").read_bytes()
    at, _, end = piece(brought, "roster")
    loaded = work / "loaded.renewal"
    loaded.write_bytes(renewal.read_bytes() + brought[at:end])
    unchanged(north, refused, DATA, "loaded.renewal", "join", loaded, "--dir", north)
    held = tree(north)
    ok("join", renewal, "--dir", north)
    assert {name for name, value in tree(north).items() if held.get(name) != value} == {"tls.crt"}
    # The files by hand: neither signed nor run.
    keep = {name: (north / name).read_bytes() for name in ("roster", "plan.yaml", "plan.yaml.sigs")}
    for name in keep:
        _, start, end = piece(brought, name)
        (north / name).write_bytes(brought[start:end])
    refused(REFUSED, "policy-members", "plan", "sign", north)
    refused(REFUSED, "another key for 'south'", north, program="rondo-trainer")
    for name, content in keep.items():
        (north / name).write_bytes(content)
    # South says that it has a new key: its pin goes, and the new roster is compared.
    edit(north / "policy.yaml", f"  - name: south\n    key: {keys['south']['key']}\n", "")
    unchanged(north, refused, REFUSED, "nobody has confirmed", *welcome)
    ok(*welcome, "--sign", *roster(operator))
    assert keys["south"]["key"] not in (north / "policy.yaml").read_text()


# case 22
def invented_members(work):
    """An operator that makes up the other members. What it signs for them trains nothing at north."""
    honest, operator, north = work / "honest", work / "inventor", work / "deceived"
    for directory in honest, operator:
        ok(*init(directory))
    for name in "south", "east":  # at the operator's, not at south's and east's
        ok(*join(operator / f"invitations/{name}.invite", work / f"invented-{name}"))
        ok(*join(honest / f"invitations/{name}.invite", work / f"real-{name}"))
    ok(*join(operator / "invitations/north.invite", north))
    ok("invite", operator, "--accept", north / "north.request",
       *[work / f"invented-{n}/{n}.request" for n in ("south", "east")])  # fmt: skip
    for name in "south", "east":
        ok("join", operator / f"welcome/{name}.welcome", "--dir", work / f"invented-{name}", "--sign", *roster(operator))
    ok("plan", "sign", operator, *[work / f"invented-{n}/{n}.signature" for n in ("south", "east")])
    # South and east hold keys of their own and read out another fingerprint.
    ok(*join(honest / "invitations/north.invite", work / "real-north"))
    ok("invite", honest, "--accept", *[work / f"real-{n}/{n}.request" for n in ("north", "south", "east")])
    welcome = ("join", operator / "welcome/north.welcome", "--dir", north, "--sign")
    unchanged(north, refused, REFUSED, "compare it", *welcome)
    unchanged(north, refused, REFUSED, "different members", *welcome, *roster(honest))
    # The files by hand, with the signatures of the invented: the policy that pins nobody runs nothing.
    bundle = (operator / "welcome/north.welcome").read_bytes()
    for name in "tls.crt", "roster", "plan.yaml", "plan.yaml.sigs":
        _, start, end = piece(bundle, name)
        (north / name).write_bytes(bundle[start:end])
    refused(REFUSED, "policy-members", "plan", "sign", north)
    code, _, err = rondo(north, program="rondo-trainer")
    assert code == REFUSED and "pins no member" in err, (code, err)
    # South's real key is pinned; a later welcome with the invented one is refused whatever is confirmed.
    keys = {row["name"]: row["key"] for row in json.loads(ok("member", "list", honest, "--format", "json"))["members"]}
    del keys["east"], keys["north"]
    pins = "".join(f"  - name: {name}\n    key: {key}\n" for name, key in keys.items())
    policy = north / "policy.yaml"
    before = policy.read_text()
    policy.write_text(before.replace("members: []", "members:\n" + pins))
    unchanged(north, refused, REFUSED, "has another key for 'south'", *welcome, *roster(operator))
    policy.write_text(before)
    ok(*welcome, *roster(operator))  # a data owner who confirms it all the same has been told
    assert policy.read_text().startswith(before.split("members: []")[0]), "the rest of the policy stays"


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
        unconfirmed(operator, work / name, name)
        ok("join", operator / f"welcome/{name}.welcome", "--dir", work / name, "--sign", *roster(operator))
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


def findings(directory):
    _, out, _ = rondo("doctor", directory, "--offline", "--format", "json")
    return {finding["check"]: finding for finding in json.loads(out)["findings"]}


def doctor_only_looks(work, operator):
    """It says what the site is, and makes nothing: what another user made there the service could not use."""
    found = findings(operator)
    assert found["configuration"]["text"].startswith("coordinator "), found
    assert "this site" not in found["roster"]["text"] and "this site" in findings(work / "north")["roster"]["text"]
    state = work / "north/state"
    state.rename(work / "aside")
    assert findings(work / "north")["state"]["state"] == "skipped" and not state.exists()
    (work / "aside").rename(state)


def wrong_beginnings(work):
    refused(USAGE, "a-z", *init(work / "x", federation="Clinics"))
    refused(USAGE, "no address", "init", work / "x", "--federation", "c", "--address", "here", "--model", MODEL,
            "--labels", "a,b")  # fmt: skip
    refused(NO_INPUT, "nowhere", "init", work / "x", "--federation", "c", "--address", "h:1", "--model",
            work / "nowhere", "--labels", "a,b")  # fmt: skip
    refused(USAGE, "'coordinator'", *init(work / "x", members="coordinator"))
    refused(USAGE, "named twice", *init(work / "x", members="north,north"))
    refused(CONFIG, "max_examples", *init(work / "x", "a,b,c", "c", "--weights", "examples"))
    assert not list(work.glob("x*")), "a failed init leaves nothing behind"


def wrong_joins(work, operator):
    """operator has an open invitation of west."""
    invitation = operator / "invitations/west.invite"
    text = invitation.read_text()
    copy = work / "copy.invite"
    copy.write_text(text[: len(text) // 2])
    refused(DATA, "cut off", *join(copy, work / "west"))
    copy.write_text(re.sub("field expires .*", "field expires 2001-01-01", text))
    refused(CONFIG, "expired", *join(copy, work / "west"))
    copy.write_text("nothing")
    refused(DATA, "neither an invitation nor a welcome", *join(copy, work / "west"))
    other = work / "other-model"
    shutil.copytree(MODEL, other)
    edit(other / "tokenizer.json", "{", "{ ")
    code, _, err = rondo("join", invitation, "--dir", work / "west", "--model", other, "--data", TRAIN,
                         "--text", "sentence", "--label", "label")  # fmt: skip
    assert code == CONFIG and "get the same files" in err, err
    policy = work / "policy.yaml"
    policy.write_text("version: 1\n")
    refused(CONFIG, "is missing", *join(invitation, work / "west", "--policy", policy))
    refused(USAGE, "--data", "join", invitation, "--dir", work / "west", "--model", MODEL)
    refused(USAGE, "--sign goes with a welcome", *join(invitation, work / "west", "--sign"))
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
    bad(DATA, "cut off", copy)
    bad(NO_INPUT, "nowhere", work / "nowhere")
    # The same member invited again: a new token, so the old request is worth nothing.
    assert "are void" in ok("invite", operator, "west")
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
        assert code in (CONFIG, PEER, DATA), (code, err)
    ok("join", welcome, "--dir", west, *roster(operator))


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
    refused(CONFIG, "signs another plan", "plan", "sign", west, operator / "plan.yaml.sigs")
    plan.write_text(signed)
    ok("plan", "sign", west, operator / "plan.yaml.sigs")
    shutil.copy(work / "north/north.signature", work / "foreign.signature")
    edit(work / "foreign.signature", "north ", "west ")
    refused(CONFIG, "signs another plan", "plan", "sign", west, work / "foreign.signature")


# case 51
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
    found = json.loads(ok("doctor", operator, "--offline", "--format", "json"))
    note = next(finding for finding in found["findings"] if finding["check"] == "signatures")
    assert note["state"] == "warning" and "not yet a, b, c" in note["text"], found


def renewal(work, operator):
    """Everybody gets a new certificate; nothing that is signed or hashed changes."""
    before = tree(operator)
    names = "north", "south", "east", "west"
    answer = json.loads(ok("invite", operator, "--renew", "--days", "700", "--format", "json"))
    assert answer["complete"] and answer["members"] == 4, answer
    changed = {name for name, value in tree(operator).items() if before.get(name) != value}
    expected = {"tls.crt"}
    for name in names:
        expected |= {f"members/{name}.crt", f"renewals/{name}.renewal"}
    assert changed == expected, changed ^ expected
    for step, option in (("renewal", "--sign"), ("renewal", "--out=x"), ("renewal", "--threads=2"),
                         ("welcome", f"--model={MODEL}"), ("welcome", "--no-header")):
        unchanged(work / "north", refused, USAGE, f"{option.split('=')[0]} goes with", "join",
                  operator / f"{step}{'' if step == 'welcome' else 's'}/north.{step}", "--dir", work / "north", option)
    for name in names:
        site = tree(work / name)
        ok("join", operator / f"renewals/{name}.renewal", "--dir", work / name)
        after = tree(work / name)
        assert {file for file in after if site.get(file) != after[file]} == {"tls.crt"}, name
    for name in names:  # an older welcome does not put the older certificate back
        held = (work / name / "tls.crt").read_bytes()
        ok("join", operator / f"welcome/{name}.welcome", "--dir", work / name, "--sign", *roster(operator))
        assert (work / name / "tls.crt").read_bytes() == held
        # The welcome is older than this member's signature, too: what it has collected stays.
        unchanged(work / name, ok, "join", operator / f"welcome/{name}.welcome", "--dir", work / name)
    ok("plan", "sign", operator, *[work / n / f"{n}.signature" for n in names])
    ok("plan", "sign", work / "north", operator / "plan.yaml.sigs")
    assert json.loads(ok("doctor", work / "north", "--offline", "--format", "json"))["ready"]


def signed_too_early(work, operator):
    """The signature of an earlier plan is no attack: it names both plans."""
    plan = operator / "plan.yaml"
    signed = plan.read_text()
    edit(plan, "lr_a: 0.001", "lr_a: 0.002")
    refused(CONFIG, "signs another plan", "plan", "sign", operator, work / "north/north.signature")
    plan.write_text(signed)


def invitations_follow_the_plan(work):
    """What `rondo init` prints under Next, word for word, with a changed plan; no policy refuses it."""
    operator = work / "follow"
    names = ["a", "b", "c"]
    said = ok(*init(operator, members="a,b,c"))
    assert f"after a change: rondo invite {operator}," in said, said
    early = work / "early.invite"
    shutil.copy(operator / "invitations/a.invite", early)
    token = re.search("field token .*", early.read_text())[0]
    edit(operator / "plan.yaml", "rank: 4", "rank: 8")
    assert "3 open invitation(s) hold the plan as it is now" in ok("invite", operator)
    invitation = (operator / "invitations/a.invite").read_text()
    assert "rank: 8" in invitation and token in invitation
    assert oct((operator / "invitations/a.invite").stat().st_mode)[-3:] == "600"
    unchanged(operator / "invitations", ok, "invite", operator)
    # A member that holds the earlier copy can still answer it, and its policy is that of the copy.
    ok(*join(early, work / "follow-a"))
    for name in "b", "c":
        ok(*join(operator / f"invitations/{name}.invite", work / f"follow-{name}"))
    edit(operator / "plan.yaml", "rounds: 8", "rounds: 7")  # inside everybody's bounds
    said = ok("invite", operator, "--accept", *[work / f"follow-{n}/{n}.request" for n in names])
    assert "plan.yaml was changed after 3 of them were invited" in said, said
    refused(REFUSED, "policy-rank-too-large", "join", operator / "welcome/a.welcome", "--dir", work / "follow-a",
            "--sign", *roster(operator))  # fmt: skip
    for name in "b", "c":
        ok("join", operator / f"welcome/{name}.welcome", "--dir", work / f"follow-{name}", "--sign", *roster(operator))
    edit(work / "follow-a/policy.yaml", "rank_max: 4", "rank_max: 8")
    edit(work / "follow-a/policy.yaml", "bytes_max: 268435456", "bytes_max: 1000")
    unchanged(work / "follow-a", refused, REFUSED, "policy-upload-too-large", "plan", "sign", work / "follow-a")
    edit(work / "follow-a/policy.yaml", "bytes_max: 1000", "bytes_max: 268435456")
    ok("plan", "sign", work / "follow-a")
    answer = json.loads(ok("plan", "sign", operator, *[work / f"follow-{n}/{n}.signature" for n in names],
                           "--format", "json"))  # fmt: skip
    assert answer["members_signed"] == 3, answer


def expired_invitation(work):
    operator = work / "late"
    ok(*init(operator, members="a,b,c"))
    ok(*join(operator / "invitations/a.invite", work / "late-a"))
    invitation = operator / "invitations/a.invite"
    invitation.write_text(re.sub("field expires .*", "field expires 2001-01-01", invitation.read_text()))
    refused(PEER, f"(rondo invite {operator} a)", "invite", operator, "--accept", work / "late-a/a.request")
    ok("invite", operator, "a")  # the way on that was named
    shutil.rmtree(work / "late-a")
    ok(*join(invitation, work / "late-a"))
    ok("invite", operator, "--accept", work / "late-a/a.request")


def mailed(work):
    """Mail programs change line ends, lines and first bytes; what can be undone exactly is."""
    operator = work / "mail"
    ok(*init(operator, members="a,b,c"))
    invitation = operator / "invitations/a.invite"
    original = invitation.read_bytes()
    mailed = work / "mailed.invite"
    for kind, text in {
        "crlf": original.replace(b"\n", b"\r\n"),
        "bom": b"\xef\xbb\xbf" + original,
        "quoted": quopri.encodestring(original),
        "quoted-crlf": quopri.encodestring(original).replace(b"\n", b"\r\n"),
        "blank-lines": original + b"\r\n\r\n",
        "no-last-break": original[:-1],
    }.items():
        mailed.write_bytes(text)
        ok(*join(mailed, work / f"mail-{kind}"))
    for says, text in {
        "UTF-16": original.decode().encode("utf-16"),
        "a whole mail message": b"Received: from mx\nSubject: x\n\n" + original,
        "in base64": base64.encodebytes(original),
        "a zip archive": b"PK\x03\x04" + original,
        "HTML": b"<html>" + original,
        "an empty file": b"",
        "it goes to the operator": (work / "mail-crlf/a.request").read_bytes(),
        "line ends are CR LF": original[:-40].replace(b"\n", b"\r\n"),
    }.items():
        mailed.write_bytes(text)
        refused(DATA, says, *join(mailed, work / "mail-x"))
    request = work / "mailed.request"
    request.write_bytes(quopri.encodestring((work / "mail-crlf/a.request").read_bytes()))
    refused(DATA, "an invitation: it goes to a member", "invite", operator, "--accept", invitation)
    ok("invite", operator, "--accept", request)
    assert not list(work.glob("mail-x*"))


def addresses(work):
    refused(USAGE, "port 0", *init(work / "x")[:4], "--address", "127.0.0.1:0", "--model", MODEL, "--labels", "a,b")
    refused(USAGE, "no address", *init(work / "x")[:4], "--address", "h:70000", "--model", MODEL, "--labels", "a,b")
    operator = work / "reach"
    ok(*init(operator, members="a,b,c"))
    refused(USAGE, "port 0", "invite", operator, "d", "--address", "fed.example.org:0")
    refused(USAGE, "port 0", *join(operator / "invitations/a.invite", work / "x", "--listen", "127.0.0.1:0"))
    ok(*join(operator / "invitations/a.invite", work / "reach-a", "--listen", "127.0.0.1:0", "--address", "h:1"))
    edit(operator / "invitations/b.invite", "127.0.0.1:18543", "127.0.0.1:0")
    refused(CONFIG, "network.dial", *join(operator / "invitations/b.invite", work / "x"))
    assert not list(work.glob("x*"))


def plans_that_the_model_cannot_run(work):
    """Target modules, layers, length: known at every gate that has the model."""
    wrong = [("--targets", "qery", "qery"), ("--max-length", "512", "512")]
    for option, value, says in wrong:
        code, _, err = rondo(*init(work / "x"), option, value) if option != "--max-length" else rondo(
            *[item for item in init(work / "x") if item not in ("--max-length", "48")], option, value)  # fmt: skip
        assert code == CONFIG and says in err and "does not suit the base model" in err, (code, err)
    assert not list(work.glob("x*"))
    operator = work / "unfit"
    ok(*init(operator, members="a,b,c"))
    plan = operator / "plan.yaml"
    good = plan.read_text()
    assert "No invitation" not in ok("invite", operator)
    for old, new in [('"query"', '"qery"'), ("max_length: 48", "max_length: 512"), ("layers: []", "layers: [9]")]:
        edit(plan, old, new)
        unchanged(operator, refused, CONFIG, "does not suit the base model", "invite", operator)
        # An invitation with such a plan, as another version may have made it.
        invitation = operator / "invitations/a.invite"
        kept = invitation.read_text()
        text = kept.replace(good, plan.read_text()).replace(f"plan.yaml {len(good)}", f"plan.yaml {len(plan.read_text())}")
        invitation.write_text(text)
        refused(CONFIG, "does not suit the base model", *join(invitation, work / "x"))
        invitation.write_text(kept)
        plan.write_text(good)
    for name in "abc":
        ok(*join(operator / f"invitations/{name}.invite", work / f"unfit-{name}"))
    requests = [work / f"unfit-{name}/{name}.request" for name in "abc"]
    edit(plan, '"query"', '"qery"')
    unchanged(operator, refused, CONFIG, "does not suit the base model", "invite", operator, "--accept", *requests)
    plan.write_text(good)
    ok("invite", operator, "--accept", *requests)
    member = work / "unfit-a"
    ok("join", operator / "welcome/a.welcome", "--dir", member, *roster(operator))
    edit(member / "policy.yaml", '"query"', '"qery", "query"')
    edit(member / "plan.yaml", '"query"', '"qery"')
    unchanged(member, refused, CONFIG, "does not suit the base model", "plan", "sign", member)


def data_that_cannot_be_read(work):
    """Columns, an empty file, a format, dev's columns and counts: at join, not in the first round."""
    operator = work / "data"
    ok(*init(operator, members="a,b,c", federation="clinics"))
    invitation = operator / "invitations/a.invite"
    site = work / "x"

    def bad(says, data, *more, text="sentence", label="label"):
        code, _, err = rondo("join", invitation, "--dir", site, "--model", MODEL, "--data", data, "--text", text,
                             "--label", label, *more)  # fmt: skip
        assert code in (USAGE, DATA, CONFIG, NO_INPUT) and says in err, (says, code, err)
        assert not list(work.glob("x*")), "a failed join leaves nothing behind"

    rows = gzip.open(TRAIN, "rt").read().splitlines()
    small = work / "small.tsv"
    small.write_text("\n".join(rows[:9]) + "\n")
    other = work / "other.tsv"
    other.write_text("text\tclass\n" + "\n".join(rows[1:5]) + "\n")
    empty = work / "empty.tsv"
    empty.write_text("")
    table = work / "table.parquet"
    table.write_bytes(b"PAR1" + bytes(64))
    bad("sentenc", small, text="sentenc")
    bad("lable", small, label="lable")
    bad("two columns", small, text="sentence,label,more")
    bad("empty.tsv", empty)
    bad("parquet", table)
    bad("sentence", small, "--dev", other)
    code, _, err = rondo(*init(work / "y"), "--dev", other, "--text", "sentence", "--label", "label")
    assert code in (USAGE, CONFIG) and "sentence" in err, (code, err)
    assert not list(work.glob("y*"))
    # Facts that change after the join are met again at the signature.
    ok("join", invitation, "--dir", work / "data-a", "--model", MODEL, "--data", small, "--text", "sentence",
       "--label", "label")  # fmt: skip
    for name in "b", "c":
        ok(*join(operator / f"invitations/{name}.invite", work / f"data-{name}"))
    ok("invite", operator, "--accept", *[work / f"data-{n}/{n}.request" for n in "abc"])
    small.write_text("text\tlabel\n" + "\n".join(rows[1:9]) + "\n")
    refused(CONFIG, "site.yaml, data", "join", operator / "welcome/a.welcome", "--dir", work / "data-a", "--sign",
            *roster(operator))  # fmt: skip
    assert not (work / "data-a/a.signature").exists()


def more_examples_than_claimed(work):
    operator = work / "count"
    ok(*init(operator, "a,b,c", "clinics", "--weights", "examples", "--max-examples", "10"))
    rows = gzip.open(TRAIN, "rt").read().splitlines()
    data = work / "count.tsv"

    def arguments(name, directory):
        return ("join", operator / f"invitations/{name}.invite", "--dir", directory, "--model", MODEL, "--data", data,
                "--text", "sentence", "--label", "label")  # fmt: skip

    data.write_text("\n".join(rows[:11]) + "\n")
    for name in "bc":
        _, _, err = rondo(*arguments(name, work / f"count-{name}"))
        assert not err, f"as many as allowed: {err}"
    data.write_text("\n".join(rows[:12]) + "\n")
    code, _, err = rondo(*arguments("a", work / "count-a"), "--quiet")
    assert code == 0 and "11 training examples, but the plan's max_examples is 10" in err, (code, err)
    ok("invite", operator, "--accept", *[work / f"count-{n}/{n}.request" for n in "abc"])
    code, _, err = rondo("join", operator / "welcome/a.welcome", "--dir", work / "count-a", "--quiet")
    assert code == REFUSED and "max_examples is 10" in err, f"known before anybody is called: {code} {err}"
    refused(CONFIG, "max_examples is 10", "join", operator / "welcome/a.welcome", "--dir", work / "count-a", "--sign",
            *roster(operator))  # fmt: skip
    code, out, _ = rondo("doctor", work / "count-a", "--offline", "--format", "json")
    data_finding = next(finding for finding in json.loads(out)["findings"] if finding["check"] == "data")
    assert code == CONFIG and "max_examples is 10" in str(data_finding), data_finding


def local_head(work):
    """Nothing is measured where each member keeps a head of its own: init says so."""
    more = ("--head", "local", "--dev", TRAIN, "--text", "sentence", "--label", "label")
    code, _, err = rondo(*init(work / "local", "north,south,east", "clinics", *more))
    assert code == 0 and "--dev is not used" in err, err


def concessions(work):
    """Join says what the policy that it writes allows; nothing is summed unless the plan asks for it."""
    operator = work / "concede"
    ok(*init(operator, members="a,b,c"))
    assert "metrics: home" in (operator / "plan.yaml").read_text()
    said = ok(*join(operator / "invitations/a.invite", work / "concede-a"))
    assert "metrics: [home]" in (work / "concede-a/policy.yaml").read_text()
    for clause in ("plan", "cohort", "method", "metrics", "model", "lora", "training", "upload"):
        assert re.search(f"^  {clause} +[^ ]", said, re.M), (clause, said)
    assert "losses and example counts stay at this site" in said and "rank up to 4 on query, value" in said, said
    edit(operator / "plan.yaml", "metrics: home", "metrics: summed")
    ok("invite", operator)
    answer = json.loads(ok(*join(operator / "invitations/b.invite", work / "concede-b"), "--format", "json"))
    assert answer["policy"]["metrics"].startswith("SUMMED"), answer


def open_keys(work, operator):
    """A key that others can read is refused wherever it is read."""
    west = work / "west"
    for directory, name, command in [
        (west, "tls.key", ("join", operator / "renewals/west.renewal", "--dir", west)),
        (west, "identity.key", ("plan", "sign", west)),
        (operator, "ca.key", ("invite", operator, "--renew", "west")),
    ]:
        key = directory / name
        key.chmod(0o640)
        unchanged(directory, refused, PERMISSION, f"chmod 600 {key}", *command)
        key.chmod(0o600)
    (west / "tls.key").chmod(0o604)
    code, out, _ = rondo("doctor", west, "--offline", "--format", "json")
    assert code != 0 and "chmod 600" in out, out
    (work / "north/tls.key").chmod(0o640)
    done = subprocess.run([RONDO.with_name("rondo-trainer"), work / "north"], capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == PERMISSION and "chmod 600" in done.stderr, done
    (west / "tls.key").chmod(0o600)
    (work / "north/tls.key").chmod(0o600)


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
        invented_members(work)
        swapped_later(work)
        doctor_only_looks(work, operator)
        wrong_beginnings(work)
        ok("invite", operator, "west")
        for options in (("--accept", "--renew"), ("--final",), ("--renew", "--address", "h:1"), ("--days", "9")):
            unchanged(operator, refused, USAGE, "--", "invite", operator, *options)
        wrong_joins(work, operator)
        wrong_requests(work, operator)
        wrong_welcomes(work, operator)
        wrong_policies(work, operator)
        infeasible(work)
        listening_member(work)
        renewal(work, operator)
        signed_too_early(work, operator)
        open_keys(work, operator)
        invitations_follow_the_plan(work)
        expired_invitation(work)
        mailed(work)
        addresses(work)
        plans_that_the_model_cannot_run(work)
        data_that_cannot_be_read(work)
        more_examples_than_claimed(work)
        concessions(work)
        local_head(work)
        own_plan(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
