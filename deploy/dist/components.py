#!/usr/bin/env python3
"""Lists what a release binary is made of: an SBOM (CycloneDX 1.5) and the licences of third parties.

Usage: components.py TARGET SBOM LICENCES

Crates come from Cargo's own tree for the target, without those that only build or test it; the C library
and Rust's standard library are linked in, too. A crate without the text of a licence is an error, unless
it may be used under Apache-2.0, whose text is ours.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = "Apache-2.0"
TEXTS = re.compile(r"(?i)^(licen[cs]e|copying|copyright|notice|unlicense)")
# Where Debian and Ubuntu, on which releases are built, keep it.
LGPL = Path("/usr/share/common-licenses/LGPL-2.1")


def output(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def linked(target):
    """The packages in the binary, ours first, and which needs which."""
    tree = output("cargo", "tree", "--locked", "--edges=normal,no-proc-macro", "--target", target,
                  "--prefix=none", "--format={p}")
    names = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    metadata = json.loads(output("cargo", "metadata", "--locked", "--format-version=1",
                                 "--filter-platform", target))
    packages = {one["id"]: one for one in metadata["packages"]
                if (one["name"], "v" + one["version"]) in names}
    needs = {node["id"]: sorted(one["pkg"] for one in node["deps"]
                                if one["pkg"] in packages
                                and any(kind["kind"] is None for kind in one["dep_kinds"]))
             for node in metadata["resolve"]["nodes"] if node["id"] in packages}
    ours = packages.pop(metadata["resolve"]["root"])
    others = sorted(packages.values(), key=lambda one: (one["name"], one["version"]))
    return [ours, *others], needs


def checksums():
    lock = (ROOT / "Cargo.lock").read_text(encoding="utf-8")
    found = re.findall(r'name = "(.*)"\nversion = "(.*)"\nsource = .*\nchecksum = "(.*)"', lock)
    return {(name, version): checksum for name, version, checksum in found}


def runtime(target):
    """What every binary holds beside crates: name, version, licence, address."""
    rust = output("rustc", "--version").split()[1]
    parts = [("rust-std", rust, "MIT OR Apache-2.0", "https://www.rust-lang.org/")]
    if target.endswith("-gnu"):
        glibc = output("ldd", "--version").splitlines()[0].split()[-1]
        parts.append(("glibc", glibc, "LGPL-2.1-or-later", "https://www.gnu.org/software/libc/"))
    return parts


def expression(package):
    # Before SPDX expressions a slash meant "or".
    return (package["license"] or "").replace("/", " OR ").replace("  ", " ")


def component(kind, package, sums):
    name, version = package["name"], package["version"]
    purl = f"pkg:cargo/{name}@{version}"
    described = {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl,
                 "licenses": [{"expression": expression(package)}]}
    if package["description"]:
        described["description"] = " ".join(package["description"].split())
    if package["repository"]:
        described["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    if (name, version) in sums:
        described["hashes"] = [{"alg": "SHA-256", "content": sums[name, version]}]
    return described


def sbom(target, packages, needs):
    sums = checksums()
    purl = {one["id"]: f"pkg:cargo/{one['name']}@{one['version']}" for one in packages}
    runtimes = [{"type": "library", "bom-ref": f"{name}@{version}", "name": name, "version": version,
                 "licenses": [{"expression": licence}],
                 "externalReferences": [{"type": "website", "url": url}]}
                for name, version, licence, url in runtime(target)]
    edges = [{"ref": purl[one], "dependsOn": [purl[other] for other in others]}
             for one, others in needs.items()]
    next(edge for edge in edges if edge["ref"] == purl[packages[0]["id"]])["dependsOn"] += [
        one["bom-ref"] for one in runtimes]
    commit = output("git", "log", "-1", "--format=%cI").strip()
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {"timestamp": commit, "component": component("application", packages[0], sums),
                     "properties": [{"name": "cargo:target", "value": target}]},
        "components": [component("library", one, sums) for one in packages[1:]] + runtimes,
        "dependencies": sorted(edges, key=lambda edge: edge["ref"]),
    }


def texts(package):
    folder = Path(package["manifest_path"]).parent
    named = [file for file in sorted(folder.iterdir()) if file.is_file() and TEXTS.match(file.name)]
    found = [file.read_text(encoding="utf-8", errors="replace").strip() for file in named]
    if not found and OURS not in expression(package):
        sys.exit(f"{package['name']} {package['version']} ({expression(package)}) has no text of a licence")
    return found


def licences(target, packages):
    """One list of everything, then each text once with those whom it concerns."""
    apache = (ROOT / "LICENSE").read_text(encoding="utf-8").strip()
    holders = {}
    lines = []
    for package in packages[1:]:
        line = f"{package['name']} {package['version']}"
        lines.append(f"{line}: {expression(package)}")
        for text in texts(package) or [apache]:
            holders.setdefault(text, []).append(line)
    for name, version, licence, url in runtime(target):
        lines.append(f"{name} {version}: {licence}, {url}")
        text = LGPL.read_text(encoding="utf-8").strip() if licence.startswith("LGPL") else apache
        holders.setdefault(text, []).append(f"{name} {version}")
    rule = "=" * 80
    parts = ["wazzup-exporter is licensed under Apache-2.0, see LICENSE. It holds these libraries of others:",
             "\n".join(lines),
             "The GNU C library is linked in. It may be replaced: build wazzup-exporter from its sources,\n"
             "with the options that its Makefile has, against another version of the library."]
    parts += [f"{rule}\n{', '.join(names)}\n{rule}\n\n{text}" for text, names in holders.items()]
    return "\n\n".join(parts) + "\n"


def main(target, bill, texts_file):
    packages, needs = linked(target)
    Path(bill).write_text(json.dumps(sbom(target, packages, needs), indent=2) + "\n", encoding="utf-8")
    Path(texts_file).write_text(licences(target, packages), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
