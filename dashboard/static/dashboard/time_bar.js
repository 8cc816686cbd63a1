/** Sessions as marks on one bar, from the first start to the last end. */

import { drawn, say } from "./dom.js";
import { moment } from "./format.js";

/** The bar's own units; the page stretches it. */
const WIDTH = 1000;
const HEIGHT = 28;
/** A quarter of an hour in a month would not be seen. */
const NARROWEST = 4;

/** Each mark and its row of the table light up together. */
export function showTimeBar(place, sessions, rows) {
  const begins = sessions.map((session) => Date.parse(session.started_at ?? session.ended_at));
  const ends = sessions.map((session) => Date.parse(session.ended_at));
  const [from, to] = [Math.min(...begins), Math.max(...ends)];
  const x = (ms) => ((ms - from) / Math.max(1, to - from)) * (WIDTH - NARROWEST);
  const marks = sessions.map((_, index) => mark(x(begins[index]), x(ends[index])));
  place.querySelector("svg").replaceChildren(...marks);
  const [first, last] = place.querySelectorAll("span");
  say(first, moment(from));
  say(last, moment(to));
  marks.forEach((one, index) => lightUpTogether(one, rows[index]));
}

function mark(left, right) {
  const width = Math.max(NARROWEST, right - left);
  return drawn("rect", { x: left.toFixed(1), y: 0, width: width.toFixed(1), height: HEIGHT });
}

function lightUpTogether(...both) {
  for (const one of both) {
    one.addEventListener("pointerenter", () => both.forEach((each) => each.classList.add("lit")));
    one.addEventListener("pointerleave", () => both.forEach((each) => each.classList.remove("lit")));
  }
}
