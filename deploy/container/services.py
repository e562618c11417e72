# SPDX-License-Identifier: Apache-2.0
"""The services of a federation under an orchestrator: started, looked at, killed, waited for, taken down."""

import json
import os
import pathlib
import shutil
import signal
import time

import engine
from federation import NAMES

SERVICES = ["coordinator", *NAMES]
PORT = 8443
START_S = 120


class Services:
    """What compose and pods have in common: one container a service."""

    address = f"coordinator:{PORT}"
    coordinator_measures = True

    def __init__(self, name, federation):
        self.engine, self.federation = name, federation

    def inspect(self, service, what):
        return engine.call(self.engine, "inspect", "--format", what, self.container(service)).stdout.strip()

    def state(self, service):
        """running, exited, ... and the exit code."""
        status, code = self.inspect(service, "{{.State.Status}} {{.State.ExitCode}}").split()
        return status, int(code)

    def wait_serving(self, services):
        """Each of them answers its health check: it has read its files and opened its port."""
        begin = time.monotonic()
        for service in services:
            program = f"rondo-{'coordinator' if service == 'coordinator' else 'trainer'}"
            while engine.call(self.engine, "exec", self.container(service), program, "--health", "/site",
                              check=False).returncode != 0:
                if time.monotonic() - begin > START_S:
                    said = engine.call(self.engine, "logs", "--tail=3", self.container(service), check=False)
                    raise engine.Refused(f"{service} does not serve after {START_S} s: {said.stderr[-500:]}", 75)
                time.sleep(0.5)

    def is_there(self, service):
        try:
            return self.state(service)[0] == "running"
        except engine.Refused:
            return False

    def kill(self, service):
        """As a crash would, from one moment to the next, behind the engine's back: its restart policy starts it again.
        Who may not do that asks the engine, which takes a kill for a wish, and restarts it itself."""
        process = int(self.inspect(service, "{{.State.Pid}}"))
        if process <= 0:  # between two starts; and as a process 0 is everybody here
            raise engine.Refused(f"{service} does not run, so it cannot be killed", 70)
        if os.getuid() == 0:
            os.kill(process, signal.SIGKILL)
        elif self.engine == "podman":
            engine.call("podman", "unshare", "kill", "-KILL", process)
        else:
            engine.call(self.engine, "kill", self.container(service))
            engine.call(self.engine, "start", self.container(service))

    def rows(self):
        """The coordinator's finished rounds so far."""
        table = self.volume("coordinator") / "rounds.jsonl"
        return [json.loads(line) for line in table.read_text().splitlines()] if table.exists() else []

    def logs(self, folder):
        for service in SERVICES:
            try:
                said = engine.call(self.engine, "logs", self.container(service), check=False)
                (folder / f"{service}.log").write_text(said.stdout + said.stderr)
            except engine.Refused:
                continue  # it never came to be


class Compose(Services):
    """deploy/compose.yaml."""

    def words(self, *more):
        tool = ["docker", "compose"] if self.engine == "docker" else ["podman-compose"]
        return [*tool, "--project-name", self.project, "--file", engine.ROOT / "deploy/compose.yaml", *more]

    def __init__(self, name, federation):
        super().__init__(name, federation)
        self.project = f"rondo-demo-{os.getpid()}"
        uid, gid = engine.identity()
        self.environment = {**os.environ, "RONDO_DIR": str(federation.directory), "RONDO_USER": f"{uid}:{gid}",
                            "RONDO_VERSION": engine.VERSION}
        if name == "podman" and uid != engine.USER:
            self.environment["PODMAN_USERNS"] = "keep-id"
        if engine.call(*self.words("version"), env=self.environment, check=False).returncode != 0:
            raise engine.Refused(f"{name} has no compose here (Debian: apt-get install podman-compose)")

    def container(self, service):
        labels = [f"--filter=label=com.docker.compose.{label}"
                  for label in [f"project={self.project}", f"service={service}"]]
        found = engine.call(self.engine, "ps", "--all", "--quiet", *labels).stdout.split()
        if not found:
            raise engine.Refused(f"the container of {service} is gone", 70)
        return found[0]

    def up(self, services):
        engine.call(*self.words("up", "--detach", *services), env=self.environment)
        for service in services:
            self.container(service)  # podman-compose does not say when one could not be made

    def down(self):
        engine.call(*self.words("down", "--volumes"), env=self.environment, check=False)
        if self.engine == "podman":  # which podman-compose leaves
            engine.call("podman", "network", "rm", *[f"{self.project}_{name}" for name in NAMES], check=False)

    def end(self):
        """They have ended by themselves."""

    def finished(self):
        """Every service has ended by itself, and is not started again."""
        return all(self.state(service) == ("exited", 0) for service in SERVICES)

    def volume(self, service):
        return self.federation.directory / service / "state"

    def addresses(self, service):
        """Of a service, on its networks."""
        return self.inspect(service, "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}").split()


