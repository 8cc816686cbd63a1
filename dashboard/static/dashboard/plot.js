/** Starts over time as a plot, its legend, its summary in words, and the same as a table. */

import { coloursOf, OTHERS } from "./colours.js";
import { element, say } from "./dom.js";
import { UTC, change, count, countryName, day, minute, part, shortCount, zoneName } from "./format.js";

const { uPlot } = window;

/** Above this many parts a bar would be thinner than its gap: one outline instead. */
const MOST_BARS = 200;
/** Layers from below: the largest countries, and the others together. */
const MOST_LAYERS = 6;

/** Pixels: the room for the numbers at the left, and half of the widest name of an hour or day. */
const AXIS = 44;
const HALF_A_NAME = 20;
/** A shorter drag is a click. */
const LEAST_DRAG = 8;

/** The name of UTC that uPlot knows. */
const ETC_UTC = "Etc/UTC";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const STEPS = [1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE);
const LONG_STEPS = [1, 2, 3, 6, 12, 24, 48, 72, 120, 168, 240, 360, 720, 1440, 2160].map((hours) => hours * HOUR);

const figure = document.getElementById("plot");
const canvas = figure.querySelector(".canvas");
const legend = figure.querySelector(".legend ul");
const momentShown = figure.querySelector(".legend .moment");
const summary = figure.querySelector("figcaption");
const asTable = figure.querySelector("details");
const wide = matchMedia("(min-width: 40rem)");

const bars = uPlot.paths.bars({ size: [0.82, Infinity, 1], align: 1 });
const outline = uPlot.paths.stepped({ align: 1, extend: true });

let shown = { begins: [], ends: [], starts: [], complete: [], layers: [], before: null };
let colours = new Map();
let plot = null;
let zoomTo = () => {};
/** Countries, and OTHERS, that the reader has taken out of the plot. */
const hidden = new Set();

/** Calls `zoom(from, to)` (ms) when somebody drags over the plot. */
export const watchZoom = (zoom) => (zoomTo = zoom);

/** Draws what `Report.byPart` gives. */
export function showPlot(byPart) {
  shown = byPart;
  colours = coloursOf(shown.layers.map(({ country }) => country));
  figure.hidden = shown.layers.length === 0;
  if (figure.hidden) return;
  asTable.hidden = false;
  plot ??= build();
  draw();
  canvas.setAttribute("aria-valuemax", shown.begins.length - 1);
  say(summary, inWords());
  showLegend();
  showPart(partOf(plot.cursor));
  if (asTable.open) showTable();
}

function draw() {
  const compared = shown.before ?? shown.begins.map(() => null);
  plot.setData([shown.begins.map((ms) => ms / 1000), ...stacked(), compared]);
}

/** For each layer, from the top one down, the sum of it and all below: the lower ones are painted over it. */
function stacked() {
  const sums = shown.begins.map(() => 0);
  const painted = Array.from({ length: MOST_LAYERS }, (_, index) => {
    const layer = shown.layers[index];
    if (layer && !hidden.has(keyOf(layer))) layer.starts.forEach((starts, at) => (sums[at] += starts));
    return [...sums];
  });
  return painted.reverse();
}

const keyOf = ({ country }) => country ?? OTHERS;
const nameOf = ({ country }) => (country ? countryName(country) : "Other countries");

// --- The drawing ------------------------------------------------------------------------------------------------------

function build() {
  const built = new uPlot(
    {
      ...size(),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zoneName() === UTC ? ETC_UTC : zoneName()),
      legend: { show: false },
      padding: [8, 0, 0, 0],
      cursor: {
        x: true,
        y: false,
        drag: { x: true, y: false, setScale: false },
        points: { show: false },
        dataIdx: partUnder,
        move: toMiddle,
      },
      scales: {
        x: { range: (_, first) => [first, (shown.ends.at(-1) ?? 0) / 1000] },
        y: { range: (_, low, high) => [0, Math.max(high, 1) * 1.05] },
      },
      axes: [timeAxis(), startsAxis()],
      series: [{}, ...layersFromTop(), before()],
      hooks: {
        setCursor: [({ cursor }) => showPart(partOf(cursor))],
        setSelect: [zoom],
        draw: [fadeWhatIsCutOff],
      },
    },
    [[], ...Array.from({ length: MOST_LAYERS + 1 }, () => [])],
    canvas,
  );
  new ResizeObserver(() => built.setSize(size())).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => built.redraw());
  return built;
}

