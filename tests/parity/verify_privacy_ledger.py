#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A second verifier of privacy ledgers, written from policy/FORMATS.md ("privacy.ledger"); it shares no code with Rondo.
Checks chain, signatures, grammar, order and budget, and computes every filter sum again, by quadrature in plain floats.

    verify_privacy_ledger.py FILE [--key HEX]       exit code 1 where something does not hold
"""
import argparse
import decimal
import functools
import hashlib
import math
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TAG = b"rondo/v1 privacy ledger".ljust(32, b"\0")
APART = 1 / 1024
HASH, NAME, WHOLE, REAL = r"[0-9a-f]{64}", r"[a-z0-9-]{1,63}", r"0|[1-9][0-9]{0,19}", r"0x[01](?:\.[0-9a-f]+)?p[+-][0-9]+"
RECORDS = {
    "rondo-privacy": [("version", WHOLE), ("identity", HASH), ("lineage", NAME), ("commitment", HASH), ("unit", "record|person"),
                      ("group", WHOLE), ("records-max", WHOLE), ("adjacency", "zero-out|add-remove"), ("epsilon", REAL),
                      ("delta", REAL), ("order", REAL), ("bound", REAL)],
    "plan": [("plan", HASH), ("name", NAME), ("method", "rolora|ffa-lora|fedavg-lora"), ("rounds", WHOLE), ("trainings", WHOLE),
             ("steps", WHOLE), ("sampler", "poisson|all|allocation"), ("threshold", WHOLE), ("cap", WHOLE), ("noise", REAL), ("clip", REAL),
             ("grid", WHOLE), ("denominator", REAL), ("dimension", WHOLE), ("epsilon", REAL), ("deviation", REAL), ("cut", REAL),
             ("before", REAL), ("after", REAL)],
    "intent": [("counter", WHOLE), ("plan", HASH), ("round", WHOLE), ("training", WHOLE), ("steps", WHOLE), ("adapter", HASH),
               ("keys", HASH), ("matrices", r"A|B|A\+B"), ("rng", "system|test-seed")],
    "commit": [("counter", WHOLE), ("output", HASH), ("status", "sent|dropped|aborted|failed")],
    "close": [("plan", HASH), ("trainings", WHOLE), ("filter", REAL)],
    "release": [("what", NAME), ("mechanism", "constant|stated"), ("epsilon", REAL), ("delta", REAL), ("filter", REAL)],
    "nonprivate": [("plan", HASH), ("name", NAME)],
}
RECORDS["shared"] = RECORDS["plan"][:14] + [("honest", WHOLE)] + RECORDS["plan"][14:]
GRAMMAR = {kind: re.compile(kind + "".join(f" {name} ({form})" for name, form in fields)) for kind, fields in RECORDS.items()}
SEAL = re.compile(r"(.*) chain ([0-9a-f]{64}) sign ([0-9a-f]{128})")


class Fault(Exception):
    pass


def demand(condition, what):
    if not condition:
        raise Fault(what)


def alike(stated, computed, slack=1e-9):
    return abs(stated - computed) <= slack * abs(computed)


# ---- Renyi divergences: E over N(0, s^2) of r^p - 1 - p (r - 1), r the ratio of the densities, whose mean is 1.

def log_ratio(x, s, weights):
    logs = [w + (2 * j * x - j * j) / (2 * s * s) for j, w in enumerate(weights) if w > -math.inf]
    top = max(logs)
    return top + math.log(math.fsum(math.exp(each - top) for each in logs))


def excess(log_r, p):
    """r^p - 1 - p (r - 1) without cancelling where r is near 1; None where it is too large."""
    if abs(log_r * max(p, 1, -p)) < 1e-3:
        u = math.expm1(log_r)
        term, total = p * (p - 1) / 2 * u * u, 0.0
        for k in range(3, 12):
            total += term
            term *= (p - k + 1) / k * u
        return total
    return math.expm1(p * log_r) - p * math.expm1(log_r)


def log_moment(s, weights, p):
    group = len(weights) - 1
    step = min(s / 16, s * s / (2 * group))
    reach = 14 * s + 1
    low, high = min(0.0, p * group) - reach, max(p, 1) * group + reach
    points = [low + i * step for i in range(int((high - low) / step) + 2)]
    logs = [(-x * x / (2 * s * s) - math.log(s * math.sqrt(2 * math.pi)) + math.log(step), log_ratio(x, s, weights)) for x in points]
    top = max(w + p * r for w, r in logs)
    if top > 30 or max(r for w, r in logs) * max(1, abs(p)) > 600:
        return top + math.log(math.fsum(math.exp(w + p * r - top) for w, r in logs if w + p * r - top > -745))
    return math.log1p(math.fsum(math.exp(w) * excess(r, p) for w, r in logs if w > -745))


def renyi_gauss(q, s, group, order):
    if q >= 1:
        return order * group * group / (2 * s * s)
    weights = [math.log(math.comb(group, j)) + j * math.log(q) + (group - j) * math.log1p(-q) for j in range(group + 1)]
    forward = log_moment(s, weights, order)
    backward = log_moment(s, weights, 1 - order) if group > 1 else 0.0
    return max(forward, backward) / (order - 1)


# ---- Noise in shares: sums of discrete Gaussians, whose bound is Kairouz, Liu and Steinke's (2021); of whole orders under
# sampling Zhu and Wang's (2019); between two of them the chord of (order - 1) D.

def share_of(r):
    return max(1.0, math.ceil(r["noise"] * r["grid"] / math.sqrt(r["honest"])))


def renyi_shares(norm, s, shares, dimension, order):
    tau = 10 * math.fsum(math.exp(-2 * math.pi**2 * s * s * k / (k + 1)) for k in range(1, shares))
    total = math.sqrt(shares) * s
    d1, d2 = norm * min(math.sqrt(dimension), norm) / total, norm / total
    return min(order / 2 * d2 * d2 + tau * dimension, order / 2 * (d2 * d2 + 2 * d1 * tau + tau * tau * dimension),
               order / 2 * (d2 + math.sqrt(dimension) * tau) ** 2)


def sampled_moment(divergence, q, order):
    """(order - 1) D of a whole order."""
    if order < 2:
        return 0.0
    logs = [(order - 1) * math.log1p(-q) + math.log1p((order - 1) * q)]
    for k in range(2, order + 1):
        logs.append(math.log(math.comb(order, k)) + k * math.log(q) + (order - k) * math.log1p(-q) + (k - 1) * divergence(k)
                    + (math.log(3) if k > 2 else 0.0))
    top = max(logs)
    return min((order - 1) * divergence(order), top + math.log(math.fsum(math.exp(each - top) for each in logs)))


def renyi_shared(r, group, order):
    def whole(a):
        return renyi_shares(r["grid"] * group, share_of(r), r["honest"], max(1, r["dimension"]), a)
    q = rate(r["threshold"]) if group == 1 else 1.0
    if q >= 1 or order > 1024:
        return whole(order)
    below, part = int(order), order - int(order)
    chord = (1 - part) * sampled_moment(whole, q, below) + (part * sampled_moment(whole, q, below + 1) if part > 0 else 0.0)
    return min(whole(order), max(0.0, chord) / (order - 1))


# ---- Random allocation

@functools.lru_cache(None)
def allocation_remove(s, t, n):
    """ln E S^n, S the mean of t likelihood ratios: t-th power of a series, by its differential equation, in 50 digits."""
    with decimal.localcontext() as context:
        context.prec, context.Emax, context.Emin = 50, 10**9, -10**9
        square = 1 / decimal.Decimal(s) ** 2
        c = [(square * k * (k - 1) / 2).exp() / math.factorial(k) for k in range(n + 1)]
        power = [decimal.Decimal(1)]
        for m in range(1, n + 1):
            power.append(sum((k * t - m + k) * c[k] * power[m - k] for k in range(1, m + 1)) / m)
        return float((power[n] * math.factorial(n)).ln() - n * decimal.Decimal(t).ln())


@functools.lru_cache(None)
def allocation_add(s, t, b):
    """ln E S^-b = ln of 1 / Gamma(b) times the integral of u^(b - 1) E[exp(-u X / t)]^t, over ln u."""
    nodes = [(i / 16, math.exp(-(i / 16) ** 2 / 2) / 16 / math.sqrt(2 * math.pi)) for i in range(-16 * 40, 16 * 14)]
    ratios = [(math.exp(min(z / s - 1 / (2 * s * s), 700)), w) for z, w in nodes]
    step = min(0.1, 0.3 / math.sqrt(b))

    def at(y):
        u = math.exp(y) / t
        if u < 0.3:
            return b * y + t * math.log1p(math.fsum(w * math.expm1(-u * x) for x, w in ratios))
        return b * y + t * math.log(math.fsum(w * math.exp(-u * x) for x, w in ratios if u * x < 700))
    logs, y = [at(math.log(b))], math.log(b)
    for way in (step, -step):
        y, best = math.log(b) + way, max(logs)
        while True:
            value = at(y)
            if value < max(best, max(logs)) - 45:
                break
            logs.append(value)
            y += way
    top = max(logs)
    return top + math.log(step * math.fsum(math.exp(x - top) for x in logs)) - math.lgamma(b)


def renyi_pick(s, t, order):
    """One pick of t slots: straight lines between whole orders, of the larger direction; unsampled where that is less."""
    unsampled = order / (2 * s * s)
    low = math.floor(order)
    if t == 1 or low + 1 > 256 or s < 0.25:
        return unsampled
    moment = [0.0 if n < 2 else max(allocation_remove(s, t, n), allocation_add(s, t, n - 1)) for n in (low, low + 1)]
    return min(((low + 1 - order) * moment[0] + (order - low) * moment[1]) / (order - 1), unsampled)


def renyi_allocation(s, picks, slots, order):
    few, more = divmod(slots, picks)
    return (picks - more) * renyi_pick(s, few, order) + (more * renyi_pick(s, few + 1, order) if more else 0.0)


def renyi_plan(plan, group, order):
    """Of one step; with allocation a training's share of it."""
    if "honest" in plan:
        return renyi_shared(plan, group, order)
    if plan["sampler"] == "allocation":
        return renyi_allocation(plan["noise"], plan["threshold"], plan["steps"], order) / plan["steps"]
    return renyi_gauss(rate(plan["threshold"]), plan["noise"], group, order)


