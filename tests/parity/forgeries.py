# SPDX-License-Identifier: Apache-2.0
"""Messages that their senders signed but that the protocol does not allow, each with the check that has to fail."""
import struct
from dataclasses import dataclass
from typing import Callable

from verifier import primitives, recording, setup
from verifier.recording import COORDINATOR, ENVELOPE, HEADER, TAG, Failure

P_BYTES = primitives.P.to_bytes(32, "little")
L_BYTES = primitives.L.to_bytes(32, "little")
READY, ACK, DONE, VOTE, REVEAL = 96, 48, 44, 36, None


def sign(identities, message, body, kind=None, transcript=None, body_hash=None):
    """The message with another body, signed by the one that it names as sender."""
    header = bytearray(message[:HEADER])
    if kind is not None:
        header[6:8] = struct.pack("<H", kind)
    header[60:92] = transcript or header[60:92]
    header[92:96] = primitives.u32(len(body))
    header[96:128] = body_hash or primitives.H("body", body)
    seed = bytes.fromhex(identities[str(int.from_bytes(header[52:56], "little"))])
    return bytes(header) + primitives.sign(seed, TAG, bytes(header)) + body


@dataclass(eq=False)
class Forgery:
    scenario: str
    type: int
    text: str
    check: str
    make: Callable  # (session, identities, message) -> message
    later: bool = False  # it is taken, and a later message shows it
    public: bool = True  # seen without the side file too
    finding: bool = False  # it is taken, and reported as a member's fault


ALL = []


def forge(scenario, kind, text, check, change, **options):
    """change: body -> body."""
    def make(session, identities, message):
        return sign(identities, message, change(bytearray(message[ENVELOPE:])))
    ALL.append(Forgery(scenario, kind, text, check, make, **options))


def by(scenario, kind, text, check, **options):
    """The same, for a function of (session, identities, message)."""
    def add(make):
        ALL.append(Forgery(scenario, kind, text, check, make, **options))
        return make
    return add


def flip(at):
    def change(body):
        body[at] ^= 1
        return bytes(body)
    return change


def put(at, data):
    def change(body):
        body[at:at + len(data)] = data
        return bytes(body)
    return change


def nested(message, size):
    """The messages of a list."""
    body = message[ENVELOPE:]
    return [body[k:k + ENVELOPE + size] for k in range(4, len(body), ENVELOPE + size)]


def listed(messages):
    return primitives.u32(len(messages)) + b"".join(messages)


# Offer to Ready set

for place, name in enumerate(("plan", "roster", "base", "adapter", "layout", "params")):
    forge("wide", 1, f"offer: another {name}", "offer", flip(32 * place))
for place, name in ((192, "round"), (200, "attempt"), (204, "part")):
    forge("wide", 1, f"offer: another {name}", "offer", flip(place))
forge("wide", 1, "offer: a nonce that the session id does not follow from", "session id", flip(208))
forge("wide", 2, "ready: a channel key of low order", "keys", put(0, bytes(32)))
forge("wide", 2, "ready: a channel key that is not canonical", "keys", put(0, (primitives.P + 9).to_bytes(32, "little")))
forge("wide", 2, "ready: the identity", "keys", put(32, bytes(32)))
forge("wide", 2, "ready: no group element", "keys", put(64, P_BYTES))
forge("wide", 2, "ready: S and B are one", "keys", lambda body: bytes(body[:64] + body[32:64]))
forge("wide", 2, "ready: not the channel key of the side file", "side file", flip(0), public=False)
forge("wide", 2, "ready: not the s of the side file", "side file",
      lambda body: bytes(body[:32] + primitives.encode(primitives.of_generator(7)) + body[64:]), public=False)


@by("wide", 3, "ready set: fewer than F", "floor")
def _(session, identities, message):
    return sign(identities, message, listed(nested(message, READY)[:session.numbers.floor - 1]))


@by("wide", 3, "ready set: a member twice", "order")
def _(session, identities, message):
    readys = nested(message, READY)
    return sign(identities, message, listed(readys + readys[-1:]))


@by("wide", 3, "ready set: out of order", "order")
def _(session, identities, message):
    return sign(identities, message, listed(nested(message, READY)[::-1]))


@by("wide", 3, "ready set: one is missing under the old T0", "transcript hash")
def _(session, identities, message):
    return sign(identities, message, listed(nested(message, READY)[1:]))


