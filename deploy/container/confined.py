# SPDX-License-Identifier: Apache-2.0
"""What holds inside a running container, asked from inside: user, rights, root file system, network."""

import engine

STATUS = {"CapEff": "0000000000000000", "CapBnd": "0000000000000000", "CapPrm": "0000000000000000",
          "NoNewPrivs": "1", "Seccomp": "2"}


def inside(name, container, script):
    """What it prints. A container that has ended answers nothing, which is no answer: refused."""
    return engine.call(name, "exec", container, "/bin/bash", "-c", script).stdout


def process_faults(name, container):
    status = dict(line.split(":", 1) for line in inside(name, container, "cat /proc/1/status").splitlines())
    faults = [f"{key} is {status.get(key, 'unknown').strip()}" for key, value in STATUS.items()
              if status.get(key, "").strip() != value]
    users = set(status.get("Uid", "0").split()) | set(status.get("Gid", "0").split())
    return faults + (["it runs as root"] if "0" in users else [])


def root_faults(name, container, places):
    """These are mounted, and read-only, whoever asks."""
    mounts = [line.split() for line in inside(name, container, "cat /proc/mounts").splitlines()]
    options = {fields[1]: fields[3].split(",") for fields in mounts}
    return [f"{place} can be written" for place in places if "ro" not in options.get(place, [])]


def way_out(name, container):
    """Is there a default route? /proc/net/route is in hexadecimal: destination and mask are fields 1 and 7;
    ipv6_route's are destination and its length, 0 and 1, and the device, 9."""
    lines = inside(name, container, "cat /proc/net/route").splitlines()[1:]
    old = any(fields[1] == fields[7] == "00000000" for fields in map(str.split, lines))
    lines = inside(name, container, "cat /proc/net/ipv6_route").splitlines()
    new = any(fields[1] == "00" and set(fields[0]) == {"0"} and fields[9] != "lo" for fields in map(str.split, lines))
    return old or new


def reached(name, container, targets):
    """Which of these hosts and ports answer from there, were it with a refusal; a network without a way to them does
    not. All at once: what is filtered away takes its time to say nothing."""
    probes = " ".join(f"probe {host} {port} &" for host, port in targets)
    answers = inside(name, container, "probe() { said=$(timeout 1 bash -c \"</dev/tcp/$1/$2\" 2>&1); "
                                      "if [ $? = 0 ] || [[ $said = *refused* ]]; then echo $1 $2; fi; }; "
                                      f"{probes} wait")
    return {tuple(line.split()) for line in answers.splitlines()}


def network_faults(name, container, coordinator, others):
    """coordinator: host and port, both text; others: addresses that must be out of reach."""
    found = reached(name, container, [coordinator, *[(address, "443") for address in others]])
    faults = [] if coordinator in found else ["the coordinator is out of its reach"]
    faults += ["it has a way out"] if way_out(name, container) else []
    return faults + [f"{host} is in its reach" for host, _ in sorted(found - {coordinator})]
