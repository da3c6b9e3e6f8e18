// From a dashboard's panel to the series and tables that Grafana would hand to it: variables put in, Prometheus
// asked, results merged, columns chosen and ordered. Used by draw.js.
"use strict";

const NICE = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

const escape_regex = (text) => text.replace(/[\\^$*+?.()|[\]{}]/g, "\\\\$&");
const seconds = (text) => parseFloat(text) * { s: 1, m: 60, h: 3600, d: 86400, w: 604800 }[text.at(-1)];

/** What a variable is in a query: All, one value, or several as a regular expression. */
function value_of(variable, chosen) {
  // All that were found, where All has no value of its own.
  if (chosen === undefined) return variable.allValue ?? (variable.multi ? ".+" : "");
  if (!variable.multi) return chosen;
  return chosen.length === 1 ? escape_regex(chosen[0]) : `(${chosen.map(escape_regex).join("|")})`;
}

/** When a panel begins: with the dashboard, or a span of its own ago. */
const begin_of = (panel, world) => (panel.timeFrom ? world.to - seconds(panel.timeFrom) : world.from);

function interval_of(panel, world) {
  const points = panel.maxDataPoints ?? panel.width ?? 1000;
  const wanted = Math.max((world.to - begin_of(panel, world)) / points, world.scrape, panel.interval ? seconds(panel.interval) : 0);
  return NICE.find((step) => step >= wanted) ?? 86400;
}

function filled(expression, panel, world) {
  const step = interval_of(panel, world);
  const own = {
    __rate_interval: `${Math.max(step + world.scrape, 4 * world.scrape)}s`,
    __interval: `${step}s`,
    __range: `${world.to - begin_of(panel, world)}s`,
  };
  return expression.replace(/\$(\w+)/g, (whole, name) => own[name] ?? world.values[name] ?? whole);
}

async function ask(world, path, parameters) {
  const answer = await fetch(`${world.prometheus}${path}?${new URLSearchParams(parameters)}`);
  const json = await answer.json();
  if (json.status !== "success") throw new Error(`${json.error}: ${parameters.query}`);
  return json.data.result;
}

function legend(format, labels) {
  if (format === "__auto") return Object.entries(labels).filter(([name]) => name !== "__name__").map(([name, value]) => `${name}="${value}"`).join(", ") || "Value";
  return format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name) => labels[name] ?? "");
}

/** The series of all queries of a panel: name, labels, and points of time and value. */
async function series_of(panel, world) {
  const step = interval_of(panel, world);
  const results = await Promise.all(panel.targets.map(async (target) => {
    const query = filled(target.expr, panel, world);
    const result = target.instant
      ? await ask(world, "api/v1/query", { query, time: world.to })
      : await ask(world, "api/v1/query_range", { query, start: Math.ceil(begin_of(panel, world) / step) * step, end: world.to, step });
    return result.map(({ metric, values, value }) => ({
      ref: target.refId,
      labels: metric,
      name: legend(target.legendFormat, metric),
      step,
      points: (values ?? [value]).map(([time, text]) => [time, parseFloat(text)]).filter((point) => !Number.isNaN(point[1])),
    })).filter((one) => one.points.length);
  }));
  return results.flat();
}

/** The rows of a table panel, and its columns as [title, field]. */
async function table_of(panel, world) {
  const series = await series_of(panel, world);
  const several = panel.targets.length > 1;
  const frames = panel.targets.map((target) => series.filter((one) => one.ref === target.refId).flatMap((one) => one.points.map(([time, value]) => ({
    ...one.labels,
    Time: time,
    [several ? `Value #${target.refId}` : "Value"]: value,
  })))).filter((frame) => frame.length);
  let rows = frames.flat();
  for (const { id, options } of panel.transformations) {
    if (id === "merge") rows = merged(frames);
    if (id === "filterFieldsByName") rows = rows.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => options.include.names.includes(name))));
    if (id === "calculateField") for (const row of rows) row[options.alias] = row[options.binary.left.matcher.options] - Number(options.binary.right.fixed) / 1000;
    if (id === "formatTime") for (const row of rows) row[options.timeField] = TIMES[options.outputFormat](row[options.timeField], world.zone);
    if (id === "groupBy") rows = grouped(rows, Object.entries(options.fields));
    if (id === "groupingToMatrix") rows = matrix(rows, options);
    if (id === "sortBy") rows.sort((a, b) => String(a[options.sort[0].field]).localeCompare(String(b[options.sort[0].field])));
    if (id === "organize") {
      const order = Object.entries(options.indexByName).sort((a, b) => a[1] - b[1]).map(([name]) => name);
      const known = order.filter((name) => rows.some((row) => name in row));
      var columns = known.map((name) => options.renameByName[name] ?? name);
      rows = rows.map((row) => Object.fromEntries(known.map((name, index) => [columns[index], row[name]])));
    }
  }
  for (const { displayName, desc } of panel.options.sortBy ?? []) {
    const rank = (row) => row[displayName] ?? -Infinity;
    rows = rows.sort((a, b) => (desc ? rank(b) - rank(a) : rank(a) - rank(b)));
  }
  return { rows, columns: columns ?? [] };
}

