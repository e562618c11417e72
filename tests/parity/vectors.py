# SPDX-License-Identifier: Apache-2.0
"""The section "Test vectors" of crypto/secagg/PROTOCOL.md, computed. test_secagg_vectors.c computes the same with the product's
code."""
import textwrap

from verifier import joining, primitives, sums
from verifier.plannumbers import Numbers
from verifier.primitives import H, encode, of_generator, sign, u32, u64
from verifier.recording import COORDINATOR, TAG, VERSION, set_bytes
from verifier.session import Session

S, B, CHANNEL = [2, 3, 4, 5], [102, 103, 104, 105], [bytes([0x10 + i]) * 32 for i in range(4)]
POLYNOMIALS = (2, 7, 11), (102, 13, 17)  # of member 0's s and b
INTRODUCTION = """\
## Test vectors

They are computed again by `tests/parity/vectors.py`, which knows this document alone, and by `test_secagg_vectors.c` with the code of
the product; both compare with what stands here.

Hexadecimal; N*xx is N bytes xx. The numbers of the session: n_max 4, n_c 1, D 1, h_min 2, so Q = t = F = 3; value_max 65534,
so b = 19 and lanes are u32; d 6, chunk_elements 4, so 2 chunks; round 7, attempt 2, active 2; plan 32*01, base 32*02, adapter
32*03, layout 32*04, scales 32*05, nonce 32*06. Seeds of the identities (RFC 8032): member i 32*(20 + i), coordinator 32*30, both
hexadecimal; the roster's text has federation `vectors` and members `m0` to `m3`. T0, T1, T2 are those of bodies that are the ASCII
texts `ready set`, `ack set` and `survivors`; T0 has all four members, U2 is 0, 1, 2. Member i has s = 2 + i, b = 102 + i, the X25519
secret 32*(10 + i) (hexadecimal); member 0 shares s by 2 + 7x + 11x^2 and b by 102 + 13x + 17x^2 and uploads 1, 2, 3, 4, 5, 6.
The job is open; beside it stand the values of a blind one with G 32*07 and the document's hash 32*08; blind(0) is under session id
and T1 of the open one.

"""


def roster():
    def key(fill):
        return primitives.ed25519_public(bytes([fill]) * 32).hex()
    lines = ["rondo-roster 2", "federation vectors", f"coordinator ed25519 {key(0x30)}"]
    return "\n".join(lines + [f"member {i} m{i} ed25519 {key(0x20 + i)}" for i in range(4)]) + "\n"


def context():
    """What a member knows before the session."""
    known = {"roster": roster(), "colluding": 1, "losses": 1, "honest": 2, "value_max": 65534, "chunk_elements": 4,
               "elements": 6, "round": 7, "attempt": 2, "active": 2, "blind": 0,
               "group": "00" * 32, "seed": "00" * 32}
    known.update({name: f"{k:02x}" * 32 for k, name in enumerate(("plan", "base", "adapter", "layout", "scales"), 1)})
    return known


def example():
    """A session as far as the vectors need it."""
    secrets = {str(i): {"s": S[i].to_bytes(32, "little").hex(), "b": B[i].to_bytes(32, "little").hex(),
                        "channel": CHANNEL[i].hex(), "vector": [1, 2, 3, 4, 5, 6]} for i in range(4)}
    secrets["group"] = "07" * 32
    session = Session(context(), secrets)
    session.sid = session.numbers.session_id(b"\x06" * 32)
    session.joined, session.linked = [0, 1, 2, 3], [0, 1, 2]
    session.t0 = H("T0", session.sid, b"ready set")
    session.t1 = H("T1", session.t0, set_bytes(session.linked), b"ack set")
    session.t2 = H("T2", session.t1, b"survivors")
    session.readys = {i: (primitives.x25519_public(CHANNEL[i]), encode(of_generator(S[i])), encode(of_generator(B[i])))
                      for i in range(4)}
    return session