def renyi_stated(e, a):
    """Of randomised response, which dominates every mechanism of that epsilon."""
    return (a * e + math.log1p(math.exp(e * (1 - 2 * a))) - math.log1p(math.exp(e))) / (a - 1) if e > 0 else 0.0


def to_epsilon(divergence, order, delta):
    return max(0.0, divergence + math.log1p(-1 / order) - (math.log(delta) + math.log(order)) / (order - 1))


# ---- What follows from terms and plan.

def rate(threshold):
    value = float(threshold)
    if int(value) < threshold:
        value = math.nextafter(value, math.inf)
    return value * 2.0**-64


def tail(n, q, cap):
    """P[Bin(n, q) > cap] from above."""
    k = cap + 1
    if cap >= n:
        return 0.0
    if q >= 1 or k <= n * q:
        return 1.0
    log_first = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(q) + (n - k) * math.log1p(-q)
    ratio = (n - k) / (k + 1) * q / (1 - q)
    return min(1.0, math.exp(log_first) / (1 - ratio) * (1 + 1e-4)) if ratio < 1 else 1.0


class Ledger:
    def __init__(self):
        self.terms = self.open = self.commit = self.last = None
        self.plans, self.counter, self.spent, self.apart = {}, 0, 0.0, 0.0
        self.releases, self.nonprivate, self.test_seeds, self.count = [], 0, 0, 0

    def delta(self):
        return self.terms["delta"] * (1 - APART)

    def reserved(self):
        return self.spent + (self.open["trainings"] * self.open["steps"] * self.open["cost"] if self.open else 0.0)

    def begun(self):
        return self.spent + (self.open["begun"] * self.open["steps"] * self.open["cost"] if self.open else 0.0)

    def hold(self, filter_sum, apart):
        demand(filter_sum <= self.terms["bound"] * (1 + 1e-9), "budget: beyond the filter's bound")
        demand(apart <= self.terms["delta"] * APART * (1 + 1e-3), "budget: beyond the delta set apart")

    def header(self, r):
        demand(self.count == 0 and r["version"] == 1, "header: twice, or another version")
        demand(r["unit"] == "person" or r["group"] == 1, "header: unit and group")
        demand(1 <= r["group"] <= 64 and 1 <= r["records-max"] <= 10**9, "header: range")
        demand(0 < r["epsilon"] <= 100 and 0 < r["delta"] <= r["records-max"] ** -1.1 and r["order"] >= 1.01, "header: range")
        self.terms, a = r, r["order"]
        bound = r["epsilon"] + (math.log(self.delta()) + math.log(a)) / (a - 1) - math.log(1 - 1 / a)
        demand(bound > 0 and alike(r["bound"], bound), "header: bound")

    def plan(self, r):
        demand(self.open is None and r["plan"] not in self.plans, "plan: another one is open, or it ran before")
        demand(1 <= r["rounds"] <= min(r["trainings"], 10**5) and r["trainings"] <= 10**6 and 1 <= r["steps"] <= 10**6, "plan: range")
        allocated = r["sampler"] == "allocation"
        most = r["steps"] if allocated else 2**64 - 1
        demand((r["threshold"] == 2**64 - 1) == (r["sampler"] == "all") and 1 <= r["threshold"] <= most, "plan: threshold")
        demand(not allocated or self.terms["group"] == 1, "plan: allocation with a group")
        demand(r["noise"] > 0 and r["clip"] > 0 and 1 <= r["grid"] <= 2**23 and r["cap"] >= 1, "plan: range")
        if "honest" in r:
            demand(1 <= r["honest"] <= 1024 and r["steps"] == 1 and 1 <= r["dimension"] < 2**53 and share_of(r) <= 2**30,
                   "plan: range of shares")
            demand(not allocated and r["deviation"] == share_of(r), "plan: deviation is not that of a share")
        else:
            demand(alike(r["deviation"], r["noise"] * r["grid"]), "plan: deviation is not noise * grid")
        q, events = r["threshold"] / r["steps"] if allocated else rate(r["threshold"]), r["trainings"] * r["steps"]
        sampler = r["dimension"] * (r["honest"] * 2.0**-183 if "honest" in r else (r["deviation"] + 1) * 2.0**-108)
        cut = (1 + math.exp(self.terms["epsilon"])) * events * (tail(self.terms["records-max"], q, r["cap"]) + sampler)
        demand(alike(r["cut"], cut, 1e-3), "plan: chance of cut draws")
        r["cost"] = renyi_plan(r, self.terms["group"], self.terms["order"])
        demand(alike(r["before"], self.spent), "plan: filter sum before")
        demand(alike(r["after"], self.spent + events * r["cost"]), "plan: filter sum after")
        self.hold(self.spent + events * r["cost"], self.apart + cut)
        r.update(begun=0, round=0, cut=cut)
        self.open = self.plans[r["plan"]] = r

    def intent(self, r):
        demand(self.open is not None and r["plan"] == self.open["plan"], "intent: its plan is not open")
        demand(r["counter"] == self.counter + 1 and r["training"] == self.open["begun"] + 1, "intent: counter")
        demand(r["training"] <= self.open["trainings"], "intent: more than the plan's trainings")
        demand(max(1, self.open["round"]) <= r["round"] <= self.open["rounds"], "intent: round")
        demand(r["steps"] == self.open["steps"], "intent: steps")
        trains = {"rolora": ("A", "B"), "ffa-lora": ("B",), "fedavg-lora": ("A+B",)}[self.open["method"]]
        demand(r["matrices"] in trains, "intent: matrices")
        self.counter, self.commit = self.counter + 1, None
        self.open["begun"], self.open["round"] = r["training"], r["round"]
        self.test_seeds += r["rng"] == "test-seed"
        self.last = r

    def commits(self, r):
        demand(self.open and self.last and r["counter"] == self.counter and self.last["plan"] == self.open["plan"], "commit: counter")
        demand((r["status"] == "failed") == (r["output"] == "0" * 64), "commit: output")
        if self.commit:
            demand("failed" not in (self.commit["status"], r["status"]), "commit: after a failure")
            demand(self.commit["output"] == r["output"] and self.commit["status"] != r["status"], "commit: another output")
        self.commit = r

    def close(self, r):
        demand(self.open is not None and r["plan"] == self.open["plan"], "close: its plan is not open")
        demand(r["trainings"] == self.open["begun"] and alike(r["filter"], self.begun()), "close: sums")
        self.apart += self.open["cut"] * self.open["begun"] / self.open["trainings"]
        self.spent, self.open = self.begun(), None

    def release(self, r):
        cost = renyi_stated(r["epsilon"], self.terms["order"])
        demand(0 <= r["epsilon"] <= 100 and 0 <= r["delta"] < 1, "release: range")
        demand(r["mechanism"] == "stated" or r["epsilon"] == r["delta"] == 0, "release: a constant costs nothing")
        demand(alike(r["filter"], self.begun() + cost), "release: filter sum")
        self.hold(self.reserved() + cost, self.apart + r["delta"] + (self.open["cut"] if self.open else 0.0))
        self.spent, self.apart = self.spent + cost, self.apart + r["delta"]
        self.releases += [r["epsilon"]] if r["mechanism"] == "stated" else []

    def nonprivate_plan(self, _):
        demand(self.open is None, "nonprivate: a plan is open")
        self.nonprivate += 1

    def take(self, kind, r):
        demand((kind == "rondo-privacy") == (self.count == 0), "the header is the first record and the only one")
        {"rondo-privacy": self.header, "plan": self.plan, "shared": self.plan, "intent": self.intent, "commit": self.commits, "close": self.close,
         "release": self.release, "nonprivate": self.nonprivate_plan}[kind](r)
        self.count += 1

    def epsilon_rdp(self):
        """All plans charged whole, at the best of many orders."""
        def at(order):
            total = sum(p["trainings"] * p["steps"] * renyi_plan(p, self.terms["group"], order)
                        for p in self.plans.values())
            return to_epsilon(total + sum(renyi_stated(e, order) for e in self.releases), order, self.delta())
        if not self.plans and not self.releases:
            return 0.0
        orders = [1 + math.exp(x / 4) for x in range(-8, 22)]
        best = min(range(len(orders)), key=lambda i: at(orders[i]))
        low, high = orders[max(best - 1, 0)], orders[min(best + 1, len(orders) - 1)]
        for _ in range(40):  # by thirds
            third = (high - low) / 3
            low, high = (low, high - third) if at(low + third) < at(high - third) else (low + third, high)
        return at((low + high) / 2)


