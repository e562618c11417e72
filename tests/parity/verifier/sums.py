# SPDX-License-Identifier: Apache-2.0
"""Uploads, what unmasks them, and the sum."""
from .joining import B, S, holders_of, on_polynomial
from .plannumbers import CANARIES
from .primitives import H, agree, encode, hkdf, interpolate, mask_lanes, of_generator, scalar_of, u32, u64, unpack
from .recording import COORDINATOR, ENVELOPE, Reader, need

REVEAL, RECEIPT = 16, 19
RECEIPT_BYTES = ENVELOPE + 64
NONE = 0
LEAVES, CHUNKS = 1, 2  # what an Audit asks for


# Chunks

def read_chunk(session, m, transcript):
    """(number of the chunk, its leaf, its lanes)"""
    numbers, r = session.numbers, Reader(m.body)
    first, count = r.u64(), r.u32()
    need(first < numbers.elements and first % numbers.chunk_elements == 0, "layout", "no chunk starts there")
    chunk = first // numbers.chunk_elements
    need(count == numbers.chunk_count(chunk), "layout", "another number of elements")
    packed = r.take(numbers.chunk_bytes(chunk))
    r.end()
    lanes = unpack(numbers.bits, packed, count + CANARIES)
    need(lanes is not None, "packing", "padding bits are set")
    return chunk, H("chunk", transcript, u32(m.sender), u64(first), u32(count), packed), lanes


def chunk_root(session, transcript, sender, leaves):
    return H("chunk root", transcript, u32(sender, session.numbers.chunks), *leaves)


def chunk(session, m):
    session.under(m, session.t1, "T1")
    need(m.sender in session.linked, "U2", "its sender may not upload")
    number, leaf, lanes = read_chunk(session, m, session.t1)
    before = session.uploads.get((m.sender, number))
    need(before is None or before[0] == leaf, "contradiction", "the chunk came before with other bytes")
    session.uploads[m.sender, number] = leaf, lanes
    if session.secrets:
        need(lanes == masked(session, m.sender, number), "masked vector", "it is not the member's vector under its masks")
        session.counts["masked lanes from vectors"] += len(lanes)


def check_upload(session, member, root):
    numbers = session.numbers
    need(all((member, c) in session.uploads for c in range(numbers.chunks)), "upload", f"chunks of {member} are missing")
    leaves = [session.uploads[member, c][0] for c in range(numbers.chunks)]
    need(chunk_root(session, session.t1, member, leaves) == root, "upload root", f"member {member} sent other chunks")
    session.counts["roots of uploads"] += 1


# Masks

def self_key(session, member, b):
    return hkdf(b, session.sid, "secagg self mask", u32(member) + session.t1)


def pair_key(session, i, j, s_i):
    shared = agree(scalar_of(s_i), session.readys[j][S])
    return hkdf(shared, session.sid, "secagg pair mask", u32(min(i, j), max(i, j)) + session.t1)


def blind_key(session, member):
    return hkdf(bytes.fromhex(session.secrets["group"]), session.sid, "secagg blind mask", u32(member) + session.t1)


def stream(session, key, number):
    numbers = session.numbers
    count = numbers.chunk_count(number) + CANARIES
    session.counts["mask lanes expanded"] += count
    return mask_lanes(key, numbers.lane_bytes, numbers.chunk_lane(number), count)


def combine(session, total, sign, lanes):
    return [(a + sign * b) % 2**session.numbers.bits for a, b in zip(total, lanes)]


def vector_chunk(session, member, number):
    """Its elements as they are in the side file, and canaries."""
    numbers = session.numbers
    first = number * numbers.chunk_elements
    values = session.secrets[str(member)]["vector"][first:first + numbers.chunk_count(number)]
    return values + CANARIES * [0]


def masked(session, i, number):
    """What member i has to send, from its secrets and vector."""
    total = combine(session, vector_chunk(session, i, number), 1,
                    stream(session, self_key(session, i, session.secret(i, "b")), number))
    for j in session.linked:
        if j != i and j in session.numbers.circles[i]:
            key = pair_key(session, i, j, session.secret(i, "s"))
            total = combine(session, total, 1 if i < j else -1, stream(session, key, number))
    if session.numbers.blind:
        total = combine(session, total, 1, stream(session, blind_key(session, i), number))
    return total


