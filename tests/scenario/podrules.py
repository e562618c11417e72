# SPDX-License-Identifier: Apache-2.0
"""What every manifest of deploy/kubernetes has to hold to, one rule a function, by name:

    restricted   the Pod Security Standard of that name (baseline's rules included), as of Kubernetes 1.37
    house        what Rondo's pods hold to beyond it, and its services (probes, goes-on)
    site         what the documents of a site are together

A rule takes a pod's spec, or all documents of one site, and yields a sentence for each fault.
"""

SERVED = 8443
NAMES = 53
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
}  # fmt: skip
SELINUX = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
WRITABLE = {"/site", "/site/state", "/tmp", "/load"}


def containers(pod):
    return [item for kind in ("initContainers", "containers", "ephemeralContainers") for item in pod.get(kind, [])]


def contexts(pod):
    """(whose, security context) of the pod and of each container."""
    yield "pod", pod.get("securityContext", {})
    for container in containers(pod):
        yield container["name"], container.get("securityContext", {})


def effective(pod, field):
    """(container, what holds for it: its own value, or the pod's)."""
    of_pod = pod.get("securityContext", {}).get(field)
    for container in containers(pod):
        yield container["name"], container.get("securityContext", {}).get(field, of_pod)


# ---- restricted


def host_namespaces(pod):
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield f"{field} is on"


def host_process(pod):
    for whose, context in contexts(pod):
        if context.get("windowsOptions", {}).get("hostProcess"):
            yield f"{whose}: a process of the host"


def privileged(pod):
    for whose, context in contexts(pod):
        if context.get("privileged"):
            yield f"{whose}: privileged"


def capabilities(pod):
    for container in containers(pod):
        have = container.get("securityContext", {}).get("capabilities", {})
        if "ALL" not in have.get("drop", []):
            yield f"{container['name']}: does not drop ALL"
        for name in set(have.get("add", [])) - {"NET_BIND_SERVICE"}:
            yield f"{container['name']}: adds {name}"


def volume_types(pod):
    for volume in pod.get("volumes", []):
        for kind in set(volume) - {"name"} - VOLUMES:
            yield f"volume {volume['name']}: {kind}"


def host_ports(pod):
    for container in containers(pod):
        for port in container.get("ports", []):
            if port.get("hostPort"):
                yield f"{container['name']}: port {port['hostPort']} of the host"


def host_probes(pod):
    for container in containers(pod):
        hooks = [container.get(f"{kind}Probe", {}) for kind in ("startup", "readiness", "liveness")]
        hooks += container.get("lifecycle", {}).values()
        for hook in hooks:
            for kind in ("httpGet", "tcpSocket"):
                if hook.get(kind, {}).get("host"):
                    yield f"{container['name']}: a probe or hook goes to {hook[kind]['host']}"


def apparmor(pod):
    for whose, context in contexts(pod):
        if context.get("appArmorProfile", {}).get("type", "RuntimeDefault") not in ("RuntimeDefault", "Localhost"):
            yield f"{whose}: AppArmor is off"


def selinux(pod):
    for whose, context in contexts(pod):
        options = context.get("seLinuxOptions", {})
        if options.get("type", "") not in SELINUX or options.get("user") or options.get("role"):
            yield f"{whose}: SELinux {options}"


def proc_mount(pod):
    for whose, context in contexts(pod):
        if context.get("procMount", "Default") != "Default":
            yield f"{whose}: procMount {context['procMount']}"


