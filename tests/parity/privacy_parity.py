#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`rondo privacy epsilon` against Opacus, dp_accounting and PLD_accounting, on random trainings.

    privacy_parity.py [--count 1000] [--seed 1] [--allocation] [--results FILE] [--seconds S]

RONDO_BIN is the folder of the programs. Each training is drawn from the seed and its number alone. With --results every
training that was compared is a line of FILE, and those that are there already are not compared again, so that S seconds at a
time come to the whole. What is compared depends on what can be imported:

- opacus: at the order that rondo reports, the two Renyi bounds are one number, to 1e-9 and what Opacus loses by the
  logarithm of a number close to 1; and rondo's is at most Opacus's best over its own orders.
- dp_accounting: rondo's Renyi bound is at most its, which adds up absolute values; by PLD, rondo's upper value is not
  below dp_accounting's optimistic one and not above its pessimistic one by more than 1e-3 (of 1 or of epsilon).
  Where its FFT is not good enough (delta below 1e-13 times the steps) it says nothing.
- PLD_accounting (--allocation, and nothing else then): random allocation. rondo's upper value is not below its lower one, not
  above its upper one by more than 1e-3 (of 1 or of epsilon), and rondo's lower value is not above its upper one.

Exit code 77 when none is there.
"""
import argparse
import json
import logging
import math
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import warnings

try:
    warnings.simplefilter("ignore")
    from opacus.accountants.analysis import rdp as opacus
except ImportError:
    opacus = None
try:
    import dp_accounting
    logging.disable(logging.WARNING)  # orders that it leaves out
    from dp_accounting.pld import privacy_loss_distribution as distributions
except ImportError:
    dp_accounting = None
try:
    import PLD_accounting as allocation
except ImportError:
    allocation = None

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("RONDO_BIN", ROOT / "build/release/bin"))
OPACUS_ORDERS = [1 + k / 10 for k in range(1, 100)] + list(range(12, 64))
WORST = {}


def rondo(plan, accountant):
    sampling, noise, steps, delta = plan
    words = ["privacy", "epsilon", *(["--sampling-rate", repr(sampling)] if isinstance(sampling, float) else
                                     ["--picks", str(sampling[0]), "--of", str(sampling[1])]),
             "--noise-multiplier", repr(noise), "--steps", str(steps), "--delta", repr(delta), "--accountant", accountant,
             "--format", "json", "--quiet"]
    return json.loads(subprocess.run([BIN / "rondo", *words], check=True, capture_output=True, text=True).stdout)


def keep(name, value):
    """The worst of a comparison, for the report."""
    WORST[name] = max(WORST.get(name, -math.inf), value)


def check(good, plan, text):
    if not good:
        sys.exit(f"sampling {plan[0]!r}, noise {plan[1]!r}, {plan[2]} steps, delta {plan[3]!r}: {text}")


def improved(rdp, order, delta):
    """Canonne, Kamath, Steinke 2020, proposition 12."""
    return rdp + math.log1p(-1 / order) - (math.log(delta) + math.log(order)) / (order - 1)


def against_opacus(plan, ours):
    rate, noise, steps, delta = plan
    order, epsilon = ours["order"], ours["epsilon"]
    best = min(improved(r, a, delta) for a, r in zip(
        OPACUS_ORDERS, opacus.compute_rdp(q=rate, noise_multiplier=noise, steps=steps, orders=OPACUS_ORDERS)))
    check(epsilon <= max(best, 0) * (1 + 1e-9) + 1e-12, plan, f"rdp {epsilon} above Opacus's best {best}")
    keep("share of Opacus's epsilon that its orders lose", 1 - epsilon / best if best > 0 else 0)
    # Its series of a fractional order ends at its first term where (1 - rate)^order is below e^-30.
    if order is None or epsilon == 0 or rate < 1 and order * math.log1p(-rate) < -25:
        return
    try:
        (once,) = opacus.compute_rdp(q=rate, noise_multiplier=noise, steps=1, orders=[order, 2])[:1]
    except ValueError:  # a partial sum of its series turned negative
        return
    theirs = improved(steps * once, order, delta)
    lost = 1e-9 * epsilon + steps * 4e-15 * max(order, 2) / (order - 1)  # of ln A, whose A is 1 and a little
    check(abs(theirs - epsilon) <= lost, plan, f"rdp {epsilon} is not Opacus's {theirs} at order {order}")
    keep("Opacus at one order, relative", abs(theirs - epsilon) / epsilon)


def against_dp_accounting(plan, ours):
    rate, noise, steps, delta = plan
    event = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
    rdp = dp_accounting.rdp.RdpAccountant().compose(event, steps).get_epsilon(delta)
    check(ours["rdp"]["epsilon"] <= rdp * (1 + 1e-9) + 1e-12, plan, f"rdp {ours['rdp']['epsilon']} above {rdp}")
    bounds = [distributions.from_gaussian_mechanism(noise, sampling_prob=rate, pessimistic_estimate=up, use_connect_dots=up)
              .self_compose(steps).get_epsilon_for_delta(delta) for up in (False, True)]
    upper, lower = ours["pld"]["epsilon"], ours["pld"]["lower"]
    check(lower <= upper <= ours["rdp"]["epsilon"], plan, f"{lower}, {upper}, {ours['rdp']['epsilon']} are out of order")
    if delta < 1e-13 * steps:
        return
    room = 1e-3 * max(1, bounds[1])
    check(upper >= bounds[0], plan, f"pld {upper} below dp_accounting's lower {bounds[0]}")
    check(lower <= bounds[1], plan, f"pld's lower {lower} above dp_accounting's upper {bounds[1]}")
    check(upper <= bounds[1] + room, plan, f"pld {upper} above dp_accounting's upper {bounds[1]}")
    keep("pld above dp_accounting's upper", upper - bounds[1])
    keep("dp_accounting's upper above pld's", bounds[1] - upper)
    keep("pld's own interval, relative", (upper - lower) / upper if upper > 0 else 0)


def against_pld_accounting(plan):
    (picks, slots), noise, steps, delta = plan
    ours = rondo(plan, "pld")
    params = allocation.PrivacyParams(sigma=noise, num_steps=slots, num_selected=picks, num_epochs=steps // slots, delta=delta)
    upper, lower = (allocation.gaussian_allocation_epsilon_configurable(
        params=params, bound_type=bound, config=allocation.AllocationSchemeConfig(
            loss_discretization=width, tail_truncation=delta * 1e-4, convolution_method=method))
        for bound, method, width in ((allocation.BoundType.DOMINATES, allocation.ConvolutionMethod.FFT, 0.01),
                                     (allocation.BoundType.IS_DOMINATED, allocation.ConvolutionMethod.GEOM, 0.2)))
    check(ours["lower"] <= ours["epsilon"], plan, "lower above upper")
    check(ours["epsilon"] >= lower, plan, f"pld {ours['epsilon']} below PLD_accounting's lower {lower}")
    check(ours["lower"] <= upper, plan, f"pld's lower {ours['lower']} above PLD_accounting's upper {upper}")
    check(ours["epsilon"] <= upper + 1e-3 * max(1, upper), plan, f"pld {ours['epsilon']} above PLD_accounting's upper {upper}")
    keep("allocation: pld above PLD_accounting's upper", ours["epsilon"] - upper)
    keep("allocation: PLD_accounting's interval, relative", (upper - lower) / upper)
    keep("allocation: pld's own interval, relative", (ours["epsilon"] - ours["lower"]) / ours["epsilon"])


def too_long(*_):
    raise TimeoutError


def within_seconds(plan):
    """PLD_accounting takes seconds to hours; the slow ones are left out."""
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(20)
    try:
        against_pld_accounting(plan)
    except TimeoutError:
        keep("allocation: PLD_accounting took too long", 1)
    finally:
        signal.alarm(0)


def draw_allocation(random_):
    """A random allocation whose epsilon lies below about 30, small enough for PLD_accounting."""
    while True:
        slots = int(math.exp(random_.uniform(math.log(2), math.log(20))))
        picks = random_.choice([1, 1, 1, random_.randint(1, min(slots, 4))])
        epochs = random_.choice([1, 1, 2, 3])
        noise = math.exp(random_.uniform(math.log(0.7), math.log(5)))
        if slots >= 2 * picks and epochs * picks**2 / slots * math.expm1(min(1 / noise**2, 50)) < 12:
            return (picks, slots), noise, epochs * slots, math.exp(random_.uniform(math.log(1e-8), math.log(1e-4)))


def draw(random_):
    """A training whose epsilon lies below about 60; every tenth without sampling."""
    while True:
        rate = 1.0 if random_.random() < 0.1 else math.exp(random_.uniform(math.log(1e-4), 0))
        noise = math.exp(random_.uniform(math.log(0.5), math.log(30)))
        steps = int(math.exp(random_.uniform(0, math.log(2e4))))
        if steps * rate**2 / noise**2 < 25 and (rate < 1 or steps / noise**2 < 25):
            return rate, noise, steps, math.exp(random_.uniform(math.log(1e-9), math.log(1e-3)))


def compare(plan, peers):
    if allocation in peers:
        return within_seconds(plan)
    ours = {"rdp": rondo(plan, "rdp")}
    if opacus in peers:
        against_opacus(plan, ours["rdp"])
    if dp_accounting in peers:
        ours["pld"] = rondo(plan, "pld")
        against_dp_accounting(plan, ours)


def read_results(path, names):
    """Of the trainings that were compared with these peers: numbers done, and the worst."""
    done, skipped = set(), set()
    for line in open(path) if path and os.path.exists(path) else []:
        record = json.loads(line)
        if record["against"] == names:
            late = any(name.endswith("took too long") for name in record["worst"])
            (skipped if late else done).add((record["seed"], record["number"]))
            for name, value in record["worst"].items():
                keep(name, value)
    return done, skipped


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--allocation", action="store_true")
    parser.add_argument("--results")
    parser.add_argument("--seconds", type=float, default=math.inf)
    args = parser.parse_args()
    known = {"PLD_accounting": allocation} if args.allocation else {"opacus": opacus, "dp_accounting": dp_accounting}
    names = [name for name, module in known.items() if module is not None]
    if not names:
        print(f"none of {', '.join(known)} can be imported")
        return 77
    (done, skipped), start = read_results(args.results, names), time.monotonic()
    for number in range(args.count):
        if (args.seed, number) in done | skipped or time.monotonic() - start > args.seconds:
            continue
        before = dict(WORST)
        WORST.clear()
        compare((draw_allocation if args.allocation else draw)(random.Random(f"{args.seed}/{number}")),
                [known[name] for name in names])
        if args.results:
            with open(args.results, "a") as out:
                print(json.dumps({"against": names, "seed": args.seed, "number": number, "worst": WORST}), file=out)
        late = any(name.endswith("took too long") for name in WORST)
        (skipped if late else done).add((args.seed, number))
        for name, value in before.items():
            keep(name, value)
    print(f"{len(done)} trainings against {' and '.join(names)}, {len(skipped)} left out; the worst of each comparison:")
    for name, value in WORST.items():
        print(f"  {name}: {value:.3g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
