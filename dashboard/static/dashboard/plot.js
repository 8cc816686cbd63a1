/** Starts per hour as a plot, its legend, its summary in words, and the same as a table. */

import { element, say } from "./dom.js";
import { HOUR_MS, count, countryName, day, hour, minute, shortCount } from "./format.js";

const { uPlot } = window;

/** Above this many hours a bar would be thinner than its gap: one outline instead. */
const MOST_BARS = 200;
/** One layer for each shade that page.css names, the last for the other countries. */
const SHADES = [1, 2, 3, 4, 5, 6];
const OTHERS = SHADES.length - 1;

/** Pixels: the room for the numbers at the left, and half of the widest name of an hour or day. */
const AXIS = 44;
const HALF_A_NAME = 20;

const figure = document.getElementById("plot");
const canvas = figure.querySelector(".canvas");
const legend = figure.querySelector(".legend ul");
const momentShown = figure.querySelector(".legend .moment");
const summary = figure.querySelector("figcaption");
const asTable = figure.querySelector("details");
const wide = matchMedia("(min-width: 40rem)");

const bars = uPlot.paths.bars({ size: [0.82, Infinity, 1], align: 1 });
const outline = uPlot.paths.stepped({ align: 1, extend: true });

let shown = { hours: [], starts: [], layers: [] };
let plot = null;

/** Draws what `Report.byHour` gives. */
export function showPlot(byHour) {
  shown = byHour;
  figure.hidden = shown.layers.length === 0;
  if (figure.hidden) return;
  asTable.hidden = false;
  plot ??= build();
  plot.setData([shown.hours.map((ms) => ms / 1000), ...stacked()]);
  canvas.setAttribute("aria-valuemax", shown.hours.length - 1);
  say(summary, inWords());
  showHour(hourOf(plot.cursor));
  if (asTable.open) showTable();
}

/** For each shade, from the top layer down, the sum of its layer and all below: the lower ones are painted over it. */
function stacked() {
  const sums = shown.hours.map(() => 0);
  const painted = SHADES.map((_, index) => {
    const layer = shown.layers.find((one) => shadeOf(one) === index);
    layer?.starts.forEach((starts, at) => (sums[at] += starts));
    return [...sums];
  });
  return painted.reverse();
}

/** The others have the last shade, however few layers there are. */
const shadeOf = (layer) => (layer.country ? shown.layers.indexOf(layer) : OTHERS);
const nameOf = (layer) => (layer.country ? countryName(layer.country) : "Other countries");

// --- The drawing ------------------------------------------------------------------------------------------------------

function build() {
  const built = new uPlot(
    {
      ...size(),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: { show: false },
      padding: [8, 0, 0, 0],
      cursor: { x: true, y: false, drag: { x: false, y: false }, points: { show: false }, dataIdx: hourUnder, move: toMiddle },
      scales: {
        x: { range: (_, first, last) => [first, last + HOUR_MS / 1000] },
        y: { range: (_, low, high) => [0, Math.max(high, 1) * 1.05] },
      },
      axes: [hoursAxis(), startsAxis()],
      series: [{}, ...[...SHADES].reverse().map(layerOf)],
      hooks: { setCursor: [({ cursor }) => showHour(hourOf(cursor))] },
    },
    [[], ...SHADES.map(() => [])],
    canvas,
  );
  new ResizeObserver(() => built.setSize(size())).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => built.redraw());
  return built;
}

const size = () => ({ width: Math.max(canvas.clientWidth, 2 * AXIS), height: wide.matches ? 280 : 200 });
const colour = (name) => getComputedStyle(figure).getPropertyValue(name).trim();
const font = () => `12px ${getComputedStyle(figure).fontFamily}`;

function layerOf(shade) {
  return {
    fill: () => colour(`--layer-${shade}`),
    width: 0,
    points: { show: false },
    paths: (self, ...range) => (self.data[0].length > MOST_BARS ? outline : bars)(self, ...range),
  };
}

function hoursAxis() {
  return {
    stroke: () => colour("--muted"),
    font: font(),
    grid: { show: false },
    ticks: { stroke: () => colour("--line"), size: 4, width: 1 },
    size: 28,
    space: 64,
    incrs: [1, 2, 3, 6, 12, 24, 48, 72, 120, 168, 240, 360, 720].map((hours) => (hours * HOUR_MS) / 1000),
    values: (self, ticks) => ticks.map((seconds) => (hasRoom(self, seconds) ? hourName(seconds) : "")),
  };
}