const in_zone = (time, timeZone, how) => new Intl.DateTimeFormat("en-GB", { timeZone, ...how }).format(time * 1000);

/** How a time is written, by the formats that the dashboards use. */
const TIMES = {
  E: (time, zone) => String(1 + ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].indexOf(in_zone(time, zone, { weekday: "short" }))),
  HH: (time, zone) => in_zone(time, zone, { hour: "2-digit", hourCycle: "h23" }),
};

/** One row for all that are equal in the fields to group by, with the mean of the others. */
function grouped(rows, fields) {
  const by = fields.filter(([, how]) => how.operation === "groupby").map(([name]) => name);
  const groups = Map.groupBy(rows, (row) => JSON.stringify(by.map((name) => row[name])));
  return [...groups.values()].map((group) => {
    const row = Object.fromEntries(by.map((name) => [name, group[0][name]]));
    for (const [name, how] of fields) {
      if (how.operation === "aggregate") row[`${name} (mean)`] = group.reduce((sum, one) => sum + one[name], 0) / group.length;
    }
    return row;
  });
}

function matrix(rows, { rowField, columnField, valueField }) {
  const made = new Map();
  for (const row of rows) {
    const line = made.get(row[rowField]) ?? { [`${rowField}\\${columnField}`]: row[rowField] };
    line[row[columnField]] = row[valueField];
    made.set(row[rowField], line);
  }
  return [...made.values()];
}

/** Rows become one where they have the same values in all fields that all frames share. */
function merged(frames) {
  const fields = frames.map((frame) => new Set(frame.flatMap(Object.keys)));
  const shared = [...(fields[0] ?? [])].filter((name) => fields.every((one) => one.has(name)));
  const rows = new Map();
  for (const row of frames.flat()) {
    const key = JSON.stringify(shared.map((name) => row[name]));
    rows.set(key, { ...rows.get(key), ...row });
  }
  return [...rows.values()];
}

/** The settings of a field: the panel's defaults with what is said of this field. */
function field_of(panel, name) {
  const field = structuredClone(panel.fieldConfig.defaults);
  for (const { matcher, properties } of panel.fieldConfig.overrides) {
    if (matcher.options !== name) continue;
    for (const { id, value } of properties) {
      const path = id.split(".");
      let place = field;
      for (const part of path.slice(0, -1)) place = place[part] ??= {};
      place[path.at(-1)] = value;
    }
  }
  return field;
}

/** A value as Grafana writes it: number and unit. */
function written(value, field) {
  const fixed = (number, automatic) => {
    const decimals = field.decimals ?? automatic;
    return number.toFixed(decimals).replace(/(\.\d*?)0+$/, field.decimals === undefined ? "$1" : "$&").replace(/\.$/, "");
  };
  const size = Math.abs(value);
  const automatic = size === 0 || Number.isInteger(value) ? 0 : size < 0.1 ? 3 : size < 10 ? 2 : size < 100 ? 1 : 0;
  switch (field.unit) {
    case "percentunit": return [`${fixed(value * 100, size < 0.01 ? 2 : size < 0.1 ? 1 : 0)}%`, ""];
    case "reqps": return [fixed(value, automatic), "req/s"];
    case "bytes": {
      const power = size < 1 ? 0 : Math.min(Math.floor(Math.log2(size) / 10), 4);
      return [fixed(value / 1024 ** power, 1), ["B", "KiB", "MiB", "GiB", "TiB"][power]];
    }
    case "s": {
      if (size !== 0 && size < 1) return [fixed(value * 1000, 0), "ms"];
      for (const [unit, length] of [["s", 60], ["mins", 3600], ["hours", 86400], ["days", 604800]]) {
        if (size < length) return [fixed(value / { s: 1, mins: 60, hours: 3600, days: 86400 }[unit], size < 10 ? 2 : 1), unit];
      }
      return [fixed(value / 604800, 1), "weeks"];
    }
    default:
      if (size >= 10000) return [fixed(value / 1000, 1), "K"];
      return [fixed(value, automatic), ""];
  }
}

/** What a value is shown as: text, unit, and the colour that its mapping or threshold gives it. */
function shown(value, field) {
  if (value === undefined || value === null || Number.isNaN(value)) return { text: field.noValue ?? "", unit: "", absent: true };
  const mapping = field.mappings.map(({ type, options }) => (type === "range" ? value >= options.from && options.result : options[String(value)])).find(Boolean);
  let color = field.thresholds.steps[0].color;
  for (const step of field.thresholds.steps) if (step.value !== null && value >= step.value) color = step.color;
  if (field.color.mode === "fixed") color = field.color.fixedColor;
  if (mapping) return { text: mapping.text, unit: "", color: mapping.color ?? color, mapped: mapping.color };
  if (typeof value === "string") return { text: value, unit: "", color };
  const [text, unit] = written(value, field);
  return { text, unit, color };
}
