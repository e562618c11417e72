#!/usr/bin/env python3
"""Checks include directions: base <- crypto <- policy <- services; base <- trainer <- services (trainer/trainer.h alone),
and those between the folders of trainer and of services; that libraries stay in the folder that owns them; that sans-I/O code knows no
clock, log, file, thread or socket; and that inside services/rpc each file includes and calls downward alone."""
import os
import re
import sys

ROOMS = {"base": set(), "crypto": {"base"}, "policy": {"base", "crypto"}, "trainer": {"base"},
         "services": {"base", "crypto", "policy", "trainer"}}
OWNED = [
    (re.compile(r"^grpc/"), ("services/rpc/",)),
    (re.compile(r"^(cblas|openblas|dnnl|oneapi)"), ("trainer/kernels/cpu/",)),
    (re.compile(r"^(cuda|cublas|cudnn)"), ("trainer/kernels/cuda/",)),
    (re.compile(r"^(sodium|openssl/)"), ("crypto/",)),
    (re.compile(r"^yaml\.h"), ("policy/",)),
    (re.compile(r"^fftw3"), ("policy/accountant/",)),
    (re.compile(r"^sqlite3"), ("services/store/",)),
]
SANS_IO = re.compile(r"^(sys/socket|pthread|time|unistd|fcntl|stdio|threads)\.h$|^base/(file|clock|log|thread)\.h$")
SANS_IO_CALL = re.compile(r"\b(rn_(clock|log|file|thread|random_bytes)\w*|printf|fopen|time|gettimeofday|clock_gettime|getenv)\(")
SANS_IO_ROOMS = ("crypto/secagg/", "policy/", "services/federation/", "services/round/")
# Inside services: whom a folder may include. The command line's kit is a library of its own.
SERVICES = {"wire": set(), "round": set(), "store": set(), "rpc": {"wire"}, "federation": {"round", "wire"},
            "host": {"federation", "round", "store", "rpc", "wire", "cli/kit"},
            "simulate": {"federation", "round", "store", "wire"},
            "coordinator": {"host", "federation", "round", "cli/kit"},
            "trainer": {"host", "federation", "round", "cli/kit"}, "cli/kit": set(), "bench": {"cli/kit"},
            "cli": {"cli/kit", "bench", "coordinator", "trainer"},  # the tree of commands, and the manual of all programs
            "cli/desk": {"cli", "cli/kit", "host"},
            "cli/simulate": {"cli", "cli/kit", "cli/desk", "cli/setup", "host", "round", "simulate"},
            "cli/privacy": {"cli", "cli/kit", "host"},
            "cli/setup": {"cli", "cli/kit", "host", "round", "rpc"},
            "cli/run": {"cli", "cli/kit", "cli/desk", "cli/setup", "coordinator", "trainer", "host", "federation", "rpc",
                        "wire"}}
TRAINER_OUTSIDE = {"trainer/trainer.h"}
# Inside trainer: each room may include those before it. The face (files of the folder itself) may include all of them;
# of the face a room may include the words alone. A backend knows its own folder and the table.
TRAINER = ["ground", "text", "data", "kernels", "model", "adapter", "pass", "privacy", "learn", "bench"]
TRAINER_WORDS = {"words", "jobwords", "dpwords"}
KERNELS = {"kernels": set(), "kernels/ref": {"kernels"}, "kernels/cpu": {"kernels"}, "kernels/cuda": {"kernels"},
           "kernels/cuda/emulated": {"kernels", "kernels/cuda"}}
# The door through which the emulator comes in where no CUDA compiler is.
EMULATOR_DOOR = ("trainer/kernels/cuda/cudakernel.h", "trainer/kernels/cuda/emulated/cudahost.h")

# Files of services/rpc from the ground up: one may include the headers, and name the functions, of levels below its own
# alone. rpc.h is everybody's, so calls are looked at by name.
RPC_LEVELS = [["peer"], ["address", "rpc_socket", "rpc_status", "rpc_buffer", "rpc_methods", "rpc_creds", "rpc_setup"],
              ["rpc_core"], ["rpc_args", "rpc_peer", "rpc_local"], ["rpc_streambatch"], ["rpc_stream"],
              ["rpc_streamuse"], ["rpc_health"], ["rpc_unary"], ["rpc_link", "rpc_server"], ["rpc_run"]]
