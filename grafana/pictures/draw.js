// Draws one of the dashboards from what a Prometheus holds, about as Grafana would: the same queries, variables,
// transformations, units, thresholds and places. It knows the panels and options that grafana/source uses and no
// others, so that the pictures in the documentation need no Grafana. Called by tests/e2e/dashboards/pictures.rs.
"use strict";

const COLUMNS = 24, CELL = 38, GAP = 8;

/**
 * `how`: the address of `prometheus` and its `scrape` interval in seconds; `from` and `to` in seconds; `chosen` values by variable; `theme`; the time `zone`
 * of the person who looks, and the `span` in words.
 */
async function draw(dashboard, how) {
  document.body.className = how.theme;
  document.getElementById("bar").replaceChildren();
  const grid = document.getElementById("grid");
  grid.replaceChildren();
  const variables = dashboard.templating.list;
  const values = Object.fromEntries(variables.map((one) => [one.name, value_of(one, how.chosen[one.name])]));
  const world = { ...how, values };
  top_of(dashboard, variables, how);
  const unit = (grid.clientWidth + GAP) / COLUMNS;
  let end = 0;
  // All rows are drawn open.
  const panels = dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
  const painted = panels.map(async (panel) => {
    const { x, y, w, h } = panel.gridPos;
    const place = element(grid, "div", panel.type === "row" ? "row" : "panel");
    const box = { left: x * unit, top: y * CELL, width: w * unit - GAP, height: h * CELL - GAP };
    for (const [name, value] of Object.entries(box)) place.style[name] = `${value}px`;
    end = Math.max(end, box.top + box.height);
    if (panel.type === "row") return place.append(panel.title);
    element(place, "h2", "", panel.title);
    const body = element(place, "div", "body");
    panel.width = box.width;
    if (panel.type === "table") return paint_table(body, panel, await table_of(panel, world));
    const paint = { stat: paint_stat, timeseries: paint_timeseries, bargauge: paint_bargauge }[panel.type];
    paint(body, panel, await series_of(panel, world), box, world);
  });
  grid.style.height = `${end}px`;
  await Promise.all(painted);
  await document.fonts.ready;
  return document.documentElement.scrollHeight;
}

function top_of(dashboard, variables, { chosen, texts = {}, span }) {
  const bar = document.getElementById("bar");
  const title = element(bar, "h1", "", dashboard.title);
  element(title, "span", "", span);
  const controls = element(bar, "div", "controls");
  for (const variable of variables) {
    const control = element(controls, "div", "control");
    element(control, "b", "", variable.label);
    const text = texts[variable.name] ?? (variable.type === "datasource" ? "Prometheus" : [chosen[variable.name] ?? "All"].flat().join(" + "));
    element(control, "span", "", text);
  }
  for (const link of dashboard.links) element(controls, "a", "", link.title);
}
