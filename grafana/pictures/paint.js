// Paints the kinds of panels that the dashboards use, each into its element. Used by draw.js.
"use strict";

const PALETTE = ["#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#705da0", "#37872d", "#fade2a", "#447ebc", "#c15c17",
  "#890f02", "#0a437c", "#6d1f62", "#584477", "#b7dbab", "#f4d598", "#70dbed", "#f9ba8f", "#f29191", "#82b5d8", "#e5a8e2", "#aea2e0", "#629e51", "#e5ac0e"];
const color_of = (name) => (name === "text" ? "var(--text)" : /^(green|yellow|orange|red|blue|purple)$/.test(name) ? `var(--${name})` : name);

function element(parent, tag, classes = "", text = "") {
  const made = document.createElement(tag);
  made.className = classes;
  if (text !== "") made.textContent = text;
  parent.append(made);
  return made;
}

function svg(parent, tag, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  parent.append(made);
  return made;
}

const absent = (body, text) => element(body, "div", "absent", text);

function paint_stat(body, panel, series, box) {
  const mode = panel.options.textMode;
  const figures = series.map((one) => ({ name: one.name, ...shown(one.points.at(-1)[1], field_of(panel, one.name)) }));
  if (!figures.length) figures.push({ name: "", ...shown(undefined, field_of(panel, "")) });
  const stats = element(body, "div", "stats");
  for (const figure of figures) {
    const stat = element(stats, "div", "stat");
    const big = mode === "name" ? { text: figure.name || figure.text, unit: "" } : figure;
    const number = element(stat, "b", "", big.text);
    const length = big.text.length + big.unit.length * 0.6 + 1;
    const room = body.clientWidth / figures.length - 24;
    const size = Math.min(box.height * 0.4, 54, room / (length * 0.56));
    number.style.fontSize = `${figure.absent ? Math.min(size, 19) : size}px`;
    if (figure.unit) element(number, "i", "", figure.unit);
    if (mode === "value_and_name" && figure.name) element(stat, "small", "", figure.name);
    if (figure.absent) number.style.color = "var(--soft)";
    else if (panel.options.colorMode === "value") number.style.color = color_of(figure.color);
  }
  if (panel.options.colorMode === "background" && !figures[0].absent) {
    const tint = { green: "#1a7f4b", orange: "#d9650b", red: "#c4162a", yellow: "#b88600", text: "transparent" }[figures[0].color] ?? color_of(figures[0].color);
    body.parentElement.classList.add("filled");
    body.parentElement.style.background = `linear-gradient(120deg, ${tint}, color-mix(in srgb, ${tint} 84%, black))`;
  }
}

/** Green, yellow, red: where a value lies between 0 and the largest. */
function on_scale(share) {
  const [from, to] = share < 0.5 ? ["green", "yellow"] : ["yellow", "red"];
  return `color-mix(in srgb, var(--${to}) ${Math.round(100 * (share < 0.5 ? share : share - 0.5) * 2)}%, var(--${from}))`;
}

function paint_table(body, panel, { rows, columns }) {
  if (!rows.length) return absent(body, panel.fieldConfig.defaults.noValue);
  const table = element(body, "table", "rows");
  const head = element(element(table, "thead"), "tr");
  columns = columns.filter((name) => !field_of(panel, name).custom.hidden);
  const fields = columns.map((name) => field_of(panel, name));
  const most = Math.max(...rows.flatMap((row) => columns.map((name) => row[name]).filter((value) => typeof value === "number")));
  columns.forEach((name, index) => {
    const cell = element(head, "th", rows.some((row) => typeof row[name] === "number") && !fields[index].mappings.length && fields[index].custom.cellOptions.type !== "gauge" ? "number" : "", name);
    if (fields[index].custom.width) cell.style.width = `${fields[index].custom.width}px`;
  });
  for (const row of rows) {
    const line = element(table, "tr");
    columns.forEach((name, index) => {
      const field = fields[index];
      const value = shown(row[name], field);
      const kind = field.custom.cellOptions.type;
      const text = `${value.text}${value.unit ? ` ${value.unit}` : ""}`;
      const cell = element(line, "td", typeof row[name] === "number" && !field.mappings.length && kind !== "gauge" ? "number" : "");
      if (kind === "gauge" && !value.absent) {
        const inside = element(cell, "div", "cell");
        const bar = element(inside, "i");
        bar.style.width = `${(100 * Math.min(Math.max(row[name], field.min), field.max)) / field.max * 0.7}%`;
        bar.style.background = color_of(value.color);
        element(inside, "b", "", text).style.color = color_of(value.color);
        return;
      }
      if (kind === "color-background") {
        cell.className = "heat";
        if (!value.absent) cell.style.background = on_scale(row[name] / (most || 1));
      }
      const inner = field.links.length ? element(cell, "a", "", text) : element(cell, "span", "", text);
      if (value.absent) inner.style.color = "var(--soft)";
      else if (kind === "color-text" || value.mapped) inner.style.color = color_of(value.color);
    });
  }
}