def parse(text):
    kind = text.split(" ")[0]
    demand(kind in GRAMMAR, "no record that is known")
    match = GRAMMAR[kind].fullmatch(text)
    demand(match, f"no {kind} record")
    out = {}
    for (name, form), value in zip(RECORDS[kind], match.groups()):
        if form == WHOLE:
            out[name] = int(value)
            demand(out[name] < 2**64, "a whole number is too large")
        elif form == REAL:
            out[name] = float.fromhex(value)
            demand(canonical(out[name]) == value, "a number is not in its one form")
        else:
            out[name] = value
    return kind, out


def canonical(value):
    """As printf's %a writes it: Python's form without zeros at the end."""
    return re.sub(r"\.?0*p", "p", value.hex())


def verify(data, key=None):
    """Returns the ledger, or raises Fault."""
    ledger, chain, public = Ledger(), bytes(32), None
    demand(data.endswith(b"\n"), "the last line is not whole")
    for number, line in enumerate(data[:-1].split(b"\n"), 1):
        try:
            demand(len(line) < 2048 and line.isascii(), "no line of a ledger")
            match = SEAL.fullmatch(line.decode())
            demand(match, "no line of a ledger")
            kind, record = parse(match.group(1))
            chain = hashlib.sha256(TAG + chain + match.group(1).encode()).digest()
            demand(chain.hex() == match.group(2), "chain")
            if public is None:
                demand(kind == "rondo-privacy", "no header")
                demand(key is None or record["identity"] == key, "another identity than the key")
                public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(record["identity"]))
            public.verify(bytes.fromhex(match.group(3)), TAG + chain)
            ledger.take(kind, record)
        except InvalidSignature:
            raise Fault(f"line {number}: signature") from None
        except Fault as fault:
            raise Fault(f"line {number}: {fault}") from None
    return ledger


def up(value):
    return f"{math.ceil(value * 1e4) / 1e4:.4f}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--key")
    args = parser.parse_args()
    try:
        ledger = verify(open(args.file, "rb").read(), args.key)
    except Fault as fault:
        print(f"FAIL {fault}")
        return 1
    terms = ledger.terms
    print(f"PASS {ledger.count} records, {len(ledger.plans)} plans, {ledger.counter} trainings")
    print(f"filter {ledger.reserved():.12g} of {terms['bound']:.12g} at order {terms['order']:g}: epsilon "
          f"{up(to_epsilon(ledger.reserved(), terms['order'], ledger.delta()))}; by RDP {up(ledger.epsilon_rdp())}")
    if ledger.nonprivate or ledger.test_seeds:
        print("NOT PRIVATE: nothing can be claimed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
