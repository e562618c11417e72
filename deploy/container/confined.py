# SPDX-License-Identifier: Apache-2.0
"""What holds inside a running container, asked from inside: user, rights, root file system, network."""

import engine

STATUS = {"CapEff": "0000000000000000", "CapBnd": "0000000000000000", "CapPrm": "0000000000000000",
          "NoNewPrivs": "1", "Seccomp": "2"}


def inside(name, container, script):
    return engine.call(name, "exec", container, "/bin/bash", "-c", script, check=False)


def process_faults(name, container):
    status = dict(line.split(":", 1) for line in inside(name, container, "cat /proc/1/status").stdout.splitlines())
    faults = [f"{key} is {status.get(key, 'unknown').strip()}" for key, value in STATUS.items()
              if status.get(key, "").strip() != value]
    users = set(status.get("Uid", "0").split()) | set(status.get("Gid", "0").split())
    return faults + (["it runs as root"] if "0" in users else [])


def root_faults(name, container):
    tried = inside(name, container, "for place in / /usr/local/bin /etc /data /model; do "
                                    "touch $place/probe 2>/dev/null && echo $place; done; true").stdout.split()
    return [f"{place} can be written" for place in tried]


def reaches(name, container, host, port):
    """True: something answers there, were it a refusal; a network without a way to it does not."""
    tried = inside(name, container, f"timeout 3 bash -c '</dev/tcp/{host}/{port}' 2>&1; echo $?").stdout
    return tried.strip().endswith("0") or "refused" in tried


def network_faults(name, container, coordinator, others):
    """coordinator: host and port; others: addresses that must be out of reach."""
    faults = [] if reaches(name, container, *coordinator) else ["the coordinator is out of its reach"]
    return faults + [f"{address} is in its reach" for address in others if reaches(name, container, address, 443)]