def seccomp(pod):
    if pod.get("securityContext", {}).get("seccompProfile", {}).get("type") == "Unconfined":
        yield "pod: seccomp is off"
    for name, profile in effective(pod, "seccompProfile"):
        if (profile or {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"{name}: no seccomp profile"


def sysctls(pod):
    for entry in pod.get("securityContext", {}).get("sysctls", []):
        if entry["name"] not in SYSCTLS:
            yield f"sysctl {entry['name']}"


def privilege_escalation(pod):
    for container in containers(pod):
        if container.get("securityContext", {}).get("allowPrivilegeEscalation") is not False:
            yield f"{container['name']}: may escalate its privileges"


def run_as_non_root(pod):
    if pod.get("securityContext", {}).get("runAsNonRoot") is False:
        yield "pod: may run as root"
    for name, value in effective(pod, "runAsNonRoot"):
        if value is not True:
            yield f"{name}: may run as root"


def run_as_user(pod):
    for whose, context in contexts(pod):
        if context.get("runAsUser") == 0:
            yield f"{whose}: runs as root"


RESTRICTED = {
    "host-namespaces": host_namespaces, "host-process": host_process, "privileged": privileged,
    "capabilities": capabilities, "volume-types": volume_types, "host-ports": host_ports, "host-probes": host_probes,
    "apparmor": apparmor, "selinux": selinux, "proc-mount": proc_mount, "seccomp": seccomp, "sysctls": sysctls,
    "privilege-escalation": privilege_escalation, "run-as-non-root": run_as_non_root, "run-as-user": run_as_user,
}  # fmt: skip

# ---- house


def own_user(pod):
    """The user that the images are made for, said here, so that no image decides."""
    for field in ("runAsUser", "runAsGroup"):
        for name, value in effective(pod, field):
            if value not in (10001, 0):  # 0 has its own rule
                yield f"{name}: {field} {value}"


def read_only_root(pod):
    for container in containers(pod):
        if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
            yield f"{container['name']}: its root can be written"


def read_only_mounts(pod):
    for container in containers(pod):
        for mount in container.get("volumeMounts", []):
            if mount["mountPath"] not in WRITABLE and mount.get("readOnly") is not True:
                yield f"{container['name']}: {mount['mountPath']} can be written"


def keys_once(pod):
    """The Secret is seen by the container that puts the site together, and by no other."""
    secret = {volume["name"] for volume in pod.get("volumes", []) if "secret" in volume}
    for container in pod["containers"]:
        for mount in container.get("volumeMounts", []):
            if mount["name"] in secret:
                yield f"{container['name']}: mounts the Secret"


def no_token(pod):
    if pod.get("automountServiceAccountToken") is not False:
        yield "a token of the cluster is mounted"


def no_links(pod):
    if pod.get("enableServiceLinks") is not False:
        yield "the namespace's Services are in the environment"


def limits(pod):
    for container in containers(pod):
        for kind in ("requests", "limits"):
            for what in {"cpu", "memory"} - set(container.get("resources", {}).get(kind, {})):
                yield f"{container['name']}: no {kind} of {what}"
    for volume in pod.get("volumes", []):
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield f"volume {volume['name']}: no size limit"


def images(pod):
    for container in containers(pod):
        tag = container["image"].rpartition("/")[2].partition(":")[2]
        if tag in ("", "latest"):
            yield f"{container['name']}: image {container['image']} is no fixed version"


HOUSE = {
    "own-user": own_user, "read-only-root": read_only_root, "read-only-mounts": read_only_mounts,
    "keys-once": keys_once, "no-token": no_token, "no-links": no_links, "limits": limits, "images": images,
}  # fmt: skip


def probes(pod):
    for container in pod["containers"]:
        kinds = ["startup", "liveness"] + (["readiness"] if container.get("ports") else [])
        for kind in kinds:
            if "--health" not in container.get(f"{kind}Probe", {}).get("exec", {}).get("command", []):
                yield f"{container['name']}: no {kind} probe"


def goes_on(pod):
    """Whatever ends in a StatefulSet is started again: a job that is done may not end its pod. 30 s to drain."""
    if pod.get("restartPolicy", "Always") != "Always":
        yield f"restartPolicy {pod['restartPolicy']}"
    if pod.get("terminationGracePeriodSeconds", 30) < 40:
        yield "too little time to drain"
    for container in pod["containers"]:
        if container.get("args") != ["--stay", "/site"]:
            yield f"{container['name']}: args {container.get('args')}"


SERVICE = {"probes": probes, "goes-on": goes_on}

# ---- the documents of a site


def of(documents, kind):
    return [document for document in documents if document["kind"] == kind]


def template(documents):
    (stateful,) = of(documents, "StatefulSet")
    return stateful["spec"]["template"]


def selects(selector, labels):
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def namespace(documents):
    """Nothing but restricted pods is admitted, and everything lies in that namespace."""
    spaces = of(documents, "Namespace")
    for space in spaces:
        labels = space["metadata"].get("labels", {})
        for mode in ("enforce", "audit", "warn"):
            key = f"pod-security.kubernetes.io/{mode}"
            if labels.get(key) != "restricted" or not labels.get(f"{key}-version"):
                yield f"{space['metadata']['name']}: {mode} is not restricted, of a version"
    names = [space["metadata"]["name"] for space in spaces]
    for document in documents:
        if document["kind"] != "Namespace" and [document["metadata"].get("namespace")] != names:
            yield f"{document['kind']} {document['metadata']['name']}: outside the namespace"


def default_deny(documents):
    for policy in of(documents, "NetworkPolicy"):
        spec = policy["spec"]
        if spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}:
            return
    yield "no NetworkPolicy closes the whole namespace both ways"


def passes(documents, direction):
    """{(protocol, port, peers)} of all policies that select the site's pod."""
    peer = "to" if direction == "egress" else "from"
    for policy in of(documents, "NetworkPolicy"):
        if not selects(policy["spec"]["podSelector"], template(documents)["metadata"]["labels"]):
            continue
        for rule in policy["spec"].get(direction, []):
            peers = repr(sorted(map(repr, rule.get(peer, [])))) if rule.get(peer) else "anybody"
            for port in rule.get("ports", [{}]):
                last = port.get("endPort", port.get("port"))
                yield port.get("protocol", "any"), port.get("port"), last, peers


def ingress(documents):
    port = [("TCP", SERVED, SERVED)] if is_coordinator(documents) else []
    found = sorted(entry[:3] for entry in passes(documents, "ingress"))
    if found != port:
        yield f"comes in: {found}, not {port}"


def egress(documents):
    found = sorted(passes(documents, "egress"), key=repr)
    ports = [] if is_coordinator(documents) else [("TCP", NAMES, NAMES), ("TCP", SERVED, SERVED), ("UDP", NAMES, NAMES)]
    if sorted(entry[:3] for entry in found) != ports:
        yield f"goes out: {found}, not {ports}"
    for entry in found:
        if entry[3] == "anybody" or "/0'" in entry[3]:
            yield f"goes out to anybody: {entry}"


def is_coordinator(documents):
    return any("coordinator" in item["name"] for item in template(documents)["spec"]["containers"])


def one_pod(documents):
    """One, with an account of its own that mounts no token, and selected by what is meant for it."""
    (stateful,) = of(documents, "StatefulSet")
    spec, labels = stateful["spec"], template(documents)["metadata"]["labels"]
    if spec.get("replicas") != 1:
        yield f"{spec.get('replicas')} replicas"
    if not selects(spec["selector"], labels):
        yield "the StatefulSet does not select its pod"
    for service in of(documents, "Service"):
        if not selects({"matchLabels": service["spec"]["selector"]}, labels):
            yield f"Service {service['metadata']['name']} selects nothing"
    accounts = [item for item in of(documents, "ServiceAccount") if item.get("automountServiceAccountToken") is False]
    if [item["metadata"]["name"] for item in accounts] != [spec["template"]["spec"].get("serviceAccountName")]:
        yield "no account of its own without a token"


def volumes_exist(documents):
    """Every mount has its volume, and every volume its document."""
    (stateful,) = of(documents, "StatefulSet")
    pod = template(documents)["spec"]
    names = {kind: {item["metadata"]["name"] for item in of(documents, kind)} for kind in
             ("ConfigMap", "Secret", "PersistentVolumeClaim")}  # fmt: skip
    have = {item["metadata"]["name"] for item in stateful["spec"].get("volumeClaimTemplates", [])}
    for volume in pod["volumes"]:
        have.add(volume["name"])
        for place, field, kind in (("configMap", "name", "ConfigMap"), ("secret", "secretName", "Secret"),
                                   ("persistentVolumeClaim", "claimName", "PersistentVolumeClaim")):  # fmt: skip
            if place in volume and volume[place][field] not in names[kind]:
                yield f"volume {volume['name']}: there is no {kind} {volume[place][field]}"
    for container in containers(pod):
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in have:
                yield f"{container['name']}: there is no volume {mount['name']}"
    if "state" not in {item["metadata"]["name"] for item in stateful["spec"].get("volumeClaimTemplates", [])}:
        yield "the state is not kept"


def keys_apart(documents):
    """Private keys are in the Secret alone, and the authority's nowhere."""
    for document in of(documents, "ConfigMap"):
        for name, text in document.get("data", {}).items():
            if name.endswith(".key") or "PRIVATE KEY" in text:
                yield f"{name} is in a ConfigMap"
    for document in of(documents, "Secret"):
        for name in set(document["data"]) - {"identity.key", "tls.key"}:
            yield f"{name} is in the cluster"


SITE = {
    "namespace": namespace, "default-deny": default_deny, "ingress": ingress, "egress": egress, "one-pod": one_pod,
    "volumes-exist": volumes_exist, "keys-apart": keys_apart,
}  # fmt: skip


def faults(documents):
    """{rule: [sentences]} of a site's documents."""
    pod = template(documents)["spec"]
    found = {name: list(rule(pod)) for name, rule in {**RESTRICTED, **HOUSE, **SERVICE}.items()}
    found.update({name: list(rule(documents)) for name, rule in SITE.items()})
    return {name: sentences for name, sentences in found.items() if sentences}


def pod_faults(pod):
    """The same of a pod that is no service."""
    found = {name: list(rule(pod)) for name, rule in {**RESTRICTED, **HOUSE}.items()}
    return {name: sentences for name, sentences in found.items() if sentences}