@by("wide", 3, "ready set: one has the channel key of another", "keys")
def _(session, identities, message):
    readys = nested(message, READY)
    del session.first[2, 1, None]  # as if it had said only this
    readys[1] = sign(identities, readys[1], readys[0][ENVELOPE:ENVELOPE + 32] + readys[1][ENVELOPE + 32:])
    return sign(identities, message, listed(readys))


@by("wide", 3, "ready set: one has the S of another", "keys")
def _(session, identities, message):
    readys = nested(message, READY)
    del session.first[2, 1, None]
    body = readys[1][ENVELOPE:ENVELOPE + 32] + readys[0][ENVELOPE + 32:ENVELOPE + 64] + readys[1][ENVELOPE + 64:]
    readys[1] = sign(identities, readys[1], body)
    return sign(identities, message, listed(readys))


@by("wide", 3, "ready set: not what a member said to the coordinator", "contradiction")
def _(session, identities, message):
    readys = nested(message, READY)
    point = primitives.encode(primitives.of_generator(7))
    readys[1] = sign(identities, readys[1], readys[1][ENVELOPE:ENVELOPE + 64] + point)
    return sign(identities, message, listed(readys))


@by("wide", 3, "ready set: of another session", "nested frame")
def _(session, identities, message):
    readys = nested(message, READY)
    readys[2] = sign(identities, readys[2][:8] + bytes(32) + readys[2][40:], readys[2][ENVELOPE:])
    return sign(identities, message, listed(readys))


@by("wide", 3, "ready set: a signature by another member", "signature")
def _(session, identities, message):
    readys = nested(message, READY)
    wrong = dict(identities, **{"2": identities["3"]})
    readys[2] = sign(wrong, readys[2], readys[2][ENVELOPE:])
    return sign(identities, message, listed(readys))


# Shares to Ack set

def shares_again(session, identities, message, body):
    """Signed with the root that belongs to the body."""
    dealer = int.from_bytes(message[52:56], "little")
    half = 32 * (session.numbers.quorum - 1)
    sealed = [body[k:k + setup.SEALED] for k in range(2 * half, len(body), setup.SEALED)]
    leaves = [primitives.H("leaf", primitives.u32(j), entry) for j, entry in zip(session.joined, sealed)]
    root = setup.shares_root(session, dealer, (body[:half], body[half:2 * half]), leaves)
    return sign(identities, message, body, body_hash=root)


def deal(text, check, change, **options):
    by("wide", 4, text, check, **options)(
        lambda session, identities, message: shares_again(session, identities, message, change(bytearray(message[ENVELOPE:]))))


forge("wide", 4, "shares: not the body under the root", "shares root", flip(-1))
deal("shares: a commitment that is no group element", "commitments", put(0, P_BYTES))
deal("shares: the identity as a commitment", "commitments", put(96, bytes(32)))
deal("shares: the own share leaves", "own entry", flip(6 * 32))
deal("shares: another polynomial than the one dealt from", "shares", put(0, primitives.encode(primitives.of_generator(7))),
     public=False, finding=True)
forge("wide", 5, "share set: another entry", "leaf", flip(-1))
forge("wide", 5, "share set: another leaf", "shares root", flip(4 + ENVELOPE + 6 * 32))
forge("wide", 5, "share set: another commitment", "shares root", flip(4 + ENVELOPE))
forge("wide", 5, "share set: cut short", "length", lambda body: bytes(body[:-1]))
forge("wide", 5, "share set: longer", "length", lambda body: bytes(body + b"\0"))
forge("wide", 6, "ack: of a member that dealt nothing", "ack", put(10, b"\1"))
forge("wide", 6, "ack: saw other shares", "seen", flip(16))
forge("wide", 6, "ack: a complaint without a cause", "ack", lambda body: bytes([body[0] & 0xF7]) + bytes(body[1:]),
      public=False, finding=True)


@by("wide", 6, "ack: complains about itself", "ack")
def _(session, identities, message):
    own = 1 << int.from_bytes(message[52:56], "little")
    return sign(identities, message, bytes([message[ENVELOPE] & ~own]) + message[ENVELOPE + 1:])


def ack_set_of(message, acks_of):
    dealers = int.from_bytes(message[ENVELOPE:ENVELOPE + 4], "little")
    at = ENVELOPE + 4 + dealers * ENVELOPE
    acks = [message[k:k + ENVELOPE + ACK] for k in range(at + 4, len(message), ENVELOPE + ACK)]
    return message[ENVELOPE:at] + listed(acks_of(acks))


