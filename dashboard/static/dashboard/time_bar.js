/** Sessions as bars on one bar, from the first moment to the last; those at the same time lie one below the other. */

import { drawn, say } from "./dom.js";
import { moment } from "./format.js";

/** The bar's own units; the page stretches it. */
const WIDTH = 1000;
const HEIGHT = 28;
/** A quarter of an hour in a month would not be seen. */
const NARROWEST = 4;
/** More would be too thin; those beyond lie over others. */
const MOST_LANES = 7;
/** Who has not ended for so long is not playing: the end was lost. */
const LONGEST_PLAY_MS = 24 * 3_600_000;

/** It has started and not ended since. */
export const isOpen = ({ ended_at: ended, ended_before_start: startedAgain }) => ended === null || startedAgain;

export const isPlaying = (session) => isOpen(session) && Date.now() - Date.parse(session.started_at) < LONGEST_PLAY_MS;

/** Each bar and its row of the table light up together. `asOpen`: who has ended and started again is open here. */
export function showTimeBar(place, sessions, rows, { asOpen }) {
  const spans = sessions.map((session) => spanOf(session, asOpen));
  const [from, to] = [Math.min(...spans.flat()), Math.max(...spans.flat())];
  const x = (ms) => ((ms - from) / Math.max(1, to - from)) * (WIDTH - NARROWEST);
  const lanes = lanesOf(spans);
  const height = HEIGHT / (Math.max(...lanes) + 1);
  const bars = spans.map((span, index) => bar(...span.map(x), lanes[index] * height, height));
  place.querySelector("svg").replaceChildren(...bars);
  const [first, last] = place.querySelectorAll("span");
  say(first, moment(from));
  say(last, moment(to));
  bars.forEach((one, index) => {
    if (isPlaying(sessions[index])) one.classList.add("playing");
    lightUpTogether(one, rows[index]);
  });
}

/** What is going on lasts until now. One without a duration, as whose end was lost, is a moment. */
function spanOf(session, asOpen) {
  const [started, ended] = [Date.parse(session.started_at), Date.parse(session.ended_at)];
  if (isOpen(session) && (asOpen || session.ended_at === null)) {
    return [started, isPlaying(session) ? Math.max(started, Date.now()) : started];
  }
  return [session.duration_seconds === null ? ended : started, ended];
}

/** For each span a lane in which it meets no other. */
function lanesOf(spans) {
  const free = [];
  const lanes = Array(spans.length);
  const byBegin = [...spans.keys()].sort((one, other) => spans[one][0] - spans[other][0]);
  for (const index of byBegin) {
    const [begin, end] = spans[index];
    const found = free.findIndex((until) => until <= begin);
    lanes[index] = found >= 0 ? found : Math.min(free.length, MOST_LANES - 1);
    free[lanes[index]] = Math.max(end, begin + 1);
  }
  return lanes;
}

function bar(left, right, top, height) {
  const width = Math.max(NARROWEST, right - left);
  return drawn("rect", { x: left.toFixed(1), y: top.toFixed(1), width: width.toFixed(1), height: height.toFixed(1) });
}

function lightUpTogether(...both) {
  for (const one of both) {
    one.addEventListener("pointerenter", () => both.forEach((each) => each.classList.add("lit")));
    one.addEventListener("pointerleave", () => both.forEach((each) => each.classList.remove("lit")));
  }
}