class Kube(Services):
    """deploy/kubernetes, rendered for `podman kube play`: a pod a site, each trainer's on a network of its own, the
    coordinator's on all of them."""

    coordinator_measures = False  # its pod has no data

    def __init__(self, name, federation):
        super().__init__(name, federation)
        if os.getuid() != 0:
            raise engine.Refused("--kube fills volumes that belong to user 10001: run it as root", 77)
        self.mark = f"rondo-demo-{os.getpid()}-"  # before every name: nothing else is touched
        self.networks = {site: f"{self.mark}{site}" for site in NAMES}
        self.address = f"{self.pod('coordinator')}:{PORT}"

    def role(self, service):
        return "coordinator" if service == "coordinator" else "trainer"

    def pod(self, service):
        return f"{self.mark}{service}-rondo-{self.role(service)}"

    def container(self, service):
        return f"{self.pod(service)}-{self.role(service)}"

    def volume(self, service, claim="state"):
        claim = f"state-rondo-{self.role(service)}-0" if claim == "state" else claim
        where = engine.call(self.engine, "volume", "inspect", "--format", "{{.Mountpoint}}",
                            f"{self.mark}{service}-{claim}")
        return pathlib.Path(where.stdout.strip())

    def manifest(self, service):
        """The overlay with this site's files in it, as an operator fills it, rendered for podman."""
        folder = self.federation.directory / "kubernetes" / service
        shutil.copytree(engine.ROOT / "deploy/kubernetes", folder, ignore=lambda at, names: [
            name for name in names if pathlib.Path(at).name == "site"])  # whatever an operator keeps there
        overlay = folder / "overlays" / ("coordinator" if service == "coordinator" else "trainer-cpu")
        for file in (self.federation.directory / service).iterdir():
            if file.is_file() and file.name != "ca.key":
                shutil.copy(file, overlay / "site")
        made = engine.call(folder / "render", "--own", "--podman", "--prefix", f"{self.mark}{service}-",
                           overlay)
        path = folder / "pod.yaml"
        path.write_text(made.stdout)
        return path

    def fill(self, service, claim, source):
        """A claim that the operator fills before the pod starts."""
        engine.call(self.engine, "volume", "create", f"{self.mark}{service}-{claim}")
        shutil.copytree(source, self.volume(service, claim), dirs_exist_ok=True)
        engine.own(self.volume(service, claim))

    def up(self, services):
        for site in NAMES if "coordinator" in services else []:
            engine.call(self.engine, "network", "create", "--internal", self.networks[site])
        for service in services:
            self.fill(service, "model", self.federation.directory / "model")
            if service in NAMES:
                self.fill(service, "data", self.federation.directory / "data" / service)
            networks = self.networks.values() if service == "coordinator" else [self.networks[service]]
            engine.call(self.engine, "kube", "play", *[f"--network={network}" for network in networks],
                        self.manifest(service))

    def end(self):
        """A service that stayed (--stay) ends with 0 when its pod is taken away."""
        for service in SERVICES:
            engine.call(self.engine, "pod", "stop", "--time=45", self.pod(service))
            if self.state(service) != ("exited", 0):
                raise engine.Refused(f"{service} ended with {self.state(service)[1]}", 70)

    def down(self):
        for service in SERVICES:
            engine.call(self.engine, "pod", "rm", "--force", "--time=45", self.pod(service), check=False)
        volumes = engine.call(self.engine, "volume", "ls", "--quiet", check=False).stdout.split()
        ours = [volume for volume in volumes if volume.startswith(self.mark)]
        engine.call(self.engine, "volume", "rm", "--force", *ours, check=False)
        engine.call(self.engine, "network", "rm", "--force", *self.networks.values(), check=False)

    def finished(self):
        """Every site has the last adapter; the services stay."""
        return all((self.volume(service) / "adapters/final").exists() for service in SERVICES)

    def addresses(self, service):
        infra = engine.call(self.engine, "pod", "inspect", "--format", "{{.InfraContainerID}}",
                            self.pod(service)).stdout.strip()
        return engine.call(self.engine, "inspect", "--format",
                           "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", infra).stdout.split()