function paint_bargauge(body, panel, series) {
  if (!series.length) return absent(body, panel.fieldConfig.defaults.noValue);
  const list = element(body, "div", "gauges");
  const most = panel.fieldConfig.defaults.max ?? Math.max(...series.map((one) => one.points.at(-1)[1]));
  for (const one of series) {
    const value = one.points.at(-1)[1];
    const { text, unit, color } = shown(value, field_of(panel, one.name));
    const gauge = element(list, "div", "gauge");
    element(gauge, "span", "", one.name);
    const bar = element(element(gauge, "div"), "i");
    bar.style.width = `${(100 * value) / most}%`;
    bar.style.background = color_of(color);
    element(gauge, "b", "", `${text}${unit && ` ${unit}`}`).style.color = color_of(color);
  }
}

/** Numbers from `low` to `high`, round in this unit, about `count` of them. */
function ticks(low, high, count, unit = 1) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough / unit)) * unit;
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough);
  const all = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-6; at += step) all.push(at);
  return all;
}

/** Round durations. */
function time_ticks_of_value(low, high, count) {
  const step = [1, 5, 15, 30, 60, 300, 600, 1800, 3600, 7200, 14400, 21600, 43200, 86400].find((one) => (high - low) / one <= count) ?? 172800;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, index) => (first + index) * step);
}

const clocks = {};
const clock = (time, zone) => (clocks[zone] ??= new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: zone })).format(time * 1000);

function prepare(panel, series) {
  const stacked = {};
  return series.map((one, index) => {
    const field = field_of(panel, one.name);
    const custom = field.custom;
    const color = field.color.mode === "fixed" ? color_of(field.color.fixedColor) : PALETTE[index % PALETTE.length];
    const negative = custom.transform === "negative-Y";
    let points = one.points.map(([time, value]) => [time, negative ? -value : value, 0]);
    if (custom.stacking.mode === "normal") {
      const base = (stacked[custom.stacking.group] ??= new Map());
      points = points.map(([time, value]) => {
        const below = base.get(time) ?? 0;
        base.set(time, below + value);
        return [time, below + value, below];
      });
    }
    return { ...one, field, custom, color, drawn: points, hidden: custom.axisPlacement === "hidden" };
  });
}

/** Pieces without a gap. */
function pieces(points, step) {
  const all = [];
  for (const point of points) {
    const last = all.at(-1);
    if (last && point[0] - last.at(-1)[0] <= step * 1.5) last.push(point);
    else all.push([point]);
  }
  return all;
}

