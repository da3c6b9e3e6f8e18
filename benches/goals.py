"""What the exporter is meant to reach, beside what this run has measured, and what each user costs.

Figures are taken from the tables of the other parts; a goal whose figure was not measured says so.
"""

import re

from page import Section, Table, number

PROSE = """
Near what the machine allows, in the order in which they count where they pull apart: memory and gzip first, binary and
build last. Ratios are of figures side by side in this run; the others are of this machine. *missed* ones are explained in
"What was missed".
"""

COST = """
Of each user, with all the rest of the process in it: KiB at rest, microseconds of CPU for a scrape between two publications,
and for the first one after a sweep in which everything changed. What falls is shared by more; what would rise
does not scale.
"""

# What is measured, least or most, and where: section, table, the head of the row, the column.
GOALS = [
    *(
        (f"gzip scrapes / nginx's with the same bytes, {users} users, {scrapers} scraper{'s' * (scrapers != '1')}, {words}",
         "≥", goal, ("Scrape", f"{users} users", [state, "gzip", scrapers], "× nginx"))
        for state, words, goal in (("idle", "between publications", 0.8), ("sweeps", "while sweeps run", 0.5))
        for users in ("10", "1,000", "100,000")
        for scrapers in ("1", "8")
    ),
    ("MiB at rest, 100,000 users", "≤", 100, ("Memory", "", ["100,000"], "at rest")),
    ("MiB with 8 scrapers, 100,000 users", "≤", 130, ("Memory", "", ["100,000"], "8 scrapers, gzip")),
    ("MiB with 8 slow readers, 100,000 users", "≤", 130, ("Memory", "", ["100,000"], "8 slow readers, gzip")),
    ("MiB at rest, 10 users", "≤", 10, ("Memory", "", ["10"], "at rest")),
    ("MiB at rest, 1,000 users", "≤", 14, ("Memory", "", ["1,000"], "at rest")),
    ("CPU for a reading over TLS / json_exporter's", "≤", 0.04, "peer"),
    *(
        (f"CPU for a reading / a bare loop's, {words}", "≤", 1.3, ("Poll", table, head, "× loop"))
        for words, table, head in (
            ("plain HTTP, 8 in flight", "Plain HTTP", ["0 ms", "8"]),
            ("plain HTTP, 64 in flight", "Plain HTTP", ["0 ms", "64"]),
            ("HTTP/2 over TLS, 8 in flight", "TLS", ["HTTP/2", "8"]),
            ("HTTP/2 over TLS, 64 in flight", "TLS", ["HTTP/2", "64"]),
        )
    ),
    ("% of a core for rendering and compressing, 100,000 users, a scrape a minute", "≤", 1, "rendering"),
    *(
        (f"identity scrapes / nginx's, 100,000 users, {scrapers} scraper{'s' * (scrapers != '1')}", "≥", 0.15,
         ("Scrape", "100,000 users", ["idle", "identity", scrapers], "× nginx"))
        for scrapers in ("1", "8")
    ),
    ("ms from exec to the first answer, 10 users", "≤", 12, ("Start", "", ["10"], "median")),
    ("MB of the static binary", "≤", 10, ("Binary and build", "", ["size of the binary"], "value")),
    ("s for a clean release build", "≤", 170, ("Binary and build", "", ["clean release build"], "value")),
    *(
        (f"a sweep / its plan, {latency}, {concurrency} in flight", "≤", 1.03,
         ("Poll", "Plain HTTP", [latency, concurrency], "sweep / plan"))
        for latency in ("50 ms", "200 ms")
        for concurrency in ("1", "8", "64")
    ),
]  # fmt: skip


def section(sections):
    goals = Section("Goals", PROSE)
    table = goals.table("", "figure", "goal", "measured", "")
    for what, side, goal, where in GOALS:
        if (found := figure(sections, where)) is not None:
            good = found >= goal if side == "≥" else found <= goal
            table.attempt([what, f"{side} {goal:g}"], lambda: [found, "reached" if good else "**missed**"])
        else:
            table.attempt([what, f"{side} {goal:g}"], lambda: ["–", "not measured"])
    costs = goals.table("Cost of a user", "users", "KiB at rest", "CPU of a gzip scrape", "of the first after a sweep")
    for users in (1000, 10_000, 100_000):
        costs.attempt([f"{users:,}"], lambda: cost(sections, users))
    goals.add(COST)
    for column in (1, 2):
        if any(value(row[column]) for row in costs.rows):
            goals.add(plot(costs, column))
    return goals


def plot(table, column):
    """A column of the costs over the users, as Mermaid draws it."""
    users, costs = zip(*((f'"{row[0]}"', row[column]) for row in table.rows if value(row[column])), strict=True)
    title = f"{table.columns[column]}{' for each user' if column == 1 else ' of each user, microseconds'}"
    return (
        f'```mermaid\nxychart-beta\n  title "{title}"\n  x-axis "users" [{", ".join(users)}]\n'
        f'  y-axis 0 --> {max(map(value, costs)) * 1.1:.2g}\n  line [{", ".join(costs)}]\n```'
    )


def cost(sections, users):
    resident = figure(sections, ("Memory", "", [f"{users:,}"], "at rest"))
    scrape = figure(sections, ("Scrape", f"{users:,} users", ["idle", "gzip", "1"], "CPU"))
    first = micro(sections, "scrape_all_changed", users)
    return [resident and resident * 1024 / users, scrape and scrape / users, first and first * 1e6 / users]


def figure(sections, where):
    """The figure at a place, if it was measured."""
    if where == "rendering":
        took = micro(sections, "scrape_all_changed", 100_000)
        return took and took / 60 * 100
    if where == "peer":
        ours, theirs = (figure(sections, ("Peer", "", [name], "CPU")) for name in ("wazzup-exporter", "json_exporter"))
        return ours and theirs and ours / theirs
    named, title, head, column = where
    for table in tables(sections, named, title):
        for row in table.rows:
            if row[: len(head)] == head:
                return value(row[table.columns.index(column)])
    return None


def tables(sections, named, title):
    """The tables of a section whose title, which stands before each, begins like this."""
    for section in sections:
        if section.parts[0] == f"## {named}\n":
            for before, part in zip(section.parts, section.parts[1:]):
                if isinstance(part, Table) and (not title or before.startswith(f"### {title}")):
                    yield part


def value(cell):
    found = re.match(r"[\d,.]+", cell)
    return float(found[0].replace(",", "")) if found else None


def micro(sections, bench, users):
    """The median of a micro-benchmark, in seconds."""
    for section in sections:
        text = "\n".join(part for part in section.parts if isinstance(part, str))
        if found := re.search(rf"─ {bench} .*?─ {users} ([^\n]*)", text, re.S):
            median = found[1].split("│")[2].split()
            return float(median[0]) * {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1}[median[1]]
    return None
