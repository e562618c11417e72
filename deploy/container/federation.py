# SPDX-License-Identifier: Apache-2.0
"""A federation made with the tools image: the README's commands, each in a container without a network."""

import json
import shutil

import engine

NAMES = ["north", "south", "west"]


class Federation:
    """A folder: coordinator/, north/, south/, west/ (site directories), model/, data/NAME/."""

    def __init__(self, name, directory, rounds):
        self.engine, self.directory, self.rounds = name, directory, rounds

    def tools(self, *words, data="all"):
        """One `rondo` command. It sees the whole folder, the model, and one site's data."""
        uid, gid = engine.identity()
        mounts = [f"{self.directory}:/federation", f"{self.directory}/model:/model:ro",
                  f"{self.directory}/data/{data}:/data:ro"]
        kept = ["--userns=keep-id"] if self.engine == "podman" and uid != engine.USER else []
        return engine.call(self.engine, "run", "--rm", "--network=none", "--read-only", "--cap-drop=all",
                           "--security-opt=no-new-privileges", f"--user={uid}:{gid}", *kept,
                           *[f"--volume={mount}" for mount in mounts], engine.image("tools"), *words).stdout

    def make(self, embedded, address, coordinator_measures):
        """From the embedded model and data to sites that are ready to run. address: where members find the
        coordinator; coordinator_measures: it has development data of its own."""
        for folder in ["model", *[f"data/{name}" for name in ["all", "coordinator", *NAMES]]]:
            (self.directory / folder).mkdir(parents=True)
        shutil.copytree(embedded / "model", self.directory / "model", dirs_exist_ok=True)
        shutil.copy(embedded / "train.tsv.gz", self.directory / "data/all")
        for name in ["all", "coordinator"]:
            shutil.copy(embedded / "dev.tsv.gz", self.directory / "data" / name)
        engine.own(self.directory)
        self.tools("data", "split", "--data", "/data/train.tsv.gz", "--text", "sentence", "--label", "label", "--parts",
                   len(NAMES), "--skew", "0.6", "--seed", "1", "--out", "/federation/parts")
        for place, name in enumerate(NAMES, start=1):
            shutil.move(self.directory / f"parts/part-{place}.jsonl", self.directory / f"data/{name}/train.jsonl")
        measured = ["--dev", "/data/dev.tsv.gz", "--text", "sentence", "--label", "label"]
        self.tools("init", "/federation/coordinator", "--federation", "demo", "--address", address, "--listen",
                   f"0.0.0.0:{address.rsplit(':')[-1]}", "--model", "/model", "--members", ",".join(NAMES), "--labels",
                   "complaint,praise", "--rounds", self.rounds, "--targets", "all-linear", "--rank", "8", "--alpha",
                   "16", "--lr", "0.003", "--batch", "32", "--steps", "25", "--max-length", "64", "--train-soft", "60",
                   "--stage-soft", "20", "--metrics", "summed", "--log-format", "json",
                   *(measured if coordinator_measures else []), data="coordinator")
        for name in NAMES:
            self.tools("join", f"/federation/coordinator/invitations/{name}.invite", "--dir", f"/federation/{name}",
                       "--model", "/model", "--data", "/data/train.jsonl", "--text", "text", "--label", "label",
                       "--threads", "1", "--log-format", "json", data=name)
        self.tools("invite", "/federation/coordinator", "--accept",
                   *[f"/federation/{name}/{name}.request" for name in NAMES])
        listed = json.loads(self.tools("member", "list", "/federation/coordinator", "--format", "json"))
        for name in NAMES:  # each compares the fingerprint with the others first
            self.tools("join", f"/federation/coordinator/welcome/{name}.welcome", "--dir", f"/federation/{name}",
                       "--sign", "--roster", listed["fingerprint"], data=name)
        self.tools("plan", "sign", "/federation/coordinator",
                   *[f"/federation/{name}/{name}.signature" for name in NAMES])
        (self.directory / "operator").mkdir()  # what the service does not need, it does not see
        for kept in ["ca.key", "invitations"]:
            shutil.move(self.directory / "coordinator" / kept, self.directory / "operator")

    def accuracy(self, adapter=None):
        words = ["evaluate", "--model", "/model", "--data", "/data/dev.tsv.gz", "--text", "sentence", "--label",
                 "label", "--labels", "complaint,praise", "--max-length", "64", "--format", "json", "--quiet"]
        words += ["--adapter", adapter] if adapter else []
        return json.loads(self.tools(*words).splitlines()[-1])["accuracy"]