def unblinded(session, number, lanes):
    """What members make of a chunk of a blind session's sum."""
    for i in session.survivors:
        lanes = combine(session, lanes, -1, stream(session, blind_key(session, i), number))
    return lanes


def replay(session, number):
    """A chunk of the sum from what is public: uploads and opened secrets."""
    total = (session.numbers.chunk_count(number) + CANARIES) * [0]
    for i in session.survivors:
        total = combine(session, total, 1, session.uploads[i, number][1])
        total = combine(session, total, -1, stream(session, self_key(session, i, session.opened[i]), number))
    for lost in set(session.linked) - session.survivors:
        for i in session.survivors & session.numbers.circles[lost]:
            key = pair_key(session, lost, i, session.opened[lost])
            total = combine(session, total, -1 if i < lost else 1, stream(session, key, number))
    return total


# Reveal, Result

def kind_due(session, member):
    return B if member in session.survivors else S


def owed_by(session, holder):
    """Members of U2 whose shares it may hold."""
    return [i for i in session.linked if i in session.numbers.circles[holder]]


def read_reveal(session, m):
    """{member: share}; kinds as U3 and the sender's Ack dictate."""
    r, shares = Reader(m.body), {}
    owed = owed_by(session, m.sender)
    need(r.u32() == len(owed), "reveal", "not one entry for each member of U2 in its circle")
    for i in owed:
        place, kind, share = r.u32(), r.u32(), r.hash()
        holds = m.sender in session.holders[i]
        need(place == i and kind == (kind_due(session, i) if holds else NONE), "reveal",
             f"not the share of member {i} that is due")
        need(scalar_of(share) is not None and (holds or share == bytes(32)), "reveal", "no canonical scalar")
        if holds:
            shares[i] = scalar_of(share)
    r.end()
    return shares


def reveal(session, m):
    session.under(m, session.t2, "T2")
    need(m.sender in session.survivors, "U3", "its sender does not survive")
    need(m.sender in session.shown_certificate, "order", "its sender was shown no certificate")
    for i, share in read_reveal(session, m).items():
        if on_polynomial(session, i, kind_due(session, i), m.sender, share):
            session.revealed.setdefault(i, {})[m.sender] = share
        else:
            session.findings.append(f"reveal: member {m.sender} gives a false share of member {i}")


def result(session, m):
    session.under(m, session.t2, "T2")
    need(session.certified, "order", "there is no certificate yet")
    r, opened = Reader(m.body), {}
    root = r.hash()
    need(r.u32() == len(session.linked), "result", "not one secret for each member of U2")
    for i in session.linked:
        need((r.u32(), r.u32()) == (i, kind_due(session, i)), "result", f"the wrong secret of member {i}")
        opened[i] = r.hash()
        check_opened(session, i, opened[i])
    blamed = []
    for _ in range(r.u32()):
        holder = proof_of_blame(session, r)
        need(not blamed or holder > blamed[-1], "order", "blamed members repeat or are out of order")
        blamed.append(holder)
    r.end()
    session.sum_root, session.opened, session.blamed = root, opened, set(blamed)
    session.sum = [replay(session, number) for number in range(session.numbers.chunks)]


def check_opened(session, member, secret):
    scalar, threshold = scalar_of(secret), session.numbers.threshold
    need(scalar and encode(of_generator(scalar)) == session.readys[member][kind_due(session, member)],
         "opened secret", f"it is not the one that member {member} published")
    shares = dict(list(session.revealed.get(member, {}).items())[:threshold])
    need(interpolate(shares) == scalar, "revealed shares", f"t shares of member {member} do not give it")
    session.counts["secrets opened"] += 1


