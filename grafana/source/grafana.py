"""Grafana's dashboard JSON, in as few words as these dashboards need.

A dashboard is a list of rows, a row a title and lines of panels; `dashboard` puts them on Grafana's grid of 24
columns. `stat`, `timeseries`, `table` and `bars` make panels. Every panel has a title, a description and a unit,
because their functions take them. Called by `team`, `manager` and `health`; `build` writes what they return.
"""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
#: That of Grafana 11.6 and 12.
SCHEMA = 41
#: What a figure without a reading looks like: never 0, and never as if all were well.
ABSENT = "no reading"
#: What a list without an entry says. It may be empty because nothing was read, so it does not say that there is none.
NONE = "none known"
#: Of a table.
NO_FOOTER = {"show": False, "reducer": [], "countRows": False, "fields": ""}


def query(expr, legend="", instant=False, ref=None, labels=(), may_be_empty=""):
    """A query of a panel.

    `labels` are what its series must have, `may_be_empty` is why there may be none: both are for the test that
    runs it, and `build` puts them in a file of their own.
    """
    return dict(expr=expr, legend=legend, instant=instant, ref=ref, labels=list(labels), may_be_empty=may_be_empty)


def now(expr, legend="", **more):
    """A query of the newest value alone."""
    return query(expr, legend, instant=True, **more)


def steps(*pairs):
    """Thresholds: a colour, and from which value on it holds; the first one holds below them all."""
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in pairs]}


def only(color):
    return steps((color, None))


def words(mapping):
    """Values shown as words: value → (text, colour)."""
    options = {
        str(value): {"text": text, "index": index, **({"color": color} if color else {})}
        for index, (value, (text, color)) in enumerate(mapping.items())
    }
    return [{"type": "value", "options": options}]


def override(name, **properties):
    """Properties of the field with this name; `__` in a property stands for a dot."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()],
    }


def fixed(color):
    return {"mode": "fixed", "fixedColor": color}


def link(title, url):
    return {"title": title, "url": url, "targetBlank": False}


def _panel(kind, title, description, queries, unit, width, height, table=False, **fields):
    targets = []
    for index, one in enumerate(queries):
        target = {
            "refId": one["ref"] or chr(ord("A") + index),
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": one["expr"],
            "legendFormat": one["legend"] or "__auto",
            "instant": one["instant"],
            "range": not one["instant"],
        }
        if table:
            target["format"] = "table"
        targets.append(target)
    defaults = {
        "unit": unit,
        "noValue": fields.pop("no_value", ABSENT),
        "color": {"mode": fields.pop("color", "thresholds")},
        "thresholds": fields.pop("thresholds", None) or only("text"),
        "mappings": fields.pop("mappings", []),
        "links": fields.pop("links", []),
    }
    for key in ("decimals", "min", "max", "custom"):
        if key in fields:
            defaults[key] = fields.pop(key)
    panel = {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": fields.pop("overrides", [])},
        "options": fields.pop("options"),
        "transformations": fields.pop("transformations", []),
        "gridPos": {"w": width, "h": height},
    }
    if interval := fields.pop("interval", None):
        panel["interval"] = interval
    # How many points a query has at most; the width of the panel decides otherwise.
    if points := fields.pop("points", None):
        panel["maxDataPoints"] = points
    # Another time range than the dashboard's.
    if span := fields.pop("span", None):
        panel["timeFrom"] = span
    assert not fields, f"{title}: {sorted(fields)}"
    assert title and description and unit, title
    panel["_queries"] = queries
    return panel


def stat(
    title, description, queries, unit="short", width=4, height=4, background=False, graph=False, text="value", **fields
):
    """One large figure for each series; `text` is what stands there: value, name or value_and_name."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "auto",
        "textMode": text,
        "colorMode": "background" if background else "value",
        "graphMode": "area" if graph else "none",
        "justifyMode": "auto",
        "wideLayout": True,
    }
    return _panel("stat", title, description, queries, unit, width, height, options=options, **fields)


