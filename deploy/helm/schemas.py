"""Writes JSON schemas for kubeconform: schemas.py FOLDER VERSION…

FOLDER/VERSION/statefulset-apps-v1.json and its like are those of Kubernetes, which a Python package has, with
references that can be followed from where they are. FOLDER/operator/podmonitor.json and prometheusrule.json come
from typed models of the Prometheus operator's own definitions. As in an API server that is asked to be strict,
fields that are not known are errors; in the operator's kinds so is null.
"""

import json
import sys
from pathlib import Path

import kubernetes_validate
from cloudcoil.models.prometheus_operator import v1

KUBERNETES = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"


def strict(schema):
    """The schema without null, and closed where it lists its fields."""
    if isinstance(schema, list):
        return [strict(one) for one in schema if one != {"type": "null"}]
    if not isinstance(schema, dict):
        return schema
    schema = {key: strict(value) for key, value in schema.items() if key != "default" or value is not None}
    if "properties" in schema:
        schema.setdefault("additionalProperties", False)
    return schema


def kubernetes(folder, version):
    folder.mkdir(parents=True, exist_ok=True)
    for file in (KUBERNETES / f"v{version}-local-strict").glob("*.json"):
        schema = json.loads(file.read_text(encoding="utf-8"))
        # References would count from there.
        schema.pop("$id", None)
        text = json.dumps(schema).replace('"/api/_definitions.json#', '"_definitions.json#')
        (folder / file.name).write_text(text, encoding="utf-8")


def operator(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for kind in (v1.PodMonitor, v1.PrometheusRule):
        text = json.dumps(strict(kind.model_json_schema(by_alias=True)))
        (folder / f"{kind.__name__.lower()}.json").write_text(text, encoding="utf-8")


def main(folder, *versions):
    for version in versions:
        kubernetes(Path(folder) / version, version)
    operator(Path(folder) / "operator")


if __name__ == "__main__":
    main(*sys.argv[1:])