function paint_timeseries(body, panel, series, box, world) {
  if (!series.length) return absent(body, panel.fieldConfig.defaults.noValue);
  const all = prepare(panel, series);
  const side = panel.options.legend.placement === "right";
  const chart = element(body, "div", `chart ${side ? "right" : "bottom"}`);
  const plot = element(chart, "div", "plot");
  if (panel.options.legend.showLegend) paint_legend(element(chart, "div", "legend"), panel, all, side);
  const width = plot.clientWidth, height = plot.clientHeight;
  const field = panel.fieldConfig.defaults;
  const visible = all.filter((one) => !one.hidden);
  const values = visible.flatMap((one) => one.drawn.map((point) => point[1]));
  const low = Math.min(0, ...values), high = field.max ?? (Math.max(...values) * 1.05 || 1);
  const marks = field.unit === "s" && high - low > 5 ? time_ticks_of_value(low, high, Math.max(2, height / 34)) : ticks(low, high, Math.max(2, height / 34), field.unit === "bytes" ? 1024 ** Math.floor(Math.log2(high) / 10) : 1);
  const label = (value) => written(Math.abs(value) < 1e-12 ? 0 : value, { unit: field.unit }).filter(Boolean).join(" ");
  const left = 14 + Math.max(...marks.map((mark) => label(mark).length)) * 6.7, right = width - 12, top = 8, bottom = height - 22;
  const x = (time) => left + ((time - world.from) / (world.to - world.from)) * (right - left);
  const y = (value, bounds = [low, high]) => bottom - ((value - bounds[0]) / (bounds[1] - bounds[0])) * (bottom - top);
  const picture = svg(plot, "svg", { width, height });
  for (const mark of marks) {
    svg(picture, "line", { x1: left, x2: right, y1: y(mark), y2: y(mark), stroke: "var(--grid)" });
    svg(picture, "text", { x: left - 7, y: y(mark) + 4, "text-anchor": "end" }, label(mark));
  }
  const fits = (minutes) => ((world.to - world.from) / 60 / minutes) * 62 <= right - left;
  const minutes = [1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720].find(fits) ?? 1440;
  for (let time = Math.ceil(world.from / 60) * 60; time <= world.to; time += 60) {
    const [hour, minute] = clock(time, world.zone).split(":").map(Number);
    if ((hour * 60 + minute) % minutes) continue;
    svg(picture, "line", { x1: x(time), x2: x(time), y1: top, y2: bottom, stroke: "var(--grid)" });
    if (x(time) > left + 12 && x(time) < right - 12) svg(picture, "text", { x: x(time), y: height - 6, "text-anchor": "middle" }, clock(time, world.zone));
  }
  if (field.custom.thresholdsStyle.mode !== "off") {
    for (const step of field.thresholds.steps.filter((one) => one.value !== null && one.value <= high)) {
      svg(picture, "line", { x1: left, x2: right, y1: y(step.value), y2: y(step.value), stroke: color_of(step.color), "stroke-dasharray": "6 5", opacity: 0.7 });
    }
  }
  const bar_names = all.filter((one) => one.custom.drawStyle === "bars");
  for (const one of [...all].sort((a, b) => b.hidden - a.hidden)) {
    const bounds = one.hidden ? [one.field.min ?? 0, one.field.max ?? 1] : undefined;
    const { fillOpacity, lineWidth } = one.custom;
    if (one.custom.drawStyle === "bars") {
      const wide = Math.max(1, ((one.step / (world.to - world.from)) * (right - left)) * 0.72);
      for (const [time, value, below] of one.drawn) {
        const [a, b] = [y(value), y(below)].sort((p, q) => p - q);
        const end = x(time) - wide * 0.19, start = Math.max(left, end - wide);
        if (end > left) svg(picture, "rect", { x: start, y: a, width: end - start, height: Math.max(0, b - a), fill: one.color, "fill-opacity": fillOpacity / 100, stroke: one.color, "stroke-width": b - a > 0.5 ? 1 : 0 });
      }
      continue;
    }
    for (const piece of pieces(one.drawn, one.step)) {
      const line = piece.map(([time, value], index) => (index ? `H${x(time).toFixed(1)}V${y(value, bounds).toFixed(1)}` : `M${x(time).toFixed(1)},${y(value, bounds).toFixed(1)}`)).join("");
      if (fillOpacity) {
        const back = [...piece].reverse().map(([time, , below], index) => (index ? `V${y(below, bounds).toFixed(1)}H${x(time).toFixed(1)}` : `L${x(time).toFixed(1)},${y(below, bounds).toFixed(1)}`)).join("");
        svg(picture, "path", { d: `${line}${back}Z`, fill: one.color, "fill-opacity": fillOpacity / 100 });
      }
      if (lineWidth) svg(picture, "path", { d: line, fill: "none", stroke: one.color, "stroke-width": lineWidth, "stroke-dasharray": one.custom.lineStyle?.dash?.join(" ") ?? "none" });
    }
  }
  if (bar_names.length) svg(picture, "line", { x1: left, x2: right, y1: y(0), y2: y(0), stroke: "var(--soft)", "stroke-width": 0.6 });
}

const CALCS = { lastNotNull: ["Last *", (values) => values.at(-1)], max: ["Max", (values) => Math.max(...values)] };

function paint_legend(legend, panel, all, side) {
  const key = (parent, one) => element(parent, "span", "key").style.setProperty("background", one.color);
  if (!side) {
    for (const one of all) {
      const entry = element(legend, "span");
      key(entry, one);
      entry.append(one.name);
    }
    return;
  }
  const table = element(legend, "table");
  const head = element(table, "tr");
  element(head, "th");
  for (const calc of panel.options.legend.calcs) element(head, "th", "", CALCS[calc][0]);
  const last = (one) => one.points.at(-1)[1];
  for (const one of panel.options.legend.sortDesc ? [...all].sort((a, b) => last(b) - last(a)) : all) {
    const line = element(table, "tr");
    const name = element(line, "td");
    key(name, one);
    name.append(one.name);
    for (const calc of panel.options.legend.calcs) {
      element(line, "td", "", written(CALCS[calc][1](one.points.map((point) => point[1])), one.field).filter(Boolean).join(" "));
    }
  }
}