const size = () => ({ width: Math.max(canvas.clientWidth, 2 * AXIS), height: wide.matches ? 280 : 200 });
const colour = (name) => getComputedStyle(figure).getPropertyValue(name).trim();
const font = () => `12px ${getComputedStyle(figure).fontFamily}`;

const layersFromTop = () => Array.from({ length: MOST_LAYERS }, (_, fromTop) => layerAt(MOST_LAYERS - 1 - fromTop));

function layerAt(index) {
  return {
    fill: () => (shown.layers[index] ? colour(`--layer-${colours.get(shown.layers[index].country)}`) : "transparent"),
    width: 0,
    points: { show: false },
    paths: (self, ...range) => (self.data[0].length > MOST_BARS ? outline : bars)(self, ...range),
  };
}

/** What it is compared with, as a line. */
const before = () => ({
  stroke: () => colour("--ink"),
  width: 1.5,
  dash: [5, 3],
  points: { show: false },
  paths: outline,
});

/** What the window has not all of is drawn paler. */
function fadeWhatIsCutOff(self) {
  const { ctx } = self;
  const { top, height } = self.bbox;
  ctx.save();
  ctx.fillStyle = colour("--surface");
  ctx.globalAlpha = 0.5;
  shown.complete.forEach((complete, index) => {
    if (complete) return;
    const [left, right] = [shown.begins[index], shown.ends[index]].map((ms) => self.valToPos(ms / 1000, "x", true));
    ctx.fillRect(left, top, right - left, height);
  });
  ctx.restore();
}

function timeAxis() {
  return {
    stroke: () => colour("--muted"),
    font: font(),
    grid: { show: false },
    ticks: { stroke: () => colour("--line"), size: 4, width: 1 },
    size: 28,
    space: 64,
    incrs: [...STEPS, ...LONG_STEPS],
    values: (self, ticks) => ticks.map((seconds) => (hasRoom(self, seconds) ? nameOfMoment(seconds * 1000) : "")),
  };
}

const nameOfMoment = (ms) => (minute(ms) === "00:00" ? day(ms) : minute(ms));
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

/** uPlot looks for the nearest beginning of a part; a bar stands for all of its part. */
function partUnder(_, __, nearest, seconds) {
  const index = shown.ends.findIndex((end) => seconds * 1000 < end);
  return Number.isNaN(seconds) ? nearest : index < 0 ? shown.ends.length - 1 : index;
}

function toMiddle(self, left, top) {
  if (left < 0 || shown.begins.length === 0) return [left, top];
  return [middleOf(self, partUnder(self, 0, 0, self.posToVal(left, "x"))), top];
}

/** The part that the cursor is on; null when it is outside, or on one of a longer window that was shown before. */
const partOf = (cursor) => (cursor?.left >= 0 && cursor.idx < shown.begins.length ? cursor.idx : null);
const middleOf = (self, index) => self.valToPos((shown.begins[index] + shown.ends[index]) / 2000, "x");

/** All parts that the drag has touched. */
function zoom(self) {
  const { left, width } = self.select;
  if (width === 0) return;
  self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  if (width < LEAST_DRAG) return;
  const [first, last] = [left, left + width].map((at) => partUnder(self, 0, 0, self.posToVal(at, "x")));
  zoomTo(shown.begins[first], shown.ends[last]);
}

// --- In words and numbers ---------------------------------------------------------------------------------------------

const nameOfPart = (index) => part(shown.interval, shown.begins[index], shown.ends[index]);

