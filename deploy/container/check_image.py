"""Whether an image, as `buildah inspect` shows it on standard input, is what orchestrators and people look for."""

import json
import sys

version, revision = sys.argv[1:]
docker = json.load(sys.stdin)["Docker"]
config = docker["config"]
assert docker["os"] == "linux" and docker["architecture"] in ("amd64", "arm64"), docker["architecture"]
# A name could not be looked up: there is no /etc/passwd.
assert config["User"] == "65532:65532", config["User"]
assert config["Entrypoint"] == ["/usr/bin/wazzup-exporter"] and not config.get("Cmd"), config
assert config["Healthcheck"]["Test"] == ["CMD", "/usr/bin/wazzup-exporter", "healthcheck"], config
assert list(config["ExposedPorts"]) == ["10117/tcp"] and list(config["Volumes"]) == ["/var/lib/wazzup-exporter"]
labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
assert labels["version"] == version and labels["revision"] == revision, labels
assert labels["licenses"] == "Apache-2.0" and labels["title"] == "wazzup-exporter", labels
assert labels["description"] and labels["source"], labels
