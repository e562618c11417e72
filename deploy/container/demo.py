# SPDX-License-Identifier: Apache-2.0
"""deploy/containers demo: a federation in containers, watched to its end."""

import json
import pathlib
import shutil
import tempfile
import time

import confined
import engine
from federation import NAMES, Federation
from services import SERVICES, Compose, Kube

LIMIT_S = 1200


def options(parser):
    parser.add_argument("--kube", action="store_true", help="deploy/kubernetes through `podman kube play`, as root")
    parser.add_argument("--rounds", type=int, default=8, help="rounds of the job [8]")
    parser.add_argument("--kill", default="west", metavar="NAME,...",
                        help="services to kill, each in the middle of a round of its own [west]")
    parser.add_argument("--dir", type=pathlib.Path, help="new folder for everything it makes [one in TMPDIR, kept]")
    parser.add_argument("--format", choices=["text", "json"], default="text", help="form of the result [text]")


def row_text(row, rounds):
    accuracy = "" if row["accuracy"] is None else f"  accuracy {100 * row['accuracy']:5.1f} %"
    loss = "" if row["loss"] is None else f"  loss {row['loss']:.4f}"
    return (f"round {row['round']:2}/{rounds}  phase {row['phase']}{loss}{accuracy}  "
            f"{row['members']} organisations")


def start(services, names):
    """Starts some, and looks from inside whether what the manifests promise holds in their containers. No round begins
    before the last of three members is there: so the others are looked at in peace."""
    services.up(names)
    services.wait_serving(names)
    faults = []
    for service in names:
        container, trains = services.container(service), service in NAMES
        found = confined.process_faults(services.engine, container) + \
            confined.root_faults(services.engine, container, ["/", "/model", *(["/data"] if trains else [])])
        if trains:
            others = [address for name in NAMES if name != service and services.is_there(name)
                      for address in services.addresses(name)]
            host, port = services.address.split(":")
            found += confined.network_faults(services.engine, container, (host, port), others)
        faults += [f"{service}: {fault}" for fault in found]
    if faults:
        raise engine.Refused("the containers are not confined: " + "; ".join(faults), 70)


def watch(services, federation, victims):
    """Shows rounds; kills the victims one after the other, each while a round of its own is under way."""
    begin, shown, victims, over = time.monotonic(), 0, list(victims), False
    while not over:
        over = services.finished()  # before the rows, so that the last one is shown
        if time.monotonic() - begin > LIMIT_S:
            raise engine.Refused(f"not finished after {LIMIT_S} s", 75)
        rows = [row for row in services.rows() if row["round"] > 0]
        for row in rows[shown:]:
            engine.say(row_text(row, federation.rounds))
        if len(rows) > shown and victims and not over:
            services.kill(victims[0])
            engine.say(f"round {rows[-1]['round'] + 1}: killed {victims.pop(0)} in the middle of it")
        shown = len(rows)
        time.sleep(0.5)
    if victims:
        raise engine.Refused(f"the job was over before {victims[0]} was killed: give it more --rounds", 75)


def result(federation, services, directory, begin):
    rows = [row for row in services.rows() if row["outcome"] == "ok"]
    shutil.copytree(services.volume("coordinator") / "adapters/final", directory / "adapter")
    engine.own(directory / "adapter")
    return {"accuracy_before": federation.accuracy(), "accuracy_after": federation.accuracy("/federation/adapter"),
            "adapter": str(directory / "adapter"), "rounds": len(rows),
            "organisations_lost": len(NAMES) - rows[-1]["members"],
            "uplink_bytes": sum(row["uplink_bytes_mean"] for row in rows),
            "uplink_bytes_lora": sum(row["uplink_bytes_lora"] for row in rows), "method": "rolora",
            "organisations": len(NAMES), "directory": str(directory), "seconds": round(time.monotonic() - begin, 3)}


def play(chosen, name, directory, victims):
    begin = time.monotonic()
    federation = Federation(name, directory, chosen.rounds)
    services = (Kube if chosen.kube else Compose)(name, federation)
    engine.say(f"{len(NAMES)} organisations in containers, rolora, secure aggregation over mutual TLS; files in")
    engine.say(directory)
    federation.make(engine.ROOT / "deploy/embedded", services.address, services.coordinator_measures)
    try:
        start(services, SERVICES[:-1])
        start(services, SERVICES[-1:])
        watch(services, federation, victims)
        services.end()
        return result(federation, services, directory, begin)
    finally:
        try:
            services.logs(directory)
        finally:
            services.down()


def run(chosen):
    victims = [victim for victim in chosen.kill.split(",") if victim]
    if set(victims) - set(SERVICES) or len(victims) >= chosen.rounds:
        raise engine.Refused(f"--kill takes names of {', '.join(SERVICES)}, fewer than rounds", 64)
    name = engine.choose(chosen.engine, ["podman"] if chosen.kube else ["podman", "docker"])
    if not engine.has(name, engine.image("tools")):
        raise engine.Refused(f"no image {engine.image('tools')}: run deploy/containers build first", 66)
    engine.make_runnable(name, engine.image("tools"))
    engine.make_connected(name, engine.image("tools"))
    directory = chosen.dir or pathlib.Path(tempfile.mkdtemp(prefix="rondo-containers-"))
    if chosen.dir:
        directory.mkdir(parents=True)
    summary = play(chosen, name, directory.resolve(), victims)
    if chosen.format == "json":
        print(json.dumps(summary))
        return
    print(f"\n{summary['rounds']} rounds in {summary['seconds']:.0f} s")
    print(f"accuracy on the development set: {100 * summary['accuracy_before']:.1f} % untrained, "
          f"{100 * summary['accuracy_after']:.1f} % now")
    print(f"adapter (loads in peft): {summary['adapter']}")