def proof_of_blame(session, r):
    """The holder that it proves wrong."""
    dealer = r.u32()
    sender = int.from_bytes(r.data[r.at + 52:r.at + 56], "little")
    need(sender in session.survivors, "blame: debt", f"member {sender} is no survivor")
    message = session.nested(r.take(ENVELOPE + 4 + 40 * len(owed_by(session, sender))), REVEAL, session.t2)
    holder = message.sender
    need(dealer in session.linked and holder in session.survivors and holder in session.holders[dealer],
         "blame: debt", f"member {holder} owed no share of member {dealer}")
    kind = kind_due(session, dealer)
    half, other, entries = r.take(32 * (session.numbers.threshold - 1)), r.hash(), r.hash()
    hashes = (H("coefficients", half), other) if kind == S else (other, H("coefficients", half))
    root = H("shares root", session.t0, u32(dealer, len(holders_of(session, dealer))), *hashes, entries)
    envelope = session.shares[dealer][0]
    need(root == envelope[96:128], "blame: commitments", f"these are not the commitments that member {dealer} signed")
    share = read_reveal(session, message)[dealer]
    need(not on_polynomial(session, dealer, kind, holder, share), "blame: share", "it is the right one")
    session.counts["proofs of blame"] += 1
    return holder


# The sum

def sum_chunk(session, m):
    session.under(m, session.t2, "T2")
    need(session.sum is not None, "order", "there is no result yet")
    numbers = session.numbers
    number, leaf, lanes = read_chunk(session, m, session.t2)
    count = numbers.chunk_count(number)
    if not numbers.blind or session.secrets:  # of a blind session only its members can tell
        plain = unblinded(session, number, lanes) if numbers.blind else lanes
        need(all(lane <= len(session.survivors) * numbers.value_max for lane in plain[:count]), "range",
             "an element is out of it")
        need(not any(plain[count:]), "canary", "it is not 0")
    for e, (announced, recomputed) in enumerate(zip(lanes, session.sum[number])):
        need(announced == recomputed, "sum", f"element {number * numbers.chunk_elements + e} is {announced} "
             f"and not {recomputed}")
    session.counts["elements of the sum from uploads"] += count if number not in session.sum_leaves else 0
    session.sum_leaves[number] = leaf
    if len(session.sum_leaves) == numbers.chunks:
        leaves = [session.sum_leaves[c] for c in range(numbers.chunks)]
        need(chunk_root(session, session.t2, COORDINATOR, leaves) == session.sum_root, "sum root",
             "the result announced another one")


def compare_with_vectors(session):
    for number in range(session.numbers.chunks) if session.secrets else ():
        total = [sum(lanes) for lanes in zip(*(vector_chunk(session, i, number) for i in session.survivors))]
        announced = session.sum[number]
        need(total == (unblinded(session, number, announced) if session.numbers.blind else announced), "sum", f"chunk {number} is not the sum of the vectors")
        session.counts["elements of the sum from vectors"] += len(total) - CANARIES


def receipt(session, m):
    session.under(m, session.t2, "T2")
    r = Reader(m.body)
    need(session.sum_root is not None and r.hash() == session.sum_root, "receipt", "for another sum")
    adapter = r.hash()
    r.end()
    need(session.adapter in (None, adapter), "receipt", "another adapter than in the first receipt")
    session.adapter = adapter


# The sum check

def audit(session, m):
    session.under(m, session.t2, "T2")
    r = Reader(m.body)
    wants, chunk, members = r.u32(), r.u32(), r.set()
    r.end()
    need(wants in (LEAVES, CHUNKS) and chunk < session.numbers.chunks and (wants == CHUNKS or chunk == 0), "audit",
         "for nothing that there is")
    need(members <= session.survivors, "audit", "of members that are not in the sum")


def leaves(session, m):
    session.under(m, session.t2, "T2")
    r = Reader(m.body)
    member, hashes = r.u32(), [r.hash() for _ in range(session.numbers.chunks)]
    r.end()
    need(member in session.survivors, "U3", f"member {member} is not in the sum")
    need(hashes == [session.uploads[member, c][0] for c in range(session.numbers.chunks)], "leaves",
         f"not those that member {member} signed")


def receipts(session, m):
    session.under(m, session.t2, "T2")
    r = Reader(m.body)
    them = session.nested_list(r, RECEIPT, session.t2, RECEIPT_BYTES)
    r.end()
    need(len(them) >= session.numbers.quorum, "quorum", f"{len(them)} receipts")
    for one in them:
        receipt(session, one)
