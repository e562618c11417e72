#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The images, built from this checkout, and whole federations in their containers, under compose and as pods: every
container is killed once in the middle of a round, and looked into from inside. Skipped, with the reason, where no
container can run."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy/container"))

import confined  # noqa: E402
import engine  # noqa: E402

ROUNDS = 10
FIELDS = {"accuracy_before", "accuracy_after", "adapter", "rounds", "organisations_lost", "uplink_bytes",
          "uplink_bytes_lora", "method", "organisations", "directory", "seconds"}  # of deploy/demo
# What confines a container, and what is said where it is missing.
CONFINED = {"--user=10001:10001": "root", "--read-only": "/ can be written", "--cap-drop=all": "CapBnd",
            "--security-opt=no-new-privileges": "NoNewPrivs"}
LOOSE = {"--security-opt=seccomp=unconfined": "Seccomp", "--volume=/tmp:/model": "/model can be written"}
NETWORKS = [f"rondo-test-{os.getpid()}-{name}" for name in ("one", "two", "out")]


def containers(*words):
    return subprocess.run([ROOT / "deploy/containers", *words], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)


def left(name):
    """What the engine holds: a demonstration leaves nothing but images."""
    lists = (("ps", "--all", "--quiet"), ("volume", "ls", "--quiet"), ("network", "ls", "--quiet"))
    return [engine.call(name, *words).stdout.split() for words in lists]


def started(name, *flags):
    return engine.call(name, "run", "--detach", "--rm", "--entrypoint=/bin/sleep", *flags, engine.image("tools"),
                       "300").stdout.split()[-1]


def faults_of(name, places, *flags):
    container = started(name, "--network=none", "--user=0:0", *flags)
    found = confined.process_faults(name, container) + confined.root_faults(name, container, places)
    engine.call(name, "rm", "--force", "--time=0", container)
    return " ".join(found)


def faults_are_seen(name):
    """The look from inside finds each thing that is missing, and nothing where all is there."""
    assert faults_of(name, ["/"], *CONFINED) == ""
    for missing, said in CONFINED.items():
        found = faults_of(name, ["/"], *[flag for flag in CONFINED if flag != missing])
        assert said in found, (missing, found)
    for loose, said in LOOSE.items():
        found = faults_of(name, ["/", "/model"], *CONFINED, loose)
        assert said in found, (loose, found)
    assert "/data can be written" in faults_of(name, ["/", "/data"], *CONFINED), "what is not mounted is not read-only"


def ways_are_seen(name):
    """And it finds what is in reach on a network, and what is not."""
    one, two, out = NETWORKS
    made = []
    try:
        for network, kind in ((one, ["--internal"]), (two, ["--internal"]), (out, [])):
            engine.call(name, "network", "create", *kind, network)
        made = [started(name, f"--network={network}") for network in (one, one, two, out, out)]
        address = [engine.call(name, "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
                               container).stdout.strip() for container in made]
        for at, coordinator, others, wanted in (
                (0, 1, [address[2]], []),
                (0, 1, [address[1]], [f"{address[1]} is in its reach"]),
                (0, 2, [], ["the coordinator is out of its reach"]),
                (3, 4, [], ["it has a way out"])):
            found = confined.network_faults(name, made[at], (address[coordinator], "8443"), others)
            assert found == wanted, (at, found, wanted)
    finally:
        engine.call(name, "rm", "--force", "--time=0", *made, check=False)
        engine.call(name, "network", "rm", *NETWORKS, check=False)


def a_federation_ends_well(name, work, *words):
    before = left(name)
    done = containers("demo", *words, "--rounds", str(ROUNDS), "--kill", "coordinator,north,south,west", "--format",
                      "json", "--dir", work)
    assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    result = json.loads(done.stdout.splitlines()[-1])
    assert set(result) == FIELDS and result["rounds"] == ROUNDS and result["organisations_lost"] == 0, result
    assert result["accuracy_after"] > result["accuracy_before"] + 0.1, result
    assert (pathlib.Path(result["adapter"]) / "adapter_model.safetensors").exists(), result
    for service in ("coordinator", "north", "south", "west"):
        assert f"killed {service} in the middle of it" in done.stderr, done.stderr
    assert left(name) == before
    for folder in ("coordinator", "kubernetes"):
        assert not list((work / folder).glob("**/ca.key")), "the operator's key is with a service"


def its_own_alone(name, work):
    """What is called like a site of a demonstration, but is none of its own, is left alone."""
    engine.call(name, "volume", "create", "north-model")
    try:
        a_federation_ends_well(name, work, "--kube")
        assert "north-model" in engine.call(name, "volume", "ls", "--quiet").stdout.split()
    finally:
        engine.call(name, "volume", "rm", "north-model", check=False)


def bad_words(name):
    for code, text, *words in ((64, "--kill takes names", "demo", "--kill", "east"),
                               (64, "this needs podman", "demo", "--kube", "--engine", "docker"),
                               (66, "no bin/nvcc", "build", "--engine", name, "--cuda", "/nowhere"),
                               (69, "cannot be pulled", "build", "--engine", name, "--base", "localhost/no-such:1")):
        done = containers(*words)
        assert done.returncode == code and text in done.stderr, (words, done)


def main():
    try:
        name = engine.choose(None, ["podman"])
        built = containers("build", "--engine", name)
        if built.returncode == 69:
            raise engine.Refused(built.stderr.strip())
        assert built.returncode == 0, built.stderr
        engine.make_runnable(name, engine.image("tools"))
        engine.make_connected(name, engine.image("tools"))
    except engine.Refused as refused:
        print(f"skipped: {refused}")
        return 77
    bad_words(name)
    faults_are_seen(name)
    ways_are_seen(name)
    with tempfile.TemporaryDirectory(prefix="rondo-test-") as folder:
        a_federation_ends_well(name, pathlib.Path(folder) / "compose")
        its_own_alone(name, pathlib.Path(folder) / "kube")
    return 0


if __name__ == "__main__":
    sys.exit(main())
