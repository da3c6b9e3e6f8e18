"""What the schema of Compose does not say about compose.yaml: check.py FILE VERSION"""

import re
import sys
from pathlib import Path

import ruamel.yaml

file, version = Path(sys.argv[1]), sys.argv[2]
compose = ruamel.yaml.YAML(typ="safe").load(file)
services = compose["services"]

for name, service in services.items():
    image = service["image"]
    assert re.fullmatch(r"[a-z./-]+:v?\d+\.\d+\.\d+", image), f"{name}: {image} has no version"
    if "build" in service:
        assert image == f"wazzup-exporter:{version}", image
        assert (file.parent / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"], name
    # On this machine alone.
    assert all(port.startswith("127.0.0.1:") for port in service["ports"]), service["ports"]
    for volume in service.get("volumes", []):
        source, _, rest = volume.partition(":")
        if source.startswith("."):
            path = file.parent / source
            assert path.is_dir() and any(path.iterdir()), f"{name}: {path} is not there"
            assert rest.endswith(":ro"), volume
        else:
            assert source in compose["volumes"], f"{name}: {volume}"

# One of the two exporters runs, under the name that Prometheus asks.
exporters = [service for service in services.values() if "profiles" in service]
assert sorted(one["profiles"][0] for one in exporters) == ["demo", "real"]
names = set(services) | {alias for one in exporters for alias in one["networks"]["default"]["aliases"]}


def hosts(folder):
    for one in (file.parent / folder).rglob("*.yaml"):
        yield from re.findall(r"(?:\"|//)([a-z.]+):\d+", one.read_text(encoding="utf-8"))


asked = {*hosts("prometheus"), *hosts("grafana"), *hosts("alertmanager")}
assert asked == {"exporter", "alertmanager", "prometheus"} and asked <= names, asked
environment = dict(line.split("=", 1) for line in (file.parent / ".env").read_text(encoding="utf-8").splitlines()
                   if line and not line.startswith("#"))
# Grafana does not start with a password that everybody knows.
assert environment == {"COMPOSE_PROFILES": "demo", "GRAFANA_PASSWORD": ""}, environment
assert "${GRAFANA_PASSWORD:?" in services["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"]
provisioned = {volume.split(":")[1] for volume in services["grafana"]["volumes"]}
assert {"/etc/grafana/provisioning/datasources", "/etc/grafana/provisioning/dashboards",
        "/var/lib/grafana/dashboards/wazzup"} <= provisioned, provisioned
