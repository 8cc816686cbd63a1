/** Sessions as bars on one bar, from the first moment to the last. */

import { drawn, say } from "./dom.js";
import { moment } from "./format.js";

/** The bar's own units; the page stretches it. */
const WIDTH = 1000;
const HEIGHT = 28;
/** A quarter of an hour in a month would not be seen. */
const NARROWEST = 4;

/** Each bar and its row of the table light up together. */
export function showTimeBar(place, sessions, rows) {
  const spans = sessions.map(spanOf);
  const [from, to] = [Math.min(...spans.flat()), Math.max(...spans.flat())];
  const x = (ms) => ((ms - from) / Math.max(1, to - from)) * (WIDTH - NARROWEST);
  const spanElements = spans.map((span) => spanElement(...span.map(x)));
  place.querySelector("svg").replaceChildren(...spanElements);
  const [first, last] = place.querySelectorAll("span");
  say(first, moment(from));
  say(last, moment(to));
  spanElements.forEach((one, index) => lightUpTogether(one, rows[index]));
}

/** One without a duration, as of a session that was started again since, is the moment of its end. */
function spanOf({ started_at: started, ended_at: ended, duration_seconds: seconds }) {
  const end = Date.parse(ended);
  return [seconds === null ? end : Date.parse(started), end];
}

function spanElement(left, right) {
  const width = Math.max(NARROWEST, right - left);
  return drawn("rect", { x: left.toFixed(1), y: 0, width: width.toFixed(1), height: HEIGHT });
}

function lightUpTogether(...both) {
  for (const one of both) {
    one.addEventListener("pointerenter", () => both.forEach((each) => each.classList.add("lit")));
    one.addEventListener("pointerleave", () => both.forEach((each) => each.classList.remove("lit")));
  }
}
