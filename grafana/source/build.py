"""Writes the dashboards as JSON: `python3 grafana/source/build.py`.

With `--check` nothing is written, and it fails if a file is not what it would write. Needs nothing but Python 3.9.
"""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import exporter_health, manager, team_backlog  # noqa: E401, E402: not to leave compiled files in the repository

FOLDER = Path(__file__).resolve().parent.parent


def files():
    """The name and content of every file. The last one is what the test expects of the queries."""
    expected = {}
    for name, module in [("team-backlog", team_backlog), ("manager", manager), ("exporter-health", exporter_health)]:
        dashboard = module.build()
        queries = []
        for panel in [one for top in dashboard["panels"] for one in (top, *top.get("panels", ()))]:
            for query, target in zip(panel.pop("_queries", ()), panel.get("targets", ())):
                one = {"panel": panel["title"], "ref": target["refId"], "labels": query["labels"]}
                if query["may_be_empty"]:
                    one["may_be_empty"] = query["may_be_empty"]
                queries.append(one)
        expected[name] = queries
        yield f"dashboards/{name}.json", dashboard
    yield "expected.json", expected


def main():
    differ = False
    for name, content in files():
        path, text = FOLDER / name, json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        if "--check" not in sys.argv:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            differ = True
            print(f"grafana/{name} is not what grafana/source makes; run `make generated`", file=sys.stderr)
    return int(differ)


if __name__ == "__main__":
    sys.exit(main())