const hourName = (seconds) => (seconds % 86_400 ? minute : day)(seconds * 1000);
/** A name is written around its tick; at the edge of the plot it would be cut off. */
const hasRoom = (self, seconds) => self.valToPos(seconds, "x") < canvas.clientWidth - AXIS - HALF_A_NAME;

function startsAxis() {
  return {
    stroke: () => colour("--muted"),
    font: font(),
    grid: { stroke: () => colour("--line"), width: 1 },
    ticks: { show: false },
    size: AXIS,
    space: 44,
    incrs: [1, 2, 5].flatMap((step) => [...Array(10).keys()].map((power) => step * 10 ** power)).sort((a, b) => a - b),
    values: (_, ticks) => ticks.map(shortCount),
  };
}

/** uPlot looks for the nearest beginning of an hour; a bar stands for all of its hour. */
function hourUnder(self, _, nearest, seconds) {
  const index = Math.floor((seconds - self.data[0][0]) / (HOUR_MS / 1000));
  return Number.isNaN(index) ? nearest : Math.min(Math.max(index, 0), self.data[0].length - 1);
}

function toMiddle(self, left, top) {
  if (left < 0) return [left, top];
  return [middleOf(self, hourUnder(self, 0, 0, self.posToVal(left, "x"))), top];
}

/** The hour that the cursor is on; null when it is outside, or on one of a longer window that was shown before. */
const hourOf = (cursor) => (cursor?.left >= 0 && cursor.idx < shown.hours.length ? cursor.idx : null);
const middleOf = (self, index) => self.valToPos(self.data[0][index] + HOUR_MS / 2000, "x");

// --- In words and numbers ---------------------------------------------------------------------------------------------

function inWords() {
  const busiest = shown.starts.indexOf(Math.max(...shown.starts));
  const partial = "The window cuts off the first and the last hour.";
  return `${count(shown.starts[busiest])} starts in the busiest hour of the clock, ${hour(shown.hours[busiest])}. ${partial}`;
}

/** The legend's numbers: of one hour, or of the whole window (null). */
function showHour(index) {
  const number = (starts) => (index === null ? starts.reduce((sum, one) => sum + one, 0) : starts[index]);
  const inAll = `${count(number(shown.starts))} starts`;
  say(momentShown, index === null ? "In the whole window" : `${hour(shown.hours[index])}: ${inAll}`);
  legend.replaceChildren(
    ...shown.layers.map((layer) =>
      element(
        "li",
        {},
        element("span", { class: `swatch layer-${shadeOf(layer) + 1}` }),
        element("span", {}, nameOf(layer)),
        element("b", {}, count(number(layer.starts))),
      ),
    ),
  );
  canvas.setAttribute("aria-valuenow", index ?? 0);
  canvas.setAttribute("aria-valuetext", index === null ? "no hour chosen" : momentShown.textContent);
}

function showTable() {
  const layers = shown.layers;
  const head = ["Hour", "All", ...layers.map(nameOf)].map((name, index) =>
    element("th", { scope: "col", class: index ? "number" : null }, name),
  );
  const row = (begin, at) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, hour(begin)),
      ...[shown.starts, ...layers.map((layer) => layer.starts)].map((starts) =>
        element("td", { class: "number" }, count(starts[at])),
      ),
    );
  asTable.querySelector(".scroll").replaceChildren(
    element(
      "table",
      {},
      element("caption", { class: "unseen" }, "Sessions started in each hour"),
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...shown.hours.map(row)),
    ),
  );
}

asTable.addEventListener("toggle", () => asTable.open && showTable());

canvas.setAttribute("aria-valuemin", 0);
canvas.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return; // the browser's own, such as back
  const last = shown.hours.length - 1;
  const at = hourOf(plot?.cursor) ?? last + 1;
  const [before, after] = [at - 1, at + 1];
  const to = { ArrowLeft: before, ArrowDown: before, ArrowRight: after, ArrowUp: after, Home: 0, End: last }[event.key];
  if (to === undefined || last < 0) return;
  event.preventDefault();
  plot.setCursor({ left: middleOf(plot, Math.min(Math.max(to, 0), last)), top: 0 });
});
canvas.addEventListener("blur", () => plot?.setCursor({ left: -10, top: -10 }));
