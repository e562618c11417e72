# SPDX-License-Identifier: Apache-2.0
"""Messages that their senders signed but that the protocol does not allow, each with the check that has to fail."""
from dataclasses import dataclass
from typing import Callable

from verifier import joining, primitives
from verifier.recording import COORDINATOR, ENVELOPE, HEADER, SET, TAG, Failure

P_BYTES = primitives.P.to_bytes(32, "little")
L_BYTES = primitives.L.to_bytes(32, "little")
READY, ACK, DONE, VOTE, RECEIPT = 96, SET + 32, 44, 36, 64  # bytes of bodies


def sign(identities, message, body, body_hash=None, header=()):
    """The message with another body, signed by the one that it names as sender. header: (offset, bytes) to put there."""
    changes, header = header, bytearray(message[:HEADER])
    for at, data in changes:
        header[at:at + len(data)] = data
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
    make: Callable  # (session, identities, message) -> message, or (sender, receiver, message)
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


def as_from(member, identities, message, body=None):
    """The same, said by another member."""
    return sign(identities, message, message[ENVELOPE:] if body is None else body, header=[(52, primitives.u32(member))])


def nested(message, size):
    """The messages of a list."""
    body = message[ENVELOPE:]
    return [body[k:k + ENVELOPE + size] for k in range(4, len(body), ENVELOPE + size)]


def listed(messages):
    return primitives.u32(len(messages)) + b"".join(messages)


# Frames

def frame(scenario, kind, text, check, at, data):
    by(scenario, kind, text, check)(
        lambda session, identities, message: sign(identities, message, message[ENVELOPE:], header=[(at, data)]))


frame("wide", 2, "frame: another magic", "frame", 0, b"RNSB")
frame("wide", 2, "frame: another version", "frame", 4, b"\xff\xff")
frame("wide", 2, "frame: reserved bits", "frame", 48, b"\1")
frame("wide", 2, "frame: another session", "session", 8, bytes(32))
frame("wide", 2, "frame: another round", "session", 40, b"\x63")
frame("wide", 2, "frame: another transcript", "transcript hash", 60, bytes(32))
frame("wide", 2, "frame: for another member", "frame", 56, primitives.u32(1))
frame("wide", 2, "frame: a member speaks as the coordinator does", "frame", 6, b"\3")
frame("wide", 2, "frame: a member that there is not", "frame", 56, primitives.u32(77))
by("wide", 2, "frame: its body is longer than it says", "frame")(
    lambda session, identities, message: message + b"\0")
by("wide", 2, "frame: cut short", "frame")(lambda session, identities, message: (0, COORDINATOR, message[:100]))
by("wide", 2, "frame: came from another member", "frame")(lambda session, identities, message: (3, COORDINATOR, message))
by("wide", 2, "frame: from nobody", "frame")(
    lambda session, identities, message: (77, COORDINATOR, message[:52] + primitives.u32(77) + message[56:]))
by("wide", 5, "frame: a share set went to another member", "frame")(
    lambda session, identities, message: (COORDINATOR, 4 - session.joined.index(message[56]), message))
by("wide", 1, "frame: went to nobody", "frame")(lambda session, identities, message: (COORDINATOR, 77, message))


@by("wide", 2, "frame: before the offer", "order")
def _(session, identities, message):
    session.sid = None
    return message


@by("wide", 2, "ready: said twice and not the same", "contradiction")
def _(session, identities, message):
    session.check(int.from_bytes(message[52:56], "little"), COORDINATOR, message)
    point = primitives.encode(primitives.of_generator(7))
    return sign(identities, message, message[ENVELOPE:ENVELOPE + 64] + point)


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
    readys[2] = sign(identities, readys[2], readys[2][ENVELOPE:], header=[(8, bytes(32))])
    return sign(identities, message, listed(readys))


@by("wide", 3, "ready set: of one that said it to another member", "nested frame")
def _(session, identities, message):
    readys = nested(message, READY)
    readys[2] = sign(identities, readys[2], readys[2][ENVELOPE:], header=[(56, primitives.u32(1))])
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
    sealed = [body[k:k + joining.SEALED] for k in range(2 * half, len(body), joining.SEALED)]
    leaves = [primitives.H("leaf", primitives.u32(j), entry) for j, entry in zip(session.joined, sealed)]
    root = joining.shares_root(session, dealer, (body[:half], body[half:2 * half]), leaves)
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
forge("wide", 6, "ack: saw other shares", "seen", flip(SET))
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


