# SPDX-License-Identifier: Apache-2.0
"""Offer to Ack set: who is in the session, and whose secrets are held by whom."""
from .primitives import (H, committed, decode, encode, equal, hkdf, of_generator, scalar_of, u32, x25519,
                         x25519_public, xchacha_open)
from .recording import ENVELOPE, SET, Reader, need, set_bytes

READY, SHARES, ACK = 2, 4, 6
READY_BYTES, ACK_BYTES, SEALED = ENVELOPE + 96, ENVELOPE + SET + 32, 120
S, B = 1, 2  # kinds of secrets


def offer(session, m):
    numbers, r = session.numbers, Reader(m.body)
    own = (("plan", numbers.plan), ("roster", numbers.roster), ("base", numbers.base), ("adapter", numbers.adapter),
           ("layout", numbers.layout), ("params", numbers.params_hash()))
    for name, value in own:
        need(r.hash() == value, "offer", f"its {name} hash is another one")
    need((r.u64(), r.u32(), r.u32()) == (numbers.round, numbers.attempt, numbers.active), "offer",
         "another round, attempt or part")
    sid = numbers.session_id(r.hash())
    r.end()
    need(m.session == sid, "session id", "it does not follow from the offer")
    session.sid = sid
    session.under(m, sid, "the session id")


def read_ready(session, body):
    r = Reader(body)
    channel, s, b = r.hash(), r.hash(), r.hash()
    r.end()
    need(x25519(bytes([8] + 31 * [0]), channel), "keys", "the channel key is of low order or not canonical")
    for point in (s, b):
        need(decode(point) and point != bytes(32), "keys", "no encoding of a group element, or the identity")
    need(s != b, "keys", "S and B are one")
    session.counts["keys announced"] += 3
    return channel, s, b


def ready(session, m):
    session.under(m, session.sid, "the session id")
    channel, s, b = read_ready(session, m.body)
    if session.secrets:
        need(x25519_public(session.secret(m.sender, "channel")) == channel, "side file", "another channel key")
        for point, name in ((s, "s"), (b, "b")):
            need(encode(of_generator(scalar_of(session.secret(m.sender, name)))) == point, "side file",
                 f"another {name}")
            session.counts["secrets of the side file"] += 1


def ready_set(session, m):
    r = Reader(m.body)
    readys = session.nested_list(r, READY, session.sid, READY_BYTES)
    r.end()
    peers = {ready.sender: read_ready(session, ready.body) for ready in readys}
    need(len({p[0] for p in peers.values()}) == len(peers), "keys", "two members have one channel key")
    need(len({p for peer in peers.values() for p in peer[1:]}) == 2 * len(peers), "keys", "two points are one")
    need(len(peers) >= session.numbers.floor, "floor", f"{len(peers)} members in T0")
    session.t0 = H("T0", session.sid, m.body)
    session.readys, session.joined = peers, sorted(peers)
    session.under(m, session.t0, "T0")


# Shares

def holders_of(session, dealer):
    """Those of T0 who get a share of its secrets."""
    return [j for j in session.joined if j in session.numbers.circles[dealer]]


def shares_root(session, dealer, halves, leaves):
    return H("shares root", session.t0, u32(dealer, len(leaves)), H("coefficients", halves[0]),
             H("coefficients", halves[1]), H("entries", *leaves))


def read_commitments(session, r):
    half = 32 * (session.numbers.threshold - 1)
    return r.take(half), r.take(half)


def points_of(half):
    return tuple(half[k:k + 32] for k in range(0, len(half), 32))


def shares(session, m):
    session.under(m, session.t0, "T0")
    need(m.sender in session.joined, "T0", "its sender is not of the session")
    r = Reader(m.body)
    halves = read_commitments(session, r)
    entries = {j: r.take(SEALED) for j in holders_of(session, m.sender)}
    r.end()
    leaves = [H("leaf", u32(j), sealed) for j, sealed in entries.items()]
    need(shares_root(session, m.sender, halves, leaves) == m.body_hash, "shares root", "commitments or entries differ")
    for point in points_of(halves[0] + halves[1]):
        need(decode(point) and point != bytes(32), "commitments", "no group element, or the identity")
        session.counts["commitments"] += 1
    need(entries[m.sender] == bytes(SEALED), "own entry", "it is not zero")
    session.shares[m.sender] = m.envelope, halves, entries
    if session.secrets:
        for holder in entries:
            if holder != m.sender:
                open_entry(session, m.sender, holder)


def on_polynomial(session, dealer, kind, holder, share):
    """Is this scalar the dealer's share for the holder?"""
    constant = session.readys[dealer][kind]
    commitments = points_of(session.shares[dealer][1][kind - 1])
    session.counts["shares held against commitments"] += 1
    return equal(of_generator(share), committed(constant, commitments, holder))