def vote(session):
    """Member 2's, for T2."""
    body = u32(1) + session.t2
    header = (b"RNSA" + VERSION.to_bytes(2, "little") + (12).to_bytes(2, "little") + session.sid + u64(7)
              + u32(0, 2, COORDINATOR) + session.t0 + u32(len(body)) + H("body", body))
    return header + sign(b"\x22" * 32, TAG, header) + body


def sealed(session, holder):
    if holder == 0:
        return bytes(joining.SEALED)
    key = joining.channel_key(session, CHANNEL[0], session.readys[holder][0], 0, holder)
    additional = b"rondo/v1 channel".ljust(32, b"\0") + session.sid + session.t0 + u32(0, holder)
    shares = [sum(a * (holder + 1)**k for k, a in enumerate(f)).to_bytes(32, "little") for f in POLYNOMIALS]
    return primitives.xchacha_seal(key, u32(0, holder) + session.sid + b"".join(shares), additional)


def values():
    session = example()
    numbers: Numbers = session.numbers
    yield "roster hash", numbers.roster
    yield "params hash", numbers.params_hash()
    yield "session id", session.sid
    yield from (("T0", session.t0), ("T1", session.t1), ("T2", session.t2))
    yield "set of 0, 9, 127", set_bytes({0, 9, 127})
    yield "vote of 2 for T2", vote(session)
    yield from (("X25519 key of 0", session.readys[0][0]), ("S of 0", session.readys[0][1]), ("B of 0", session.readys[0][2]))
    halves = [b"".join(encode(of_generator(a)) for a in f[1:]) for f in POLYNOMIALS]
    yield from (("commitments to s of 0", halves[0]), ("commitments to b of 0", halves[1]))
    yield "entry of 0 for 1", sealed(session, 1)
    leaves = [H("leaf", u32(j), sealed(session, j)) for j in session.joined]
    yield "leaf of it", leaves[1]
    yield "root of Shares of 0", joining.shares_root(session, 0, halves, leaves)
    yield "weights of places 0, 2, 3 at 0", b"".join(
        primitives.interpolate({j: int(j == place) for j in (0, 2, 3)}).to_bytes(32, "little") for place in (0, 2, 3))
    yield "self(0)", sums.self_key(session, 0, session.secret(0, "b"))
    yield "pair(0, 1)", sums.pair_key(session, 0, 1, session.secret(0, "s"))
    yield "blind(0)", sums.blind_key(session, 0)
    blind = Numbers(dict(context(), blind=1, group="08" * 32))
    yield from (("params hash of a blind job", blind.params_hash()), ("its session id", blind.session_id(b"\x06" * 32)))
    hybrid = Numbers(dict(context(), blind=1, hybrid=1, group="08" * 32))
    yield "params hash of a hybrid job", hybrid.params_hash()
    own = sums.self_key(session, 0, session.secret(0, "b"))
    yield "u32 lanes 5, 6, 7 of self(0)", u32(*primitives.mask_lanes(own, 4, 5, 3))
    yield "u64 lanes 5, 6, 7 of self(0)", b"".join(map(u64, primitives.mask_lanes(own, 8, 5, 3)))
    chunks = [primitives.pack(numbers.bits, sums.masked(session, 0, c)) for c in (0, 1)]
    yield from ((f"packed chunk {c} of 0", chunk) for c, chunk in enumerate(chunks))
    leaves = [H("chunk", session.t1, u32(0), u64(4 * c), u32(numbers.chunk_count(c)), chunk) for c, chunk in enumerate(chunks)]
    yield "leaf of chunk 1 of 0", leaves[1]
    yield "root of the upload of 0", sums.chunk_root(session, session.t1, 0, leaves)


def section():
    """As it stands in the document; hexadecimal digits in lines of 96."""
    lines = []
    for name, value in values():
        first, *rest = textwrap.wrap(value.hex(), 96) if len(value) > 32 else [value.hex()]
        lines += [f"    {name} = {first}"] if not rest else [f"    {name} ="] + [f"      {part}" for part in [first, *rest]]
    return INTRODUCTION + "\n".join(lines) + "\n"