function inWords() {
  const { compare, complete, interval, starts } = shown;
  const busiest = starts.indexOf(Math.max(...starts));
  const pale = ` The first or last ${interval} is only partly in the window and is drawn paler.`;
  const cut = complete.includes(false) ? pale : "";
  const compared = compare ? ` ${inWordsOf(compare)}` : "";
  return `${count(starts[busiest])} starts in the busiest ${interval}, ${nameOfPart(busiest)}.${cut}${compared}`;
}

function inWordsOf({ total, change: ratio, complete }) {
  const much = ratio === null ? "" : ` (${change(ratio)} since)`;
  const known = complete ? "" : " Part of that period is no longer stored.";
  return `Dashed line: the earlier period, ${count(total)} starts${much}.${known}`;
}

const sum = (numbers) => numbers.reduce((whole, one) => whole + one, 0);
const numberOf = (starts, index) => count(index === null ? sum(starts) : starts[index]);

/** A button for each layer takes it out of the plot, and puts it back. */
function showLegend() {
  const focused = legend.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const items = shown.layers.map((layer) => {
    const key = keyOf(layer);
    const button = element(
      "button",
      { type: "button", "data-key": key, "aria-pressed": String(!hidden.has(key)) },
      element("span", { class: `swatch layer-${colours.get(layer.country)}` }),
      element("span", {}, nameOf(layer)),
      element("b"),
    );
    button.addEventListener("click", () => toggle(key, button));
    return element("li", {}, button);
  });
  if (shown.before) {
    const line = element("span", { class: "line-swatch" });
    items.push(element("li", { class: "before" }, line, "earlier", element("b")));
  }
  legend.replaceChildren(...items);
  if (focused) legend.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

function toggle(key, button) {
  if (!hidden.delete(key)) hidden.add(key);
  button.setAttribute("aria-pressed", String(!hidden.has(key)));
  draw();
}

/** The legend's numbers: of one part, or of the whole window (null). */
function showPart(index) {
  const inAll = `${numberOf(shown.starts, index)} starts`;
  say(momentShown, index === null ? "Whole window" : `${nameOfPart(index)}: ${inAll}`);
  const rows = [...shown.layers.map(({ starts }) => starts), ...(shown.before ? [shown.before] : [])];
  legend.querySelectorAll("b").forEach((place, at) => (place.textContent = numberOf(rows[at], index)));
  canvas.setAttribute("aria-valuenow", index ?? 0);
  canvas.setAttribute("aria-valuetext", index === null ? "nothing selected" : momentShown.textContent);
}

function showTable() {
  const { before: earlier, interval, layers, starts } = shown;
  const columns = [starts, ...(earlier ? [earlier] : []), ...layers.map((layer) => layer.starts)];
  const first = interval[0].toUpperCase() + interval.slice(1);
  const names = [first, "All", ...(earlier ? ["Earlier"] : []), ...layers.map(nameOf)];
  const head = names.map((name, index) => element("th", { scope: "col", class: index ? "number" : null }, name));
  const row = (_, at) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, nameOfPart(at)),
      ...columns.map((numbers) => element("td", { class: "number" }, count(numbers[at]))),
    );
  asTable.querySelector(".scroll").replaceChildren(
    element(
      "table",
      {},
      element("caption", { class: "unseen" }, `Sessions started in each ${interval}`),
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...shown.begins.map(row)),
    ),
  );
}

asTable.addEventListener("toggle", () => asTable.open && showTable());

canvas.setAttribute("aria-valuemin", 0);
canvas.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return; // the browser's own, such as back
  const last = shown.begins.length - 1;
  const at = partOf(plot?.cursor) ?? last + 1;
  const [previous, next] = [at - 1, at + 1];
  const steps = { ArrowLeft: previous, ArrowDown: previous, ArrowRight: next, ArrowUp: next, Home: 0, End: last };
  const to = steps[event.key];
  if (to === undefined || last < 0) return;
  event.preventDefault();
  plot.setCursor({ left: middleOf(plot, Math.min(Math.max(to, 0), last)), top: 0 });
});
canvas.addEventListener("blur", () => plot?.setCursor({ left: -10, top: -10 }));