def as_if(scenario, kind, text, check, change):
    """The message is the true one, what is known before it another thing."""
    @by(scenario, kind, text, check)
    def _(session, identities, message):
        change(session, int.from_bytes(message[52:56], "little"))
        return message


as_if("wide", 4, "shares: of one that is not of T0", "T0", lambda session, sender: session.joined.remove(sender))
as_if("wide", 5, "share set: before there are Shares", "shares", lambda session, sender: session.shares.clear())
as_if("wide", 5, "share set: for one that is not of T0", "T0", lambda session, sender: session.joined.clear())
as_if("wide", 6, "ack: of one that was shown nothing", "order", lambda session, sender: session.shown.pop(sender))
as_if("wide", 7, "ack set: an Ack of one that is not of T0", "T0", lambda session, sender: session.joined.remove(2))
as_if("wide", 11, "survivors: before T1", "order", lambda session, sender: setattr(session, "t1", None))
as_if("wide", 11, "survivors: a chunk is missing", "upload", lambda session, sender: session.uploads.pop((1, 0)))
as_if("wide", 12, "vote: of one that is not of T0", "T0", lambda session, sender: session.joined.remove(sender))
as_if("losses", 17, "result: before the certificate", "order", lambda session, sender: setattr(session, "certified", False))
as_if("losses", 17, "result: with too few shares", "revealed shares", lambda session, sender: session.revealed.clear())
as_if("losses", 18, "sum chunk: before the result", "order", lambda session, sender: setattr(session, "sum", None))


@by("wide", 5, "share set: a dealer twice", "order")
def _(session, identities, message):
    body = message[ENVELOPE:]
    part = (len(body) - 4) // 5
    return sign(identities, message, primitives.u32(6) + body[4:] + body[-part:])


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
by("losses", 8, "chunk: of one that is not of U2", "U2")(lambda session, identities, message: as_from(1, identities, message))


@by("losses", 8, "chunk: a second time with other bytes", "contradiction")
def _(session, identities, message):
    session.check(int.from_bytes(message[52:56], "little"), COORDINATOR, message)
    return add_to_lane(0, 1)(session, identities, message)


forge("losses", 8, "chunk: between two chunks", "layout", flip(0))
forge("losses", 8, "chunk: another number of elements", "layout", flip(8))
forge("losses", 8, "chunk: padding bits", "packing", lambda body: bytes(body[:-1]) + bytes([body[-1] | 0x80]))
by("losses", 9, "done: of one that is not of U2", "U2")(lambda session, identities, message: as_from(1, identities, message))
forge("wide", 9, "done: another number of chunks", "layout", flip(0))
forge("wide", 9, "done: another number of elements", "layout", flip(4))
forge("wide", 9, "done: another root than among the survivors", "contradiction", flip(12), later=True)
by("losses", 10, "need: for one that is not of U2", "U2")(
    lambda session, identities, message: (COORDINATOR, 1, sign(identities, message, message[ENVELOPE:],
                                                               header=[(56, primitives.u32(1))])))
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
    return sign(identities, message, listed(dones[:1] + [as_from(1, identities, dones[0])] + dones[1:]))


@by("losses", 11, "survivors: one whose Done never came", "upload root")
def _(session, identities, message):
    dones = nested(message, DONE)
    return sign(identities, message, listed(dones[:1] + [as_from(2, identities, dones[0])] + dones[1:]))


@by("wide", 11, "survivors: a root of other chunks", "upload root")
def _(session, identities, message):
    dones = nested(message, DONE)
    del session.first[9, 1, None]
    dones[1] = sign(identities, dones[1], dones[1][ENVELOPE:-1] + b"\0")
    return sign(identities, message, listed(dones))


forge("wide", 12, "vote: for nothing", "vote", put(0, primitives.u32(3) + bytes(32)))
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
    return sign(identities, message, listed(votes[:1] + [as_from(2, identities, votes[0])] + votes[1:]))


@by("losses", 13, "certificate: a vote for an abort in it", "certificate")
def _(session, identities, message):
    votes = nested(message, VOTE)
    del session.first[12, 0, None]
    return sign(identities, message, listed([sign(identities, votes[0], primitives.u32(2) + bytes(32))] + votes[1:]))


forge("abort", 14, "abort call: for no reason", "abort call", put(0, b"\x63"))
forge("abort", 14, "abort call: neither the last nor not", "abort call", put(4, b"\2"))


# Reveal to Follow

