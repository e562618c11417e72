#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The images, built from this checkout, and whole federations in their containers, under compose and as pods: every
container is killed once in the middle of a round, and looked into from inside. Skipped, with the reason, where no
container can run."""

import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy/container"))

import confined  # noqa: E402
import engine  # noqa: E402

ROUNDS = 6
FIELDS = {"accuracy_before", "accuracy_after", "adapter", "rounds", "organisations_lost", "uplink_bytes",
          "uplink_bytes_lora", "method", "organisations", "directory", "seconds"}  # of deploy/demo
# What confines a container, and what is said where it is missing.
CONFINED = {"--user=10001:10001": "root", "--read-only": "/ can be written", "--cap-drop=all": "CapBnd",
            "--security-opt=no-new-privileges": "NoNewPrivs"}


def containers(*words):
    return subprocess.run([ROOT / "deploy/containers", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def left(name):
    """What the engine holds: a demonstration leaves nothing but images."""
    return [engine.call(name, *words).stdout.split() for words in (("ps", "--all", "--quiet"), ("volume", "ls", "--quiet"),
                                                                   ("network", "ls", "--quiet"))]


def started(name, *flags):
    return engine.call(name, "run", "--detach", "--rm", "--entrypoint=/bin/sleep", *flags, engine.image("tools"),
                       "300").stdout.split()[-1]


def faults_are_seen(name):
    """The look from inside finds each thing that is missing, and nothing where all is there."""
    for missing in [None, *CONFINED]:
        flags = [flag for flag in CONFINED if flag != missing]
        container = started(name, "--network=none", "--user=0:0", *flags)
        found = confined.process_faults(name, container) + confined.root_faults(name, container)
        engine.call(name, "rm", "--force", "--time=0", container)
        assert bool(found) == (missing is not None), (missing, found)
        assert missing is None or CONFINED[missing] in " ".join(found), (missing, found)


def ways_are_seen(name):
    """And it finds what is in reach on a network, and what is not."""
    engine.call(name, "network", "create", "--internal", "rondo-test-one")
    engine.call(name, "network", "create", "--internal", "rondo-test-two")
    one, other, apart = [started(name, f"--network=rondo-test-{net}") for net in ("one", "one", "two")]
    where = [engine.call(name, "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
                         container).stdout.strip() for container in (one, other, apart)]
    try:
        assert confined.network_faults(name, one, (where[1], "8443"), [where[2]]) == []
        assert confined.network_faults(name, one, (where[1], "8443"), [where[1]]) == [f"{where[1]} is in its reach"]
        assert confined.network_faults(name, one, (where[2], "8443"), []) == ["the coordinator is out of its reach"]
    finally:
        engine.call(name, "rm", "--force", "--time=0", one, other, apart, check=False)
        engine.call(name, "network", "rm", "rondo-test-one", "rondo-test-two", check=False)


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


def bad_words(name):
    for code, text, *words in ((64, "--kill takes names", "demo", "--kill", "east"),
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
    except engine.Refused as refused:
        print(f"skipped: {refused}")
        return 77
    bad_words(name)
    faults_are_seen(name)
    ways_are_seen(name)
    with tempfile.TemporaryDirectory(prefix="rondo-test-") as folder:
        a_federation_ends_well(name, f"{folder}/compose")
        a_federation_ends_well(name, f"{folder}/kube", "--kube")
    return 0


if __name__ == "__main__":
    sys.exit(main())
