"""What no schema says about the chart.

check.py objects FILE VALUES BINARY: that pods are restricted as Kubernetes' standard wants it, that selectors find
pods, that mounts are folders and have volumes, that rules and dashboards are those of the repository, and that
promtool takes the rules and the exporter its flags and the configuration.
check.py readme CHART: that README.md has each value, with its default.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROMTOOL = os.environ.get("PROMTOOL") or "promtool"
RUNBOOKS = "https://runbooks.example.com/wazzup-exporter"


def of_kind(objects, kind):
    return [one for one in objects if one["kind"] == kind]


def restricted(pod):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    whole = pod["securityContext"]
    assert whole["runAsNonRoot"] is True and whole["runAsUser"] > 0, whole
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}, whole
    assert not any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")), pod
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False, own
        assert own["capabilities"] == {"drop": ["ALL"]}, own
        assert own["readOnlyRootFilesystem"] is True, own
        assert "memory" in container["resources"]["limits"], container["resources"]


def mounts(spec):
    pod = spec["template"]["spec"]
    volumes = {one["name"]: one for one in pod["volumes"]}
    volumes |= {one["metadata"]["name"]: one for one in spec.get("volumeClaimTemplates", [])}
    paths = []
    for mount in pod["containers"][0]["volumeMounts"]:
        assert mount["name"] in volumes, mount
        # A file that is mounted alone stays as it was when its source is replaced.
        assert "subPath" not in mount, mount
        if "secret" in volumes[mount["name"]]:
            assert mount["readOnly"] is True, mount
            assert volumes[mount["name"]]["secret"]["defaultMode"] == 0o440, mount
        paths.append(mount["mountPath"])
    assert len(paths) == len(set(paths)), paths
    # A mount within a read-only one could not be made.
    nested = [one for one in paths for other in paths if one.startswith(other + "/")]
    assert not nested, nested


def selected(objects, labels, ports):
    """Everything that looks for the pods finds them, by ports that they have."""
    def finds(selector):
        assert selector and selector.items() <= labels.items(), selector

    for service in of_kind(objects, "Service"):
        finds(service["spec"]["selector"])
        assert all(one["targetPort"] in ports for one in service["spec"]["ports"]), service
    for budget in of_kind(objects, "PodDisruptionBudget"):
        finds(budget["spec"]["selector"]["matchLabels"])
    for policy in of_kind(objects, "NetworkPolicy"):
        finds(policy["spec"]["podSelector"]["matchLabels"])
        entries = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
        assert entries == ["http", "health"], entries
        out = [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]]
        assert out[:2] == [53, 53] and len(out) == 3, out
    for monitor in of_kind(objects, "PodMonitor"):
        finds(monitor["spec"]["selector"]["matchLabels"])
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["port"] in ports, endpoint
        job = next(one for one in endpoint["relabelings"] if one["targetLabel"] == "job")
        # The alerts on targets look for it.
        assert job["replacement"].startswith("wazzup"), job
    (test,) = of_kind(objects, "Pod")
    assert not labels.items() <= test["metadata"]["labels"].items(), "services would find the test"
    restricted(test["spec"])


def stateful_set(objects, values):
    (pods,) = of_kind(objects, "StatefulSet")
    spec = pods["spec"]
    labels = spec["template"]["metadata"]["labels"]
    container = spec["template"]["spec"]["containers"][0]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    assert spec["serviceName"] in [one["metadata"]["name"] for one in of_kind(objects, "Service")]
    restricted(spec["template"]["spec"])
    mounts(spec)
    selected(objects, labels, {one["name"] for one in container["ports"]})
    shards = values.get("shards", 1)
    sharded = ["--shard.from-hostname", f"--total-shards={shards}"]
    assert spec["replicas"] == shards
    assert [one in container["args"] for one in sharded] == [shards > 1] * 2, container["args"]
    return container["args"]


def rules(objects, values):
    found = {one["metadata"]["name"].rpartition("-")[2]: one["spec"] for one in of_kind(objects, "PrometheusRule")}
    wanted = values.get("prometheusRule", {})
    if not wanted.get("enabled"):
        assert not found
        return
    for file in (ROOT / "deploy/prometheus/rules").glob("*.yaml"):
        text = file.read_text(encoding="utf-8").replace(RUNBOOKS, wanted.get("runbooks", RUNBOOKS))
        assert found[file.stem] == yaml.safe_load(text), file
    assert ("overrides" in found) == bool(wanted.get("overrides"))
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, spec in found.items():
            files.append(Path(folder) / f"{name}.yaml")
            files[-1].write_text(yaml.safe_dump(spec), encoding="utf-8")
        subprocess.run([PROMTOOL, "check", "rules", *files], check=True, stdout=subprocess.DEVNULL)


def dashboards(objects, values):
    found = {name: text for one in of_kind(objects, "ConfigMap") for name, text in one["data"].items()
             if name.endswith(".json")}
    files = {file.name: file for file in (ROOT / "grafana/dashboards").glob("*.json")}
    assert found.keys() == (files.keys() if values.get("dashboards", {}).get("enabled") else set())
    for name, text in found.items():
        assert json.loads(text) == json.loads(files[name].read_text(encoding="utf-8")), name


def configuration(objects, values, arguments, binary):
    """As the pod would see it, with something in every secret that the values name."""
    found = {name: text for one in of_kind(objects, "Secret") for name, text in one["stringData"].items()}
    assert ("config.yaml" in found) == bool(values.get("config"))
    if not values.get("config"):
        return
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "config").mkdir()
        (folder / "config/config.yaml").write_text(found["config.yaml"], encoding="utf-8")
        (folder / "config/config.yaml").chmod(0o440)
        for secret in values.get("secrets", []):
            for key in ("token", "reset"):
                file = folder / "secrets" / secret.get("folder", secret["name"]) / key
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("0123456789abcdef" * 2, encoding="utf-8")
                file.chmod(0o440)
        # This host's name has no ordinal.
        flags = [one for one in arguments
                 if not one.startswith(("--config.", "--storage.path", "--web.config", "--shard.from-hostname"))]
        subprocess.run([binary, "check-config", f"--config.file={folder}/config/config.yaml",
                        f"--storage.path={folder}/state", *flags],
                       check=True, stdout=subprocess.DEVNULL, env=os.environ | {"ACME_TOKEN": "0123456789abcdef"})


def flags_exist(arguments, binary):
    help = subprocess.run([binary, "--help"], check=True, capture_output=True, text=True).stdout
    known = {word.partition("=")[0] for word in help.split() if word.startswith("--")}
    unknown = [one for one in arguments if one.partition("=")[0] not in known]
    assert not unknown, f"the program has no {unknown}"


def objects_of(file, values, binary):
    objects = [one for one in yaml.safe_load_all(Path(file).read_text(encoding="utf-8")) if one]
    values = yaml.safe_load(Path(values).read_text(encoding="utf-8"))
    namespace = values.get("namespaceOverride", "shop")
    elsewhere = {"monitoring", namespace}
    assert {one["metadata"]["namespace"] for one in objects if "namespace" in one["metadata"]} <= elsewhere
    arguments = stateful_set(objects, values)
    flags_exist(arguments, binary)
    rules(objects, values)
    dashboards(objects, values)
    configuration(objects, values, arguments, binary)


def leaves(values, path=""):
    for key, value in values.items():
        if isinstance(value, dict) and value and key not in ("requests", "limits"):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def readme(chart):
    values = yaml.safe_load((Path(chart) / "values.yaml").read_text(encoding="utf-8"))
    lines = (Path(chart) / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| `")]
    told = {row[0].strip("|` "): row[1].strip("` ") for row in rows}
    real = {path: json.dumps(value, ensure_ascii=False) for path, value in leaves(values)}
    assert told == real, {key: (told.get(key), real.get(key)) for key in told.keys() | real.keys()
                          if told.get(key) != real.get(key)}


if __name__ == "__main__":
    {"objects": objects_of, "readme": readme}[sys.argv[1]](*sys.argv[2:])
