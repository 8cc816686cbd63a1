/** What follows from the ends of the sessions: players, lengths, who is playing. What is an estimate says so. */

import { ApiError } from "./api.js";
import { element, say } from "./dom.js";
import { aboutCount, aboutDuration, aboutShare, count } from "./format.js";

const UNKNOWN = { value: "–" };

const place = document.getElementById("measures");
const note = place.querySelector("p");

/** Asks for them, and shows them when they are there: nothing else waits for it. */
export async function showMeasures(report, { signal }) {
  place.setAttribute("aria-busy", "true");
  try {
    show(await report.measures());
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof ApiError)) throw error;
    // What is shown is of another window, perhaps.
    for (const figure of place.querySelectorAll("dd")) figure.textContent = UNKNOWN.value;
    say(note, "Session lengths could not be loaded.");
  }
  place.removeAttribute("aria-busy");
}

function show({ starts, players, sample, open, playing, length_median: median, length_p90: p90 }) {
  const figures = {
    players: players === null ? UNKNOWN : { value: count(players) },
    "length-median": median ? aboutDuration(median) : UNKNOWN,
    "length-p90": p90 ? aboutDuration(p90) : UNKNOWN,
    playing: playing ? aboutCount(playing) : UNKNOWN,
    open: open ? aboutShare(open) : UNKNOWN,
  };
  for (const [id, figure] of Object.entries(figures)) document.getElementById(id).replaceChildren(...inWords(figure));
  say(note, starts ? of(sample, { starts, players }) : "");
}

/** "12 min", or "about 12 min, ±1" with the number as the largest. */
function inWords({ value, margin }) {
  if (!margin) return [value];
  return [element("small", {}, "about "), value, element("small", {}, `, ±${margin}`)];
}

function of({ starts: sampled, exact }, { starts, players }) {
  if (exact) return `Based on all ${count(starts)} sessions started in the window.`;
  const counted = players === null ? " Players are not counted for this many starts." : "";
  return `Estimated from a random sample of ${count(sampled)} starts (95% confidence).${counted}`;
}
