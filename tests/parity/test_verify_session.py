#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records sessions (RONDO_RECORDER), has them verified, and sees that the verifier locates what is not as it was: a byte
flipped in any message, and statements that their senders signed but the protocol does not allow, case 23
and case 50. Then the test vectors of crypto/secagg/PROTOCOL.md.

    test_verify_session.py [--vectors]      --vectors prints them as the document has them
"""
import copy
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import forgeries
import vectors
from verifier.recording import HEAD, Failure, load, records
from verifier.session import TYPES, Session, located, verify

HERE = Path(__file__).resolve().parent
SCENARIOS = {  # what has to be found in each: findings, survivors, blamed
    "losses": (["shares: what member 4 dealt to member 5 is no share", "shares: what member 4 dealt to member 6 is no share",
                "reveal: member 0 gives a false share of member 2"], {0, 3, 5, 6, 7, 8, 9, 10, 11}, {0}),
    "wide": (["shares: what member 4 dealt to member 2 is no share"], {0, 1, 2, 3, 4}, set()),
    "abort": ([], None, set()),
    "blind": ([], {0, 1, 2, 3}, set()),
}
FLIPS = 6  # in every message, beside all bytes of the first one of its type


def record(folder):
    for name in SCENARIOS:
        (folder / name).mkdir()
        subprocess.run([os.environ["RONDO_RECORDER"], name, folder / name], check=True, timeout=300)


def test_verified(folder):
    seen = set()
    for name, (findings, survivors, blamed) in SCENARIOS.items():
        for with_secrets in (True, False):
            recording = load(folder / name, with_secrets)
            session = verify(recording, records(recording.wire))
            expected = [f for f in findings if with_secrets or not f.startswith("shares")]
            assert (session.findings, session.survivors, session.blamed) == (expected, survivors, blamed), session.findings
            assert not session.unverified
            assert (session.counts["elements of the sum from uploads"] == session.numbers.elements) == (survivors is not None)
            assert (session.counts["masked lanes from vectors"] > 0) == with_secrets
            seen |= {kind for kind, entry in TYPES.items() if session.counts[entry[0]]}
    assert seen == set(TYPES), set(TYPES) - seen  # every message is in one of them


# A flipped byte

def places_to_flip(randomly, data, first_of_type):
    """Offsets: some of every message, all of the first of its type."""
    if first_of_type:
        return range(len(data))
    return sorted(randomly.sample(range(len(data)), min(FLIPS, len(data))))


def test_flips(folder):
    randomly, flipped = random.Random(50), 0
    for name in SCENARIOS:
        recording = load(folder / name)
        session, types = Session(recording.context, recording.secrets), set()
        for number, sender, receiver, data in records(recording.wire):
            for at in places_to_flip(randomly, data, data[6] not in types):
                bad = bytearray(data)
                bad[at] ^= 1 << randomly.randrange(8)
                expect_located(session, number, sender, receiver, bytes(bad))
                flipped += 1
            types.add(data[6])
            session.check(sender, receiver, data)
        session.conclude()
    assert flipped > 5000, flipped
    return flipped


def expect_located(session, number, sender, receiver, bad):
    try:
        session.check(sender, receiver, bad)
    except Failure as failure:
        text = str(located(failure, number, sender, receiver, bad))
        assert f"message {number}, " in text and failure.check in text, text
        return
    raise AssertionError(f"message {number}: a flipped byte is not seen")


def test_flips_of_heads(folder):
    recording = load(folder / "abort")
    heads, at = [range(8)], 8
    for _, _, _, data in records(recording.wire):
        heads.append(range(at, at + HEAD))
        at += HEAD + len(data)
    for number, head in enumerate(heads, -1):
        for at in head:
            wire = bytearray(recording.wire)
            wire[at] ^= 0x10
            try:
                list(records(bytes(wire)))
            except Failure as failure:
                assert number < 0 or f"message {number} " in str(failure), failure
                continue
            raise AssertionError(f"the head of message {number}: a flipped byte is not seen")


    for wire in (recording.wire[:-1], recording.wire + b"more", b""):
        expect(lambda: list(records(wire)), "recording")


def expect(action, check):
    try:
        action()
    except Failure as failure:
        assert failure.check == check, failure
        return
    raise AssertionError(f"no failure of {check}")


def test_context(folder):
    """What is wrong before the first message, and what is missing after the last one."""
    recording = load(folder / "wide")
    roster = recording.context["roster"]
    lines = roster.splitlines()
    for change, check in (({"roster": roster + "\n"}, "roster"), ({"roster": roster.replace("member 3", "member 5")}, "roster"),
                          ({"roster": roster.replace(lines[3][-64:], lines[2][-64:])}, "roster"), ({"losses": 2}, "plan"),
                          ({"colluding": 0}, "plan"), ({"value_max": 2**51}, "plan")):
        expect(lambda: Session(dict(recording.context, **change)), check)
    messages = list(records(recording.wire))
    for name, first in (("no message", 1), ("no certificate", 13), ("not the whole sum", 18)):
        cut = next(k for k, message in enumerate(messages) if message[3][6] == first)
        expect(lambda: verify(recording, messages[:cut + (first == 18)]), "end")
    session = verify(recording, messages)
    session.aborted = True
    expect(session.conclude, "end")
    session.aborted = False
    session.secrets["0"]["vector"][0] ^= 1
    expect(session.conclude, "sum")
    recording = load(folder / "blind")
    recording.secrets["group"] = "08" + recording.secrets["group"][2:]
    expect(lambda: verify(recording, records(recording.wire)), "masked vector")


def run_program(folder, *options):
    return subprocess.run([sys.executable, HERE / "verify_session.py", folder, *options], capture_output=True, text=True,
                          timeout=300)


def test_program(folder):
    """The same by the program that people run: one byte of the file, for each type once."""
    assert run_program(folder / "losses").returncode == 0
    assert "verified: a sum over members 0, 3, 5" in run_program(folder / "losses", "--public").stdout
    randomly, done = random.Random(51), set()
    for name in SCENARIOS:
        path = folder / name / "session.wire"
        whole, at = path.read_bytes(), 8
        for number, _, _, data in records(whole):
            at += HEAD
            if data[6] not in done:
                done.add(data[6])
                wire = bytearray(whole)
                wire[at + randomly.randrange(len(data))] ^= 0x20
                path.write_bytes(wire)
                result = run_program(folder / name)
                assert result.returncode == 1 and f"message {number}, " in result.stderr, (number, result)
            at += len(data)
        path.write_bytes(whole)
    assert done == set(TYPES)


# Signed, but not allowed

def test_forgeries(folder):
    used = set()
    for name in SCENARIOS:
        for with_secrets in (True, False):
            recording = load(folder / name, with_secrets)
            identities = load(folder / name).secrets["identities"]
            session = Session(recording.context, recording.secrets)
            messages = [message[1:] for message in records(recording.wire)]
            for number, message in enumerate(messages):
                for forgery in forgeries.of(name, message[2], with_secrets, used):
                    used.add((forgery, with_secrets))
                    forgeries.expect(copy.deepcopy(session), forgery, identities, message, messages[number + 1:])
                session.check(*message)
    missing = {(f, w) for f in forgeries.ALL for w in (True, False) if w or f.public} - used
    assert not missing, [forgery.text for forgery, _ in missing]
    return len(used)


def test_other_types(folder):
    """A type that the verifier does not know is reported, and its frame is held to the rules."""
    recording = load(folder / "wide")
    session = Session(recording.context, recording.secrets)
    number, sender, receiver, offer = next(records(recording.wire))
    session.check(sender, receiver, offer)
    unknown = forgeries.sign(recording.secrets["identities"], offer, b"what is to come", header=[(6, b"\x7f\0")])
    session.check(sender, receiver, unknown)
    assert session.unverified == {127: 1}
    for at in range(len(unknown)):
        bad = bytearray(unknown)
        bad[at] ^= 4
        expect_located(session, number, sender, receiver, bytes(bad))


def test_ring(folder):
    """A sparse graph, as an auditor sees it."""
    (folder / "ring").mkdir()
    subprocess.run([os.environ["RONDO_RECORDER"], "ring", folder / "ring"], check=True, timeout=900)
    recording = load(folder / "ring", with_secrets=False)
    session = verify(recording, records(recording.wire))
    assert (session.findings, session.survivors) == ([], set(range(129)) - {5}), session.findings
    assert session.numbers.threshold < 20 < session.numbers.quorum and not session.unverified
    recording.context["seed"] = "01" * 32
    expect(lambda: verify(recording, records(recording.wire)), "offer")


def test_vectors():
    document = (HERE / "../../crypto/secagg/PROTOCOL.md").read_text()
    assert vectors.section() in document, "the test vectors of PROTOCOL.md are to be (--vectors prints them):\n" + vectors.section()


def main():
    if sys.argv[1:] == ["--vectors"]:
        sys.stdout.write(vectors.section())
        return
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        record(folder)
        test_verified(folder)
        flipped = test_flips(folder)
        test_flips_of_heads(folder)
        test_context(folder)
        forged = test_forgeries(folder)
        test_other_types(folder)
        test_program(folder)
        test_ring(folder)
    test_vectors()
    print(f"{flipped} flipped bytes and {forged} forged messages were located")


main()