forge("losses", 16, "reveal: the other share of the first one", "reveal", lambda body: bytes(body[:8]) + b"\1" + bytes(body[9:]))
forge("losses", 16, "reveal: an entry too few", "reveal", flip(0))
forge("losses", 16, "reveal: no canonical scalar", "reveal", put(12, L_BYTES))
forge("losses", 16, "reveal: a false share", "reveal", flip(12), finding=True)


@by("losses", 16, "reveal: before there is a certificate", "order")
def _(session, identities, message):
    session.shown_certificate.clear()
    return message


@by("losses", 16, "reveal: of one that does not survive", "U3")
def _(session, identities, message):
    return as_from(2, identities, message)


PROOF = 32 + 4 + 10 * 40 + 4  # offset in the body of the result of "losses"
REVEAL_BYTES = ENVELOPE + 4 + 10 * 40
forge("losses", 17, "result: another root of the sum", "sum root", flip(0), later=True)
forge("losses", 17, "result: a secret too few", "result", flip(32))
forge("losses", 17, "result: another secret", "opened secret", flip(32 + 4 + 8))
forge("losses", 17, "result: the other kind of secret", "result", flip(32 + 4 + 4))
forge("losses", 17, "result: a proof against the dealer's word", "blame: commitments", flip(PROOF + 4 + REVEAL_BYTES))
forge("losses", 17, "result: a proof with other entries", "blame: commitments", flip(-1))
forge("losses", 17, "result: a proof with another dealer", "blame: commitments", put(PROOF, b"\5"))
forge("losses", 17, "result: a proof with a dealer that is not of U2", "blame: debt", put(PROOF, b"\1"))


@by("losses", 17, "result: a proof against one that gave the right share", "blame: share")
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


# The sum check

forge("losses", 21, "audit: for nothing", "audit", put(0, b"\3"))
forge("losses", 21, "audit: leaves of one chunk", "audit", put(4, b"\1"))
forge("losses", 21, "audit: a chunk that there is not", "audit", put(0, primitives.u32(2, 3)))
forge("losses", 21, "audit: of a member that is not in the sum", "audit", put(8, b"\2"))
forge("losses", 22, "leaves: other ones", "leaves", flip(4))
forge("losses", 22, "leaves: of a member that is not in the sum", "U3", put(0, b"\1"))


@by("losses", 22, "leaves: those of a chunk that its member did not send, passed on", "contradiction")
def _(session, identities, message):
    chunk = sign(identities, message, primitives.u64(0) + primitives.u32(4) + bytes(32),
                 header=[(6, b"\x08"), (52, primitives.u32(0, COORDINATOR)), (60, session.t1)])
    return COORDINATOR, 5, chunk


@by("losses", 23, "receipts: fewer than Q", "quorum")
def _(session, identities, message):
    return sign(identities, message, listed(nested(message, RECEIPT)[:session.numbers.quorum - 1]))


@by("losses", 23, "receipts: one twice", "order")
def _(session, identities, message):
    receipts = nested(message, RECEIPT)
    return sign(identities, message, listed(receipts + receipts[-1:]))


@by("losses", 23, "receipts: for another adapter in one", "receipt")
def _(session, identities, message):
    receipts = nested(message, RECEIPT)
    session.first.pop((19, receipts[0][52], None), None)
    receipts[0] = sign(identities, receipts[0], flip(32)(bytearray(receipts[0][ENVELOPE:])))
    return sign(identities, message, listed(receipts))


def of(scenario, message, with_secrets, used):
    """Those to try in place of this message: each once, with the side file and, if it is not needed, without."""
    kind = message[6]
    return [f for f in ALL if f.scenario == scenario and f.type == kind and (f.public or with_secrets)
            and (f, with_secrets) not in used]


def expect(session, forgery, identities, message, rest):
    """message: (sender, receiver, bytes); rest: what follows in the recording, copies of the message included."""
    sender, receiver, data = message
    bad = forgery.make(session, identities, data)
    if isinstance(bad, bytes):
        bad = int.from_bytes(bad[52:56], "little"), receiver, bad
    before = len(session.findings)
    try:
        session.check(*bad)
        if forgery.finding:
            assert any(found.startswith(forgery.check) for found in session.findings[before:]), forgery.text
            return
        assert forgery.later, f"{forgery.text}: was taken"
        for other in rest:
            session.check(*other[:2], bad[2] if other[2] == data else other[2])
    except Failure as failure:
        assert failure.check == forgery.check, f"{forgery.text}: {failure}"
        return
    raise AssertionError(f"{forgery.text}: nobody saw it")
