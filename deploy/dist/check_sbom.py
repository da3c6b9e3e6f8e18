"""Whether an SBOM is one by the schema of CycloneDX, and names what is in the binary and nothing else."""

import json
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

text = Path(sys.argv[1]).read_text(encoding="utf-8")
if wrong := JsonStrictValidator(SchemaVersion.V1_5).validate_str(text):
    sys.exit(f"not CycloneDX: {wrong}")
bill = json.loads(text)
names = {one["name"] for one in bill["components"]}
linked = {"tokio", "hyper", "rustls", "ring", "reqwest", "glibc", "rust-std"}
if missing := linked - names:
    sys.exit(f"missing: {missing}")
# What tests and builds need, and what is there for other systems.
if others := names & {"insta", "proptest", "clap_mangen", "windows-sys", "serde_derive", "cc"}:
    sys.exit(f"not in the binary: {others}")
known = {one["bom-ref"] for one in [bill["metadata"]["component"], *bill["components"]]}
edges = {one["ref"]: one["dependsOn"] for one in bill["dependencies"]}
if unknown := {other for others in edges.values() for other in others} - known:
    sys.exit(f"needed, but not listed: {unknown}")
reached, left = set(), [bill["metadata"]["component"]["bom-ref"]]
while left:
    if (one := left.pop()) not in reached:
        reached.add(one)
        left += edges.get(one, [])
if lost := known - reached:
    sys.exit(f"listed, but needed by nothing: {lost}")
print(f"  {len(known)} parts")
