/** A timeline in small: its shape, on a scale of its own. */

import { drawn } from "./dom.js";
import { HOUR_MS, count, part } from "./format.js";

const WIDTH = 120;
const HEIGHT = 24;
/** Steps of less than two pixels are noise; more parts are added up. */
const MOST_STEPS = 60;

export function sparkline(points, interval) {
  const peak = points.reduce((most, point) => (point.starts > most.starts ? point : most));
  const begin = Date.parse(peak.begin);
  const label = `Peak: ${count(peak.starts)} per ${interval}, ${part(interval, begin, begin + HOUR_MS)}`;
  return drawn(
    "svg",
    { class: "sparkline", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    drawn("title", {}, label),
    drawn("path", { d: outline(steps(points)) }),
  );
}

function steps(points) {
  const size = Math.ceil(points.length / MOST_STEPS);
  const sums = Array(Math.ceil(points.length / size)).fill(0);
  points.forEach((point, index) => (sums[Math.floor(index / size)] += point.starts));
  return sums;
}

function outline(sums) {
  const top = Math.max(1, ...sums);
  const step = WIDTH / sums.length;
  const height = (sum) => (HEIGHT * (1 - sum / top)).toFixed(1);
  return `M0 ${HEIGHT}${sums.map((sum, at) => `V${height(sum)}H${((at + 1) * step).toFixed(1)}`).join("")}V${HEIGHT}Z`;
}