def timeseries(
    title,
    description,
    queries,
    unit="short",
    width=12,
    height=8,
    stack=False,
    bars=False,
    fill=10,
    legend="right",
    calcs=("lastNotNull", "max"),
    **fields,
):
    """Lines, areas or bars over time. Gaps stay gaps: nothing is drawn where nothing was read."""
    custom = {
        "drawStyle": "bars" if bars else "line",
        "lineInterpolation": "stepAfter",
        # A bar stands for the time before its moment, as an increase does.
        "barAlignment": -1,
        "lineWidth": 1,
        "fillOpacity": 70 if bars else (45 if stack else fill),
        "gradientMode": "none",
        "showPoints": "never",
        "spanNulls": False,
        "axisSoftMin": 0,
        "stacking": {"mode": "normal" if stack else "none", "group": "A"},
        "thresholdsStyle": {"mode": fields.pop("threshold_lines", "off")},
    }
    options = {
        "legend": {
            "displayMode": "table" if legend == "right" else "list",
            "placement": "right" if legend == "right" else "bottom",
            "showLegend": legend != "none",
            "calcs": list(calcs) if legend == "right" else [],
            **({"sortBy": "Last *", "sortDesc": True} if legend == "right" else {}),
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    fields.setdefault("color", "palette-classic")
    fields.setdefault("custom", custom)
    return _panel("timeseries", title, description, queries, unit, width, height, options=options, **fields)


def table(title, description, queries, columns, sort=None, unit="short", width=24, height=8, **fields):
    """A row for each series. `columns` are the fields in their order, with their titles; all others are hidden.

    The results of several queries become one row where all labels that they share are equal; a value of query B
    is the field `Value #B`.
    """
    transformations = [{"id": "merge", "options": {}}] if len(queries) > 1 else []
    transformations.append({"id": "filterFieldsByName", "options": {"include": {"names": list(columns)}}})
    organize = {
        "indexByName": {name: index for index, name in enumerate(columns)},
        "renameByName": dict(columns),
        "excludeByName": {},
    }
    transformations.append({"id": "organize", "options": organize})
    options = {"showHeader": True, "cellHeight": "sm", "footer": NO_FOOTER}
    if sort:
        options["sortBy"] = [{"displayName": sort, "desc": True}]
    fields.setdefault("no_value", NONE)
    custom = {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False}
    return _panel(
        "table",
        title,
        description,
        queries,
        unit,
        width,
        height,
        table=True,
        custom=custom,
        options=options,
        transformations=transformations,
        **fields,
    )


def week(title, description, one, hours, unit="short", width=24, height=9, **fields):
    """A table coloured by value: a row for each day of the week, a column for each hour of the day, in the time zone of
    the dashboard. In it is the mean over all weeks of the panel's `span`. The query gives a point for each hour, which
    is about the hour that ended then.
    """
    day, hour, value, corner = "Day", "Hour", "Value (mean)", "Day\\Hour"

    def named(name, format):
        begun = {"left": {"matcher": {"id": "byName", "options": "Time"}}, "operator": "-", "right": {"fixed": "3600000"}}
        return [
            {"id": "calculateField", "options": {"mode": "binary", "alias": name, "binary": begun}},
            {"id": "convertFieldType", "options": {"conversions": [{"targetField": name, "destinationType": "time"}]}},
            {"id": "formatTime", "options": {"timeField": name, "outputFormat": format, "useTimezone": True}},
        ]

    by = {"operation": "groupby", "aggregations": []}
    mean = {"operation": "aggregate", "aggregations": ["mean"]}
    matrix = {"rowField": day, "columnField": hour, "valueField": value, "emptyValue": "null"}
    columns = [corner, *hours]
    transformations = [
        *named(day, "E"),
        *named(hour, "HH"),
        {"id": "groupBy", "options": {"fields": {day: by, hour: by, "Value": mean}}},
        {"id": "groupingToMatrix", "options": matrix},
        {"id": "sortBy", "options": {"sort": [{"field": corner, "desc": False}]}},
        {
            "id": "organize",
            "options": {
                "indexByName": {name: index for index, name in enumerate(columns)},
                "renameByName": {corner: day},
                "excludeByName": {},
            },
        },
    ]
    names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    mappings = words({number: (name, None) for number, name in enumerate(names, start=1)})
    plain = {"type": "auto"}
    return _panel(
        "table",
        title,
        description,
        [one],
        unit,
        width,
        height,
        table=True,
        custom={"align": "center", "cellOptions": {"type": "color-background", "mode": "basic"}, "inspect": False},
        color="continuous-GrYlRd",
        min=0,
        interval="1h",
        points=1000,
        options={"showHeader": True, "cellHeight": "sm", "footer": NO_FOOTER},
        transformations=transformations,
        overrides=[
            override(day, mappings=mappings, custom__cellOptions=plain, custom__align="left", custom__width=70),
            *(override(name, noValue="") for name in hours),
        ],
        **fields,
    )


def bars(title, description, queries, unit="short", width=12, height=8, **fields):
    """A horizontal bar for each series."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "horizontal",
        "displayMode": "basic",
        "valueMode": "color",
        "showUnfilled": True,
        "namePlacement": "left",
        "minVizHeight": 16,
        "minVizWidth": 8,
        "sizing": "auto",
    }
    fields.setdefault("min", 0)
    return _panel("bargauge", title, description, queries, unit, width, height, options=options, **fields)


def beyond(value, text, color):
    """Values from this one on shown as a word."""
    return [
        {"type": "range", "options": {"from": value, "to": None, "result": {"text": text, "color": color, "index": 0}}}
    ]


def row(title, *lines, open=True):
    """Lines of panels under a title; without a title there are only the lines. One that is not open shows and asks
    nothing before somebody opens it.
    """
    return title, lines, open


def datasource():
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "description": "The Prometheus that scrapes the exporter",
        "query": "prometheus",
        "refresh": 1,
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "current": {},
        "regex": "",
    }


def variable(name, label, description, definition, every=None, regex="", kind=1, several=False):
    """A variable that offers what a query finds. With `every`, several may be chosen, and All means this regex; with
    `several`, All means all that were found.

    `kind` is how Grafana notes the form of the query: 1 for label_values, 3 for query_result.
    """
    multi = several or every is not None
    one = {
        "type": "query",
        "name": name,
        "label": label,
        "description": description,
        "datasource": DATASOURCE,
        "definition": definition,
        "query": {"qryType": kind, "query": definition, "refId": f"{name}-variable"},
        "regex": regex,
        # At every change of the time range, so that people who have left are found in the past.
        "refresh": 2,
        "sort": 5,
        "hide": 0,
        "includeAll": multi,
        "multi": multi,
        "options": [],
        "current": {"text": ["All"], "value": ["$__all"]} if multi else {},
    }
    if every is not None:
        one["allValue"] = every
    return one


def textbox(name, label, description, text):
    """A variable that is typed in."""
    return {
        "type": "textbox",
        "name": name,
        "label": label,
        "description": description,
        "query": text,
        "hide": 0,
        "options": [],
        "current": {"text": text, "value": text},
    }


def annotation(name, expr, color):
    """Moments that are marked in panels over time: the values of the series, in milliseconds."""
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": color,
        "expr": expr,
        "titleFormat": f"{name}: {{{{account}}}}",
        "useValueForTime": True,
    }


def of_query(ref, name, handler):
    """A transformation: what a query finds is a threshold of the others."""
    return {
        "id": "configFromData",
        "options": {"configRefId": ref, "mappings": [{"fieldName": name, "handlerKey": handler}]},
    }


def dashboard(uid, title, description, variables, rows, span, links, refresh="1m", annotations=()):
    panels, y, number = [], 0, 0
    for heading, lines, open in rows:
        inside = panels
        if heading:
            number += 1
            place = {"x": 0, "y": y, "w": 24, "h": 1}
            # Grafana looks for the panels of an open row behind it, for those of another one in it.
            head = {"id": number, "type": "row", "title": heading, "collapsed": not open, "panels": [], "gridPos": place}
            panels.append(head)
            inside = panels if open else head["panels"]
            y += 1
        for line in lines:
            x = 0
            for panel in line:
                number += 1
                place = panel["gridPos"]
                inside.append({"id": number, **panel, "gridPos": {"x": x, "y": y, **place}})
                x += place["w"]
            assert x <= 24, f"{title}: a line of {x} columns"
            y += max(panel["gridPos"]["h"] for panel in line)
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["wazzup"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": span, "to": "now"},
        "refresh": refresh,
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "weekStart": "",
        "timepicker": {},
        "templating": {"list": variables},
        "annotations": {"list": list(annotations)},
        "links": [
            {
                "type": "link",
                "title": name,
                "url": url,
                "icon": "dashboard" if url.startswith("/") else "external link",
                "tooltip": tooltip,
                "tags": [],
                "asDropdown": False,
                "targetBlank": False,
                "includeVars": False,
                "keepTime": True,
            }
            for name, url, tooltip in links
        ],
        "panels": panels,
    }
