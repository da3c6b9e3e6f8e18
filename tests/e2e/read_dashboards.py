"""Reads dashboards into the types of Grafana's own SDK and prints, as JSON, what of them these do not know or change."""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def differences(ours, read, path):
    if isinstance(ours, dict) and isinstance(read, dict):
        for key, value in ours.items():
            if key in read:
                yield from differences(value, read[key], f"{path}/{key}")
            else:
                yield f"{path}/{key} is not known"
    elif isinstance(ours, list) and isinstance(read, list) and len(ours) == len(read):
        for index, (one, other) in enumerate(zip(ours, read)):
            yield from differences(one, other, f"{path}[{index}]")
    elif ours != read:
        yield f"{path}: {ours} is read as {read}"


register_default_plugins()
found = []
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as file:
        ours = json.load(file)
    read = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(ours)))
    found += differences(ours, read, name.rsplit("/", 1)[-1])
json.dump(found, sys.stdout)