def channel_key(session, secret, public, dealer, holder):
    return hkdf(x25519(secret, public), session.sid, "channel key", u32(dealer, holder) + session.t0)


def open_entry(session, dealer, holder):
    """Into session.dealt; what fails is the dealer's fault and a reason to complain."""
    key = channel_key(session, session.secret(holder, "channel"), session.readys[dealer][0], dealer, holder)
    additional = b"rondo/v1 channel".ljust(32, b"\0") + session.sid + session.t0 + u32(dealer, holder)
    plain = xchacha_open(key, session.shares[dealer][2][holder], additional)
    session.counts["sealed entries"] += 1
    if plain is not None and plain[:40] == u32(dealer, holder) + session.sid:
        pair = scalar_of(plain[40:72]), scalar_of(plain[72:])
        if None not in pair and all(on_polynomial(session, dealer, kind, holder, pair[kind - 1]) for kind in (S, B)):
            session.dealt[dealer, holder] = pair
            return
    session.findings.append(f"shares: what member {dealer} dealt to member {holder} is no share")


def share_set(session, m):
    session.under(m, session.t0, "T0")
    need(m.recipient in session.joined, "T0", "its receiver is not of the session")
    r, shown = Reader(m.body), {}
    for _ in range(r.u32()):
        dealer = session.nested(r.take(ENVELOPE), SHARES, session.t0, with_body=False)
        need(dealer.sender > max(shown, default=-1) and dealer.sender in holders_of(session, m.recipient), "order",
             "dealers repeat, are out of order, not of T0 or no neighbours")
        halves = read_commitments(session, r)
        holders = holders_of(session, dealer.sender)
        leaves = [r.hash() for _ in holders]
        sealed = r.take(SEALED)
        need(shares_root(session, dealer.sender, halves, leaves) == dealer.body_hash, "shares root",
             f"commitments or leaves of member {dealer.sender} differ")
        need(leaves[holders.index(m.recipient)] == H("leaf", u32(m.recipient), sealed), "leaf",
             f"another entry of member {dealer.sender}")
        shown[dealer.sender] = dealer.envelope
        session.counts["roots of shares"] += 1
    r.end()
    for dealer, envelope in shown.items():
        need(dealer in session.shares and session.shares[dealer][0] == envelope, "shares",
             f"member {dealer} sent others")
    session.shown[m.recipient] = shown


# Ack

def seen_hash(session, envelopes):
    return H("seen", session.t0, *(envelopes[i] for i in sorted(envelopes)))


def read_ack(session, m, shown):
    r = Reader(m.body)
    valid, seen = r.set(), r.hash()
    r.end()
    need(valid <= set(shown), "ack", "it names a dealer that sent no shares")
    need(m.sender not in shown or m.sender in valid, "ack", "its sender complains about itself")
    need(seen == seen_hash(session, shown), "seen", "its sender saw other shares")
    session.counts["hashes of what was seen"] += 1
    return valid


def ack(session, m):
    session.under(m, session.t0, "T0")
    need(m.sender in session.shown, "order", "its sender was shown no shares")
    valid = read_ack(session, m, session.shown[m.sender])
    for dealer in session.shown[m.sender] if session.secrets else ():
        if dealer != m.sender and (dealer in valid) != ((dealer, m.sender) in session.dealt):
            session.findings.append(f"ack: member {m.sender} does not say what it holds of member {dealer}")


def ack_set(session, m):
    r = Reader(m.body)
    dealers = session.nested_list(r, SHARES, session.t0, ENVELOPE, with_body=False)
    shown = {dealer.sender: dealer.envelope for dealer in dealers}
    need(all(i in session.shares and session.shares[i][0] == envelope for i, envelope in shown.items()), "shares",
         "a dealer sent others")
    acks = session.nested_list(r, ACK, session.t0, ACK_BYTES)
    r.end()
    need({a.sender for a in acks} <= set(session.joined), "T0", "an Ack of one that is not of the session")
    numbers = session.numbers
    valid = {a.sender: read_ack(session, a, {i: shown[i] for i in shown if i in numbers.circles[a.sender]}) for a in acks}
    asked = {i: numbers.circles[i] & set(valid) for i in shown}
    session.holders = {i: {j for j in asked[i] if i in valid[j]} for i in shown}
    session.linked = [i for i in sorted(shown) if i in valid and len(session.holders[i]) >= numbers.threshold
                      and len(asked[i]) - len(session.holders[i]) <= numbers.colluding]
    need(len(session.linked) >= numbers.floor, "floor", f"{len(session.linked)} members in U2")
    session.t1 = H("T1", session.t0, set_bytes(session.linked), m.body)
    session.under(m, session.t1, "T1")