RPC_LEVEL = {name: level for level, names in enumerate(RPC_LEVELS) for name in names}
RPC_SHARED = {"rpc", "rpc_stream", "rpc_unary"}  # headers of more than one level
DEFINITION = re.compile(r"^[a-z][\w *]*?\b(rn_(?:rpc|peer)_\w+)\([^;]*?\)\n\{", re.M)


def rpc_faults(texts):
    name = {path: os.path.basename(path).split(".")[0] for path in texts}
    for path in texts:
        if path.endswith(".c") and name[path] not in RPC_LEVEL:
            yield path, 1, "this file has no place in RPC_LEVELS"
    home = {function: name[path] for path in texts if path.endswith(".c") for function in DEFINITION.findall(texts[path])}
    for path, text in texts.items():
        level = RPC_LEVEL.get(name[path], len(RPC_LEVELS))
        for number, line in enumerate(text.splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"services/rpc/(\w+)\.h"', line)
            used = {match.group(1): match.group(1)} if match and match.group(1) not in RPC_SHARED else {}
            if path.endswith(".c") and not re.match(r" \*|\s*/\*", line):
                words = re.findall(r"\brn_(?:rpc|peer)_\w+", re.sub(r"struct \w+", "", line))
                used.update({home[word]: word for word in words if word in home})
            for other, what in used.items():
                if other != name[path] and RPC_LEVEL[other] >= level:
                    yield path, number, f"{name[path]} does not stand above {other} in services/rpc: {what}"


def folder(path):
    parts = path.split("/")
    return "/".join(parts[1:-1]) if len(parts) > 2 else ""


def trainer_may(path, name):
    """Whether a file of a room inside trainer may include a header of trainer."""
    room, other = folder(path), folder(name)
    if room == other or not room or (path, name) == EMULATOR_DOOR:
        return True
    if not other:
        return os.path.basename(name).split(".")[0] in TRAINER_WORDS
    if room in KERNELS and other in KERNELS:
        return other in KERNELS[room]
    rooms = [each.split("/")[0] for each in (room, other)]
    return all(each in TRAINER for each in rooms) and TRAINER.index(rooms[1]) < TRAINER.index(rooms[0])


def sans_io_faults(number, line):
    match = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
    if match and SANS_IO.match(match.group(1)):
        yield number, f"sans-I/O code may not include {match.group(1)}"
    match = None if re.match(r"\s*(/\*|\*)", line) else SANS_IO_CALL.search(line)
    if match:
        yield number, f"sans-I/O code may not call {match.group(1)}"


def faults(path, text):
    room = path.split("/")[0]
    for number, line in enumerate(text.splitlines(), 1):
        if path.startswith(SANS_IO_ROOMS):
            yield from sans_io_faults(number, line)
        match = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if not match:
            continue
        name, other = match.group(2), match.group(2).split("/")[0]
        if match.group(1) == '"' and other in ROOMS and room in ROOMS and other != room:
            if other not in ROOMS[room]:
                yield number, f"{room} may not include {name}"
            if room == "services" and other == "trainer" and name not in TRAINER_OUTSIDE:
                yield number, f"services may include trainer/trainer.h alone, not {name}"
        if room in ROOMS:
            for pattern, homes in OWNED:
                if pattern.match(name) and not path.startswith(homes):
                    yield number, f"<{name}> belongs to {', '.join(homes)}"
        if room == other == "trainer" and match.group(1) == '"' and not trainer_may(path, name):
            yield number, f"trainer/{folder(path)} may not include {name}"
        if room == other == "services" and folder(name) != folder(path):
            if folder(name) not in SERVICES.get(folder(path), set()):
                yield number, f"services/{folder(path)} may not include {name}"


bad = 0
texts = {path: open(path, encoding="utf-8").read() for path in sys.argv[1:]}
found = [(path, number, what) for path, text in texts.items() for number, what in faults(path, text)]
found += rpc_faults({path: text for path, text in texts.items() if path.startswith("services/rpc/")})
for path, number, what in found:
    print(f"lint: {path}:{number}: {what}", file=sys.stderr)
    bad += 1
sys.exit(1 if bad else 0)
