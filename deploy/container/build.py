# SPDX-License-Identifier: Apache-2.0
"""deploy/containers build: the images, from the two containerfiles of this folder."""

import datetime
import os
import pathlib
import shutil
import subprocess
import tempfile

import engine

BASE = "docker.io/library/debian:12-slim"
MADE_BASE = "localhost/rondo-base:12"
LEFT_OUT = ["./.git", "./build", "./tests", "*.key", "site/*"]


def options(parser):
    parser.add_argument("--base", default=None, help=f"image to build on [{BASE}]")
    parser.add_argument("--cuda", metavar="DIR", help="CUDA toolkit, such as /usr/local/cuda: the CUDA trainer too")


def debootstrap(name):
    """A minimal Debian from its packages, which is what debian:12-slim is, but for documentation."""
    if shutil.which("debootstrap") is None or os.getuid() != 0:
        raise engine.Refused(f"{BASE} cannot be pulled; install debootstrap and run as root, or name a --base")
    engine.say(f"{BASE} cannot be pulled: making {MADE_BASE} with debootstrap")
    with tempfile.TemporaryDirectory(prefix="rondo-base-") as folder:
        engine.call("debootstrap", "--variant=minbase", "bookworm", folder, "http://deb.debian.org/debian")
        for waste in ["var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man"]:
            shutil.rmtree(pathlib.Path(folder) / waste)
        (pathlib.Path(folder) / "var/cache/apt/archives/partial").mkdir(parents=True)
        (pathlib.Path(folder) / "var/lib/apt/lists/partial").mkdir(parents=True)
        archive = ["tar", "-C", folder, "-c", "."]
        if name == "buildah":
            made = engine.call("buildah", "from", "scratch").stdout.strip()
            engine.call("buildah", "add", "--quiet", made, folder, "/")
            engine.call("buildah", "commit", "--rm", made, MADE_BASE)
            return
        with subprocess.Popen(archive, stdout=subprocess.PIPE) as tar:
            engine.call(name, "import", "-", MADE_BASE, stdin=tar.stdout)


def find_base(name, wanted):
    """The newest where a registry is in reach, else what is here."""
    base = wanted or BASE
    if engine.call(name, "pull", base, check=False).returncode == 0 or engine.has(name, base):
        return base
    if wanted:
        raise engine.Refused(f"{wanted} cannot be pulled")
    if not engine.has(name, MADE_BASE):
        debootstrap(name)
    return MADE_BASE


def sources():
    """What the checkout holds, by name: no build, and no site or key that somebody keeps beside it. Without git,
    everything but what looks like one."""
    listed = engine.call("git", "-c", "safe.directory=*", "-C", engine.ROOT, "ls-files", "-z", check=False)
    if listed.returncode == 0:
        return ["--null", "--files-from=-"], "\0".join(name for name in listed.stdout.split("\0")
                                                       if name and (engine.ROOT / name).exists())
    return [*[f"--exclude={path}" for path in LEFT_OUT], "."], ""


def context(folder):
    """The checkout without what no image needs."""
    words, names = sources()
    archive = pathlib.Path(folder) / "context.tar"
    engine.call("tar", "-C", engine.ROOT, "-cf", archive, *words, given=names)
    engine.call("tar", "-C", folder, "-xf", archive)
    archive.unlink()


def build_one(name, recipe, target, folder, more):
    """recipe: a containerfile of this folder; target: which image, or None: its last stage, rondo-programs."""
    words = [name, "bud" if name == "buildah" else "build", "--tag", engine.image(target or "programs")]
    if name != "docker":
        # OCI images know no health check. What the compiler's stage holds need not be kept as layers.
        words += ["--format=docker", f"--layers={'true' if target else 'false'}"]
    words += ["--target", target] if target else []
    engine.call(*words, *more, "--file", f"{folder}/deploy/container/{recipe}.containerfile", folder)
    engine.say(f"made {engine.image(target or 'programs')}")


def run(chosen):
    name = engine.choose(chosen.engine, engine.NAMES)
    if chosen.cuda and name == "docker":
        raise engine.Refused("the CUDA toolkit is mounted into the build, which docker cannot: use buildah or podman")
    cuda = pathlib.Path(chosen.cuda).resolve() if chosen.cuda else None
    if cuda and not (cuda / "bin" / "nvcc").exists():
        raise engine.Refused(f"{cuda}: no bin/nvcc in it", 66)
    base = find_base(name, chosen.base)
    engine.make_runnable(name, base)
    ours = ["--build-arg", f"BASE={base}"]
    toolkit = ["--volume", f"{cuda}:{cuda}:ro", "--build-arg", f"CUDA={cuda}"] if cuda else []
    labels = ["--build-arg", f"VERSION={engine.VERSION}", "--build-arg", f"PROGRAMS={engine.image('programs')}",
              "--build-arg", f"DAY={datetime.date.today()}"]
    with tempfile.TemporaryDirectory(prefix="rondo-context-") as folder:
        context(folder)
        engine.say("building the programs; this takes some minutes")
        build_one(name, "programs", None, folder, ours + toolkit)
        for target in ["coordinator", "trainer", "tools"] + (["trainer-cuda"] if cuda else []):
            build_one(name, "images", target, folder, ours + labels)