@by("wide", 7, "ack set: so few Acks that U2 is below F", "floor")
def _(session, identities, message):
    return sign(identities, message, ack_set_of(message, lambda acks: acks[:session.numbers.quorum - 1]))


@by("wide", 7, "ack set: an Ack is missing under the old T1", "transcript hash")
def _(session, identities, message):
    return sign(identities, message, ack_set_of(message, lambda acks: acks[:2] + acks[3:]))


@by("wide", 7, "ack set: other shares than were handed out", "shares")
def _(session, identities, message):
    body = message[ENVELOPE:]
    other = sign(identities, body[4:4 + ENVELOPE] + b"", b"", body_hash=bytes(32))
    return sign(identities, message, body[:4] + other[:ENVELOPE] + body[4 + ENVELOPE:])


# Upload to certificate

def add_to_lane(element, more):
    def make(session, identities, message):
        numbers, body = session.numbers, message[ENVELOPE:]
        lanes = primitives.unpack(numbers.bits, body[12:], numbers.chunk_count(0) + 8)
        lanes[element] += more
        return sign(identities, message, body[:12] + primitives.pack(numbers.bits, lanes))
    return make


by("losses", 8, "chunk: not the vector under its masks", "masked vector", public=False)(add_to_lane(0, 1))
by("losses", 8, "chunk: a canary is not masked from 0", "masked vector", public=False)(add_to_lane(-1, 1))
forge("losses", 8, "chunk: between two chunks", "layout", flip(0))
forge("losses", 8, "chunk: another number of elements", "layout", flip(8))
forge("losses", 8, "chunk: padding bits", "packing", lambda body: bytes(body[:-1]) + bytes([body[-1] | 0x80]))
forge("wide", 9, "done: another number of chunks", "layout", flip(0))
forge("wide", 9, "done: another number of elements", "layout", flip(4))
forge("wide", 9, "done: another root than among the survivors", "contradiction", flip(12), later=True)
forge("losses", 10, "need: another number of chunks", "layout", flip(0))
forge("losses", 10, "need: chunks that there are not", "layout", lambda body: bytes(body[:4]) + b"\xff")


@by("wide", 11, "survivors: fewer than F", "floor")
def _(session, identities, message):
    return sign(identities, message, listed(nested(message, DONE)[:session.numbers.floor - 1]))


@by("wide", 11, "survivors: too few holders of one's shares", "holders")
def _(session, identities, message):
    return sign(identities, message, listed(nested(message, DONE)[:4]))  # 4's garbage cost it a holder, here another


@by("losses", 11, "survivors: one that may not upload", "U2")
def _(session, identities, message):
    dones = nested(message, DONE)
    header = dones[0][:52] + primitives.u32(1) + dones[0][56:]
    return sign(identities, message, listed(dones[:1] + [sign(identities, header, dones[0][ENVELOPE:])] + dones[1:]))


@by("losses", 11, "survivors: one whose Done never came", "upload root")
def _(session, identities, message):
    dones = nested(message, DONE)
    header = dones[0][:52] + primitives.u32(2) + dones[0][56:]
    return sign(identities, message, listed(dones[:1] + [sign(identities, header, dones[0][ENVELOPE:])] + dones[1:]))


@by("wide", 11, "survivors: a root of other chunks", "upload root")
def _(session, identities, message):
    dones = nested(message, DONE)
    del session.first[9, 1, None]
    dones[1] = sign(identities, dones[1], dones[1][ENVELOPE:-1] + b"\0")
    return sign(identities, message, listed(dones))


forge("wide", 12, "vote: for nothing", "vote", put(0, b"\3"))
forge("wide", 12, "vote: for another T2", "vote", flip(4))
forge("abort", 12, "vote: an abort with a T2", "vote", flip(4))
for case, kind in (("wide", 13), ("abort", 15)):
    by(case, kind, f"type {kind}: fewer than Q votes", "quorum")(
        lambda session, identities, message: sign(identities, message, listed(nested(message, VOTE)[:session.numbers.quorum - 1])))
    by(case, kind, f"type {kind}: one votes twice", "order")(
        lambda session, identities, message: sign(identities, message, listed(
            nested(message, VOTE)[:session.numbers.quorum - 1] + [nested(message, VOTE)[session.numbers.quorum - 2]])))


