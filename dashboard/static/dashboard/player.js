/** The look-up of a player: the last completed sessions as a table and on a bar of time. */

import { Trouble, latestStarts, sessionsOfPlayer } from "./api.js";
import { element, say } from "./dom.js";
import { countryName, duration, moment } from "./format.js";
import { showTimeBar } from "./time_bar.js";

/** Examples to press, for who knows no player. */
const EXAMPLES = 3;

const section = document.getElementById("look-up");
const form = section.querySelector("form");
const input = document.getElementById("player");
const recent = section.querySelector(".recent");
const resultText = section.querySelector(".result");
const sessions = section.querySelector(".sessions");

let lookUps = 0;

export function readPlayerFromAddress() {
  const player = new URLSearchParams(location.search).get("player");
  if (player) lookUp(player);
}

/** Offers players who were seen lately in the largest country of the report. Without an answer they stay as they are. */
export async function offerPlayers(report, { signal }) {
  const [largest] = report.countries;
  if (!largest) return;
  try {
    const { body } = await latestStarts(largest.country, report.window, { signal });
    if (recent.matches(":hover, :focus-within")) return; // someone is about to press one
    const players = [...new Set(body.results.map((start) => start.player_id))].slice(0, EXAMPLES);
    const chips = players.map((player) => element("button", { type: "button", class: "chip", title: player }, player));
    recent.replaceChildren("Seen lately:", ...chips);
    recent.hidden = false;
  } catch (error) {
    if (!signal.aborted && !(error instanceof Trouble)) throw error;
  }
}

async function lookUp(player) {
  const number = ++lookUps;
  input.value = player;
  say(resultText, "Asking …");
  try {
    const { body } = await sessionsOfPlayer(player);
    // Another look-up may have been made meanwhile.
    if (number === lookUps) show(body);
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
    if (number === lookUps) tellOf(error);
  }
}

function show({ player_id: player, results, next }) {
  const address = new URL(location.href);
  address.searchParams.set("player", player);
  history.replaceState(null, "", address);
  sessions.hidden = results.length === 0;
  if (results.length === 0) {
    say(resultText, `No completed session of ${player}. A session counts here once its end was sent.`);
    return;
  }
  const number = results.length === 1 ? "1 completed session" : `${results.length} completed sessions`;
  say(resultText, next ? `The last ${number} of ${player}` : `${number} of ${player}`);
  say(sessions.querySelector("caption"), `Completed sessions of ${player}, newest end first`);
  sessions.querySelector("tbody").replaceChildren(...results.map(row));
  showTimeBar(sessions.querySelector(".time-bar"), results, sessions.querySelectorAll("tbody tr"));
}

function row(session) {
  const { started_at: started, ended_at: ended, country } = session;
  return element(
    "tr",
    {},
    element("td", {}, started ? moment(started) : "start not sent"),
    element("td", {}, moment(ended)),
    lasted(session),
    element("td", {}, country ? countryName(country) : "–"),
  );
}

function lasted({ duration_seconds: seconds, ended_before_start: startedAgain }) {
  if (startedAgain) return element("td", {}, "start is later"); // words may take two lines
  return element("td", { class: "number" }, seconds === null ? "–" : duration(seconds));
}

function tellOf(trouble) {
  sessions.hidden = true;
  const advice = trouble.passes ? " Try again in a moment." : "";
  say(resultText, [trouble.message, ...trouble.errors.map((error) => error.detail)].join(" ") + advice);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  lookUp(input.value);
});
recent.addEventListener("click", ({ target }) => target.matches("button") && lookUp(target.textContent));
