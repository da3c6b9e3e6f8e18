"""Tables as Markdown, and docs/performance.md, which holds nothing else."""

import os
import pathlib
import platform
import re
import subprocess

from processes import NGINX, upstream


def number(value):
    """Three digits that matter."""
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value:,.0f}"
    if value < 0.1:
        return f"{value:.3f}"
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


class Table:
    """Rows of a table; one that cannot be measured says why."""

    def __init__(self, *columns):
        self.columns = columns
        self.rows = []

    def attempt(self, head, measure):
        """A row that begins with `head` and goes on with what `measure` gives."""
        try:
            cells = measure()
        except Exception as error:
            cells = [why(error)]
        missing = len(self.columns) - len(head) - len(cells)
        row = [*head, *cells, *["–"] * missing]
        self.rows.append([cell if isinstance(cell, str) else number(cell) for cell in row])
        print(" | ".join(self.rows[-1]), flush=True)

    def text(self):
        left = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "".join(f"| {' | '.join(row)} |\n" for row in left)


def why(error):
    """The reason in a cell of a table."""
    text = re.sub(r"\s+", " ", str(error)).replace("|", "/")
    return f"not measured: {text[:200] or type(error).__name__}"


class Section:
    """A part of the page: prose and tables in the order in which they were added."""

    def __init__(self, title, prose):
        self.parts = [f"## {title}\n", prose.strip() + "\n"]
        print(f"\n{title}", flush=True)

    def add(self, text):
        self.parts.append(text.strip("\n") + "\n")

    def table(self, title, *columns):
        if title:
            self.parts.append(f"### {title}\n")
        self.parts.append(Table(*columns))
        print(f"\n{title}\n{' | '.join(columns)}", flush=True)
        return self.parts[-1]

    def text(self):
        return "\n".join(part if isinstance(part, str) else part.text() for part in self.parts)


def said(*command):
    """The first line that a program prints, if it can be run."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except OSError:
        return "not installed"
    return (ran.stdout + ran.stderr).strip().split("\n")[0]


def machine(tools):
    processor = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
    yield "machine", (
        f"{processor[1] if processor else platform.machine()}, {os.cpu_count()} cores, "
        f"{memory / 1024**2:.0f} GiB, Linux {platform.release()}"
    )
    yield "exporter", said(tools.exporter, "--version")
    yield "compiler", said("rustc", "--version")
    yield "nginx", said(tools.nginx or "nginx", "-v").removeprefix("nginx version: ")
    yield "wrk", said(tools.wrk or "wrk", "-v").split(" Copyright")[0]
    yield "json_exporter", said(tools.json_exporter, "--version") if tools.json_exporter else "missing"


HEAD = """# Performance

Written by `make bench`, wholly: change `benches/`, not this page. {size}

Everything runs on one machine over loopback: the exporter, the simulated API, who scrapes, and what the exporter is
compared with. Absolute figures are therefore those of this machine with all of that on it; what carries over to
others is a **ratio of figures of one run**. No test depends on any of them. CPU is that of the named process alone,
user and system time together, with its children. *Peak* is the kernel's high-water mark of resident memory
(`VmHWM`), set back before each load; the other figures of memory are `VmRSS`, the median of a second.

| | |
| --- | --- |
{machine}
Load on the machine before the run: {load}. The run took {took}. The simulated API has no limit of requests here, the
configured one does not bind, and nothing is stored; everything else is as the exporter has it by default. One account
of one user looks like this, and of nginx this is common to all:

```yaml
{config}```

```nginx{nginx}```
"""

QUICK = (
    "**This one comes from a quick run (`make bench-quick`)**: small sizes and short loads, to see that everything "
    "can be measured. Its figures are coarse."
)
FULL = "It comes from a full run."


# Not measured by a run: what was measured when it was decided, on two cores that had other work as well.
TRIED = """## What was tried

Where the time of a scrape goes: the first one after a publication renders and compresses what has changed; all others
join parts that are compressed already, and send them.

| what | instead of | kept | because |
| --- | --- | --- | --- |
| what turns a checksum into its share of the whole is kept with each part | deriving it from the length of each part for each document | yes | joining 2,000 checksums takes a fifth |
| zlib-rs looks which instructions the processor has | the least that all have | yes | a checksum takes a fifth |
| lines are compared by XXH3, 128 bits with a seed of the process | SipHash, 64 bits twice | yes | 93 KB take 4 µs of 200 |
| level 2 of deflate | level 1; level 3 | yes | 7.2 KB for 93 KB of lines where level 1 has 11.8; level 3 has 6.4 and takes twice as long or more |
| views in chunks of 64 users, shared until one changes | a copy for the poller and one for the view, in chunks of 1,000 | yes | 10,000 users take 17 MiB over the empty process where they took 37, with the text of each block that is no longer kept |
| mimalloc 3 as the allocator | glibc's | no | 10,000 users took 63 MiB at rest instead of 44 (debug builds) |
| `MALLOC_ARENA_MAX=1` in the environment, with glibc | as many arenas as threads | no | 36 MiB instead of 44 at rest, 53 instead of 73 after reloads; it can be set where memory is short |
"""


def example(tools):
    """A configuration, without its token."""
    with upstream(tools, 1, 1, "0ms") as api:
        text = api.configured({"interval": "30s"}).replace(api.token, "…")
        return text.replace(api.process.address, "127.0.0.1:PORT")


def page(tools, sections, load, took):
    rows = "".join(f"| {name} | {text} |\n" for name, text in machine(tools))
    size = f"{QUICK if tools.quick else FULL} Sizes: {', '.join(f'{a * u:,}' for a, u in tools.sizes)} users."
    took = f"{took // 60:.0f} min {took % 60:.0f} s"
    nginx = NGINX.format(here="FOLDER", user="user root;", http="…")
    head = HEAD.format(
        size=size, machine=rows, load=f"{load:.2f}", took=took, config=example(tools), nginx=nginx
    )
    return "\n".join([head, *(section.text() for section in sections), TRIED])