@by("losses", 13, "certificate: a vote of one that does not survive", "certificate")
def _(session, identities, message):
    votes = nested(message, VOTE)
    header = votes[0][:52] + primitives.u32(2) + votes[0][56:]
    return sign(identities, message, listed(votes[:1] + [sign(identities, header, votes[0][ENVELOPE:])] + votes[1:]))


@by("losses", 13, "certificate: a vote for an abort in it", "certificate")
def _(session, identities, message):
    votes = nested(message, VOTE)
    del session.first[12, 0, None]
    return sign(identities, message, listed([sign(identities, votes[0], primitives.u32(2) + bytes(32))] + votes[1:]))


forge("abort", 14, "abort call: for no reason", "abort call", put(0, b"\x63"))
forge("abort", 14, "abort call: neither the last nor not", "abort call", put(4, b"\2"))


# Reveal to Follow

forge("losses", 16, "reveal: the other share of the first one", "reveal", lambda body: bytes(body[:8]) + b"\1" + bytes(body[9:]))
forge("losses", 16, "reveal: no canonical scalar", "reveal", put(12, L_BYTES))
forge("losses", 16, "reveal: a false share", "reveal", flip(12), finding=True)


@by("losses", 16, "reveal: before there is a certificate", "order")
def _(session, identities, message):
    session.shown_certificate.clear()
    return message


@by("losses", 16, "reveal: of one that does not survive", "U3")
def _(session, identities, message):
    return sign(identities, message[:52] + primitives.u32(2) + message[56:], message[ENVELOPE:])


PROOF = 32 + 4 + 9 * 40 + 4  # offset in the body of the result of "losses"
REVEAL_BYTES = ENVELOPE + 4 + 9 * 40
forge("losses", 17, "result: another root of the sum", "sum root", flip(0), later=True)
forge("losses", 17, "result: another secret", "opened secret", flip(32 + 4 + 8))
forge("losses", 17, "result: the other kind of secret", "result", flip(32 + 4 + 4))
forge("losses", 17, "result: a proof against the dealer's word", "blame", flip(PROOF + 4 + REVEAL_BYTES))
forge("losses", 17, "result: a proof with other entries", "blame", flip(-1))
forge("losses", 17, "result: a proof with another dealer", "blame", put(PROOF, b"\4"))


@by("losses", 17, "result: a proof against one that gave the right share", "blame")
def _(session, identities, message):
    honest = session.first[16, 5, None]
    return sign(identities, message, put(PROOF + 4, honest)(bytearray(message[ENVELOPE:])))


@by("losses", 17, "result: a proof twice", "order")
def _(session, identities, message):
    body = message[ENVELOPE:]
    return sign(identities, message, body[:PROOF - 4] + primitives.u32(2) + 2 * body[PROOF:])


by("losses", 18, "sum chunk: another sum", "sum")(add_to_lane(0, 1))
by("losses", 18, "sum chunk: an element out of range", "range")(add_to_lane(1, 1 << 20))
by("losses", 18, "sum chunk: a canary", "canary")(add_to_lane(-8, 1))
forge("losses", 19, "receipt: for another sum", "receipt", flip(0))
forge("losses", 19, "receipt: another adapter than the others say", "receipt", flip(32), later=True)
forge("losses", 20, "follow: no such level", "follow", put(0, b"\7"))
forge("wide", 20, "follow: chunks that there are not", "layout", lambda body: bytes(body[:4]) + b"\xff")


def of(scenario, message, with_secrets, used):
    """Those to try in place of this message: each once, with the side file and, if it is not needed, without."""
    kind = message[6]
    return [f for f in ALL if f.scenario == scenario and f.type == kind and (f.public or with_secrets)
            and (f, with_secrets) not in used]


def expect(session, forgery, identities, message, rest):
    """message: (sender, receiver, bytes); rest: what follows in the recording, copies of the message included."""
    sender, receiver, data = message
    bad = forgery.make(session, identities, data)
    before = len(session.findings)
    assert bad != data or forgery.check == "order", forgery.text
    try:
        session.check(int.from_bytes(bad[52:56], "little"), receiver, bad)
        if forgery.finding:
            assert any(found.startswith(forgery.check) for found in session.findings[before:]), forgery.text
            return
        assert forgery.later, f"{forgery.text}: was taken"
        for other in rest:
            session.check(*other[:2], bad if other[2] == data else other[2])
    except Failure as failure:
        assert failure.check == forgery.check, f"{forgery.text}: {failure}"
        return
    raise AssertionError(f"{forgery.text}: nobody saw it")
