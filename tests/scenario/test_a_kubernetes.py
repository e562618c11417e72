#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""deploy/kubernetes, without a cluster: the overlays, rendered over sites that the real `rondo` made, are valid for
Kubernetes' schemas to the last field, and hold to the `restricted` profile and to the house's rules (podrules.py);
and every one of these rules refuses what it is there for.

The schemas come from PyPI (kubernetes-validate) into build/; where that cannot be had, all else is checked,
and the test counts as skipped.
"""

import base64
import copy
import importlib.machinery
import importlib.util
import pathlib
import shutil
import subprocess
import sys

from federation import CONFIG, LIMIT, ROOT, Skip, check, edit, main

try:
    import yaml
except ImportError:
    print("skipped: this python3 has no yaml (deploy/install-deps --tests)")
    sys.exit(77)
import podrules

SOURCE = ROOT / "deploy/kubernetes"
VALIDATOR = "kubernetes-validate==1.37.0"
KUBERNETES = "1.37"
PUBLIC = ("site.yaml", "plan.yaml", "plan.yaml.sigs", "roster", "ca.crt", "tls.crt")
KEYS = ("identity.key", "tls.key")
OVERLAYS = {
    "coordinator": ("coordinator", PUBLIC + KEYS),
    "trainer-cpu": ("north", PUBLIC + KEYS + ("policy.yaml",)),
    "trainer-gpu": ("south", PUBLIC + KEYS + ("policy.yaml",)),
}


# ---- Rendering


def load_render():
    loader = importlib.machinery.SourceFileLoader("render", str(SOURCE / "render"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("render", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def render(*arguments):
    done = subprocess.run([sys.executable, SOURCE / "render", *map(str, arguments)],
                          capture_output=True, text=True, timeout=LIMIT)  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def rendered(*arguments):
    code, out, err = render(*arguments)
    check(code == 0, f"render {' '.join(map(str, arguments))}: exit {code}\n{err}")
    return list(yaml.safe_load_all(out))


def render_refuses(expected, *arguments):
    code, _, err = render("--own", *arguments)
    check(code == CONFIG and expected in err, f"render: exit {code}, does not say {expected!r} but\n{err}")


def by_name(documents):
    return {(item["kind"], item["metadata"]["name"]): item for item in documents}


def one(documents, kind):
    (found,) = podrules.of(documents, kind)
    return found


def lay_out(folder, federation):
    """A copy of deploy/kubernetes with a site in each overlay, as its README says."""
    shutil.copytree(SOURCE, folder, ignore=lambda path, names: names if pathlib.Path(path).name == "site" else [])
    for overlay, (site, files) in OVERLAYS.items():
        for name in files:
            shutil.copy(federation.directory / site / name, folder / "overlays" / overlay / "site" / name)
    return {overlay: rendered("--own", folder / "overlays" / overlay) for overlay in OVERLAYS}


def same_as_kustomize(folder, sites):
    """Word for word, names with their hashes included, where a recent one is installed."""
    command = load_render().kustomize()
    for overlay in OVERLAYS if command else ():
        done = subprocess.run([*command, str(folder / "overlays" / overlay)], capture_output=True, text=True)
        check(done.returncode == 0, f"{' '.join(command)} {overlay}: {done.stderr}")
        theirs = by_name(yaml.safe_load_all(done.stdout))
        check(theirs == by_name(sites[overlay]), f"{overlay}: render and {command[0]} differ")
    return command is not None


def whole_site(federation, sites):
    """Every file arrives, byte for byte."""
    for overlay, (site, files) in OVERLAYS.items():
        have = {name: text.encode() for name, text in one(sites[overlay], "ConfigMap")["data"].items()}
        have.update({n: base64.b64decode(text) for n, text in one(sites[overlay], "Secret")["data"].items()})
        want = {name: (federation.directory / site / name).read_bytes() for name in files}
        check(have == want, f"{overlay}: {sorted(have)} is not {sorted(want)}, or not with the same content")


def rolls(folder, sites):
    """A file that changes makes another name, and with it another pod."""
    overlay = folder / "overlays/trainer-cpu"
    edit(overlay / "site/site.yaml", "level: info", "level: warn")
    now = rendered("--own", overlay)
    check(podrules.template(now) != podrules.template(sites["trainer-cpu"]), "a changed site.yaml does not roll the pod")
    edit(overlay / "site/site.yaml", "level: warn", "level: info")


def render_is_closed(folder):
    overlay = folder / "overlays/trainer-gpu"
    kustomization = overlay / "kustomization.yaml"
    text = kustomization.read_text()
    for added, expected in (
        ("namePrefix: x-\n", "'namePrefix' is not among"),
        ("replicas:\n  - {name: rondo-trainer, count: 2}\n", "'replicas' is not among"),
        ("generatorOptions: {disableNameSuffixHash: true}\n", "'generatorOptions' is not among"),
    ):
        kustomization.write_text(text + added)
        render_refuses(expected, overlay)
    kustomization.write_text(text.replace("includeTemplates", "includeSelectors"))
    render_refuses("'includeSelectors' is not among", overlay)
    kustomization.write_text(text)
    edit(overlay / "gpu.yaml", "name: rondo-trainer\n", "name: rondo-trainr\n")
    render_refuses("StatefulSet rondo-trainr, which does not exist", overlay)
    edit(overlay / "gpu.yaml", "name: rondo-trainr\n", "name: rondo-trainer\n")
    (overlay / "site/roster").unlink()
    render_refuses("site/roster: No such file", overlay)


def podman_plays_the_same(folder, sites):
    for overlay in ("coordinator", "trainer-cpu"):
        documents = rendered("--own", "--podman", "--prefix", "a-", folder / "overlays" / overlay)
        stateful, pod = one(sites[overlay], "StatefulSet"), one(documents, "Pod")
        check(pod["metadata"]["name"] == f"a-{stateful['metadata']['name']}", f"{overlay}: {pod['metadata']}")
        for field in ("initContainers", "containers", "securityContext"):
            check(pod["spec"][field] == stateful["spec"]["template"]["spec"][field], f"{overlay}: other {field}")
        mounted = {mount["name"] for item in podrules.containers(pod["spec"]) for mount in item["volumeMounts"]}
        check(mounted == {item["name"] for item in pod["spec"]["volumes"]}, f"{overlay}: other volumes")
        maps = {item["metadata"]["name"] for item in podrules.of(documents, "ConfigMap")}
        for volume in pod["spec"]["volumes"]:
            source = volume.get("configMap", volume.get("persistentVolumeClaim", {}))
            name = source.get("name", source.get("claimName", ""))
            check(name in maps if "configMap" in volume else name.startswith("a-"), f"{overlay}: {volume}")


# ---- Schemas


def load_validator():
    """The function that raises on the first fault, or the reason why there is none."""
    packages = ROOT / "build/kubernetes-validate"
    if not (packages / "kubernetes_validate").is_dir():
        fresh = packages.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", fresh, VALIDATOR],
                              capture_output=True, text=True)  # fmt: skip
        if done.returncode != 0:
            raise Skip(f"no schemas: {(done.stderr.strip().splitlines() or ['pip failed'])[-1]}")
        shutil.rmtree(packages, ignore_errors=True)
        fresh.rename(packages)
    sys.path.insert(0, str(packages))
    import kubernetes_validate

    return kubernetes_validate


def schema_faults(validator, documents):
    for document in documents:
        try:
            validator.validate(document, KUBERNETES, strict=True)
        except validator.ValidationError as error:
            yield f"{document['kind']} {document['metadata']['name']}: {'.'.join(map(str, error.path))}: {error.message}"
        except validator.SchemaNotFoundError as error:
            yield error.message


# ---- What each rule has to refuse: (rule, overlay, change of the documents)


def pod(documents):
    return podrules.template(documents)["spec"]


def main_of(documents):
    return pod(documents)["containers"][0]


def init_of(documents):
    return pod(documents)["initContainers"][0]


def setter(place, *path_and_value):
    """Sets a field of the thing that `place` finds in the documents; lists are extended by what is in a list."""
    *path, field, value = path_and_value

    def change(documents):
        thing = place(documents)
        for name in path:
            thing = thing.setdefault(name, {})
        if isinstance(value, list) and isinstance(thing.get(field), list):
            thing[field].extend(value)
        else:
            thing[field] = value

    return change


def dropper(place, *path):
    def change(documents):
        thing = place(documents)
        for name in path[:-1]:
            thing = thing[name]
        del thing[path[-1]]

    return change


def without(kind, name):
    def change(documents):
        documents.remove(by_name(documents)[kind, name])

    return change


def doc(kind, name):
    return lambda documents: by_name(documents)[kind, name]


def stateful(documents):
    return one(documents, "StatefulSet")["spec"]


def volume(name):
    return lambda documents: next(item for item in pod(documents)["volumes"] if item["name"] == name)


def mount(path):
    return lambda documents: next(item for item in main_of(documents)["volumeMounts"] if item["mountPath"] == path)


def wide(documents):
    doc("NetworkPolicy", "rondo-trainer-coordinator")(documents)["spec"]["egress"][0].pop("to")


CONTEXT = "securityContext"
POLICY = doc("NetworkPolicy", "rondo-trainer")
MUTATIONS = [
    ("host-namespaces", "trainer-cpu", setter(pod, "hostNetwork", True)),
    ("host-namespaces", "trainer-cpu", setter(pod, "hostPID", True)),
    ("host-namespaces", "coordinator", setter(pod, "hostIPC", True)),
    ("host-process", "trainer-cpu", setter(pod, CONTEXT, "windowsOptions", "hostProcess", True)),
    ("privileged", "trainer-gpu", setter(main_of, CONTEXT, "privileged", True)),
    ("privileged", "trainer-cpu", setter(init_of, CONTEXT, "privileged", True)),
    ("capabilities", "trainer-cpu", setter(main_of, CONTEXT, "capabilities", "add", ["SYS_ADMIN"])),
    ("capabilities", "trainer-cpu", dropper(main_of, CONTEXT, "capabilities")),
    ("capabilities", "coordinator", setter(init_of, CONTEXT, "capabilities", {"drop": ["CHOWN"]})),
    ("volume-types", "trainer-cpu", setter(pod, "volumes", [{"name": "host", "hostPath": {"path": "/"}}])),
    ("volume-types", "trainer-cpu", setter(pod, "volumes", [{"name": "n", "nfs": {"path": "/", "server": "s"}}])),
    ("host-ports", "coordinator", lambda documents: main_of(documents)["ports"][0].update(hostPort=8443)),
    ("host-probes", "coordinator",
     setter(main_of, "lifecycle", "postStart", "httpGet", {"host": "169.254.169.254", "port": 80})),
    ("apparmor", "trainer-cpu", setter(main_of, CONTEXT, "appArmorProfile", {"type": "Unconfined"})),
    ("selinux", "trainer-cpu", setter(pod, CONTEXT, "seLinuxOptions", {"type": "spc_t"})),
    ("selinux", "trainer-cpu", setter(init_of, CONTEXT, "seLinuxOptions", {"user": "system_u"})),
    ("proc-mount", "trainer-cpu", setter(main_of, CONTEXT, "procMount", "Unmasked")),
    ("seccomp", "trainer-cpu", dropper(pod, CONTEXT, "seccompProfile")),
    ("seccomp", "trainer-cpu", setter(init_of, CONTEXT, "seccompProfile", {"type": "Unconfined"})),
    ("sysctls", "trainer-cpu", setter(pod, CONTEXT, "sysctls", [{"name": "kernel.msgmax", "value": "1"}])),
    ("privilege-escalation", "trainer-cpu", dropper(main_of, CONTEXT, "allowPrivilegeEscalation")),
    ("privilege-escalation", "coordinator", setter(init_of, CONTEXT, "allowPrivilegeEscalation", True)),
    ("run-as-non-root", "trainer-cpu", setter(pod, CONTEXT, "runAsNonRoot", False)),
    ("run-as-non-root", "trainer-cpu", setter(main_of, CONTEXT, "runAsNonRoot", False)),
    ("run-as-user", "trainer-cpu", setter(init_of, CONTEXT, "runAsUser", 0)),
    ("own-user", "trainer-cpu", dropper(pod, CONTEXT, "runAsUser")),
    ("own-user", "coordinator", setter(main_of, CONTEXT, "runAsGroup", 10002)),
    ("read-only-root", "trainer-cpu", dropper(main_of, CONTEXT, "readOnlyRootFilesystem")),
    ("read-only-root", "trainer-cpu", setter(init_of, CONTEXT, "readOnlyRootFilesystem", False)),
    ("read-only-mounts", "trainer-cpu", dropper(mount("/data"), "readOnly")),
    ("read-only-mounts", "coordinator", setter(mount("/model"), "readOnly", False)),
    ("keys-once", "trainer-cpu",
     setter(main_of, "volumeMounts", [{"name": "keys", "mountPath": "/keys", "readOnly": True}])),
    ("no-token", "trainer-cpu", dropper(pod, "automountServiceAccountToken")),
    ("no-links", "coordinator", setter(pod, "enableServiceLinks", True)),
    ("limits", "trainer-cpu", dropper(main_of, "resources", "limits", "memory")),
    ("limits", "trainer-gpu", dropper(init_of, "resources", "limits")),
    ("limits", "coordinator", dropper(volume("tmp"), "emptyDir", "sizeLimit")),
    ("images", "trainer-gpu", setter(main_of, "image", "registry.example.org:5000/rondo-trainer-cuda")),
    ("images", "coordinator", setter(init_of, "image", "rondo-coordinator:latest")),
    ("probes", "coordinator", dropper(main_of, "readinessProbe")),
    ("probes", "trainer-cpu", dropper(main_of, "livenessProbe")),
    ("probes", "trainer-cpu", setter(main_of, "startupProbe", {"exec": {"command": ["/bin/true"]}})),
    ("goes-on", "trainer-cpu", setter(pod, "restartPolicy", "Never")),
    ("goes-on", "trainer-cpu", lambda documents: main_of(documents)["args"].remove("--stay")),
    ("goes-on", "coordinator", setter(pod, "terminationGracePeriodSeconds", 10)),
    ("namespace", "trainer-cpu",
     setter(doc("Namespace", "rondo"), "metadata", "labels", "pod-security.kubernetes.io/enforce", "baseline")),
    ("namespace", "coordinator", without("Namespace", "rondo")),
    ("namespace", "trainer-cpu", setter(POLICY, "metadata", "namespace", "default")),
    ("default-deny", "trainer-cpu", without("NetworkPolicy", "default-deny")),
    ("default-deny", "coordinator", setter(doc("NetworkPolicy", "default-deny"), "spec", "policyTypes", None)),
    ("default-deny", "trainer-cpu",
     setter(doc("NetworkPolicy", "default-deny"), "spec", "podSelector", {"matchLabels": {"a": "b"}})),
    ("ingress", "coordinator", without("NetworkPolicy", "rondo-coordinator")),
    ("ingress", "coordinator", setter(doc("NetworkPolicy", "rondo-coordinator"), "spec", "ingress", [{}])),
    ("ingress", "trainer-cpu", setter(POLICY, "spec", "ingress", [{"ports": [{"port": 8443, "protocol": "TCP"}]}])),
    ("egress", "coordinator", setter(doc("NetworkPolicy", "rondo-coordinator"), "spec", "egress", [{}])),
    ("egress", "trainer-cpu", setter(POLICY, "spec", "egress", [{}])),
    ("egress", "trainer-cpu", without("NetworkPolicy", "rondo-trainer-coordinator")),
    ("egress", "trainer-gpu", wide),
    ("egress", "trainer-gpu", lambda documents: POLICY(documents)["spec"]["egress"][0]["ports"][0].update(endPort=99)),
    ("one-pod", "trainer-cpu", setter(stateful, "replicas", 2)),
    ("one-pod", "trainer-cpu", dropper(pod, "serviceAccountName")),
    ("one-pod", "coordinator",
     setter(doc("Service", "rondo-coordinator"), "spec", "selector", {"app.kubernetes.io/name": "rondo"})),
    ("volumes-exist", "trainer-cpu", setter(volume("config"), "configMap", "name", "site")),
    ("volumes-exist", "trainer-cpu", without("PersistentVolumeClaim", "data")),
    ("volumes-exist", "coordinator", dropper(stateful, "volumeClaimTemplates")),
    ("keys-apart", "trainer-cpu",
     lambda documents: one(documents, "ConfigMap")["data"].update({"x": "-----BEGIN PRIVATE KEY-----"})),
    ("keys-apart", "coordinator", lambda documents: one(documents, "Secret")["data"].update({"ca.key": "eA=="})),
    ("schema", "trainer-cpu", setter(pod, CONTEXT, "runAsNonRoots", True)),
    ("schema", "trainer-cpu", setter(main_of, CONTEXT, "readOnlyRootFileSystem", True)),
    ("schema", "trainer-cpu", setter(init_of, "volumemounts", [])),
    ("schema", "coordinator", setter(main_of, "livenessProbe", "failureTreshold", 3)),
    ("schema", "trainer-cpu", setter(POLICY, "spec", "policyType", ["Ingress"])),
    ("schema", "trainer-cpu", setter(doc("Namespace", "rondo"), "metadata", "label", {})),
    ("schema", "coordinator", dropper(doc("Service", "rondo-coordinator"), "spec", "ports", 0, "port")),
    ("schema", "trainer-gpu", setter(stateful, "replica", 1)),
    ("schema", "trainer-gpu", setter(stateful, "revisionHistoryLimit", "two")),
    ("schema", "coordinator", setter(doc("Service", "rondo-coordinator"), "kind", "Servce")),
]  # fmt: skip


def all_faults(validator, documents):
    found = podrules.faults(documents)
    sentences = list(schema_faults(validator, documents)) if validator else []
    return {**found, **({"schema": sentences} if sentences else {})}


def rules_refuse(validator, sites):
    """Each change is refused by its rule and by no other; no rule is without a change that it refuses. How many."""
    rules = {*podrules.RESTRICTED, *podrules.HOUSE, *podrules.SERVICE, *podrules.SITE, "schema"}
    check({entry[0] for entry in MUTATIONS} == rules, f"without a mutation: {rules - {e[0] for e in MUTATIONS}}")
    mutations = [entry for entry in MUTATIONS if validator or entry[0] != "schema"]
    for number, (rule, overlay, change) in enumerate(mutations):
        documents = copy.deepcopy(sites[overlay])
        change(documents)
        check(documents != sites[overlay], f"mutation {number} ({rule}) changes nothing")
        # A rule's mutation may be one that no schema has; a schema's breaks nothing else.
        found = all_faults(validator if rule == "schema" else None, documents)
        check(set(found) == {rule}, f"mutation {number} of {overlay} is for {rule}, but found is {found}")
    return len(mutations)


def loader_is_restricted(validator):
    (document,) = yaml.safe_load_all((SOURCE / "loader.yaml").read_text())
    found = podrules.pod_faults(document["spec"])
    check(not found, f"loader.yaml: {found}")
    check(not validator or not list(schema_faults(validator, [document])), "loader.yaml: schema")


def run(scenario):
    federation = scenario.federation()
    folder = federation.directory / "kubernetes"
    sites = lay_out(folder, federation)
    compared = same_as_kustomize(folder, sites)
    whole_site(federation, sites)
    rolls(folder, sites)
    podman_plays_the_same(folder, sites)
    render_is_closed(folder)
    reason = None
    try:
        validator = load_validator()
    except Skip as skip:
        validator, reason = None, skip
    for overlay, documents in sites.items():
        found = all_faults(validator, documents)
        check(not found, f"{overlay}: {found}")
    loader_is_restricted(validator)
    refused = rules_refuse(validator, sites)
    scenario.say(f"{refused} mutations refused; {'as' if compared else 'not compared with'} kustomize")
    if reason:
        raise Skip(f"all but the schemas passed; {reason}")


if __name__ == "__main__":
    sys.exit(main("kubernetes", run))
