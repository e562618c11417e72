# SPDX-License-Identifier: Apache-2.0
"""What runs containers here: podman, docker or buildah, and what it needs on a machine that allows less than usual."""

import functools
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

NAMES = ["podman", "docker", "buildah"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSION = (ROOT / "VERSION").read_text().split()[0]
USER = 10001  # of the images


class Refused(Exception):
    """What cannot be done here, and the exit code that says so (README, exit codes)."""

    def __init__(self, text, code=69):
        super().__init__(text)
        self.code = code


def image(name):
    return f"localhost/rondo-{name}:{VERSION}"


def call(*words, check=True, given="", **more):
    """Runs a command with a text as its input; what it prints is kept, and shown in the error when it fails."""
    words = [str(word) for word in words]
    more = more if "stdin" in more else {**more, "input": given}
    done = subprocess.run(words, text=True, capture_output=True, **more)
    if check and done.returncode != 0:
        said = (done.stdout + done.stderr)[-3000:]
        raise Refused(f"failed: {' '.join(words[:6])} ...\n{said}", 70)
    return done


def say(text):
    """Progress, for people."""
    print(text, file=sys.stderr, flush=True)


def has(name, wanted):
    """Is this image here?"""
    return call(name, "inspect", "--type", "image", wanted, check=False).returncode == 0


def answers(name):
    """Is it there, and can it work? Docker's client may be there without its daemon."""
    return shutil.which(name) is not None and call(name, "info", check=False).returncode == 0


def choose(name, names):
    if name is not None and name not in names:
        raise Refused(f"this needs {' or '.join(names)}, not {name}", 64)
    for candidate in [name] if name else names:
        if answers(candidate):
            return candidate
    raise Refused(f"{name or ', '.join(names)}: not there, or not working on this machine "
                  "(Debian: apt-get install podman podman-compose)")


@functools.cache
def less_than_usual():
    """Where raising limits is not allowed, containers keep those of this process, and a build's commands run in a
    chroot: settings that podman and buildah read from the environment. Kept for the life of this process."""
    limits = [f"{kind}={soft}:{hard}" for kind, which in [("nofile", resource.RLIMIT_NOFILE),
                                                          ("nproc", resource.RLIMIT_NPROC)]
              for soft, hard in [[min(value, 4096) if value > 0 else 4096 for value in resource.getrlimit(which)]]]
    folder = tempfile.TemporaryDirectory(prefix="rondo-containers-")
    conf = pathlib.Path(folder.name) / "containers.conf"
    conf.write_text("[containers]\ndefault_ulimits = [%s]\n" % ", ".join(f'"{limit}"' for limit in limits))
    os.environ["CONTAINERS_CONF"] = str(conf)
    os.environ["BUILDAH_ISOLATION"] = "chroot"
    return folder


def make_runnable(engine, base):
    """Containers of this image start here, with podman's own settings or with fewer rights; else says why not."""
    if engine == "docker" or "CONTAINERS_CONF" in os.environ:
        return
    probe = [engine, "run", "--rm", "--network=none", "--entrypoint=/bin/true", base]
    if engine == "buildah" or call(*probe, check=False).returncode != 0:
        less_than_usual()
    if engine == "podman":
        tried = call(*probe, check=False)
        if tried.returncode != 0:
            raise Refused(f"no container starts here: {(tried.stderr or '').strip()[-500:]}")


def make_connected(engine, image):
    """Containers get networks here; else says why not."""
    network = f"rondo-probe-{os.getpid()}"
    try:
        call(engine, "network", "create", "--internal", network)
        call(engine, "run", "--rm", f"--network={network}", "--entrypoint=/bin/true", image)
    except Refused as refused:
        raise Refused(f"containers get no network here (Debian: apt-get install aardvark-dns iptables): {refused}") \
            from refused
    finally:
        call(engine, "network", "rm", "--force", network, check=False)


def identity():
    """User and group of the services: the images' own, or, where that may not own our files, ourselves."""
    return (USER, USER) if os.getuid() == 0 else (os.getuid(), os.getgid())


def own(*paths):
    """Gives files to the services' user."""
    if os.getuid() == 0:
        for path in paths:
            for folder, _, files in os.walk(path):
                for entry in [folder] + [os.path.join(folder, name) for name in files]:
                    os.chown(entry, USER, USER)
