/** The sessions of a player, in a table and on a bar of time, and one of them by its id. */

import { go, linkTo, ofCountry, view } from "./address.js";
import { ApiError, cursorOf, paths, sessionsOfPlayer, startsOfCountry } from "./api.js";
import { element, say } from "./dom.js";
import { showExportLinks } from "./export_links.js";
import { countryName, date, duration, moment, zoneName } from "./format.js";
import { isOpen, isPlaying, showTimeBar } from "./time_bar.js";

/** Examples to press, for who knows no player. */
const EXAMPLES = 3;
/** A session is looked for among so many of its player's newest. */
const SESSIONS_OF_A_PAGE = 100;
const MOST_PAGES = 10;
const STATES = { completed: "completed session", open: "open session", all: "session" };

const section = document.getElementById("look-up");
const form = section.querySelector("form");
const input = document.getElementById("player");
const states = document.getElementById("state");
const recent = section.querySelector(".recent");
const resultText = section.querySelector(".result");
const one = section.querySelector(".one");
const sessions = section.querySelector(".sessions");
const pages = section.querySelector(".pages");

let lookUps = 0;

/** Offers players who were seen lately in the largest country of the report. Without an answer they stay as they are. */
export async function offerPlayers(report, { signal }) {
  const country = report.country ?? report.countries[0]?.country;
  if (!country) return;
  try {
    const { body } = await startsOfCountry(country, { ...report.window, limit: 20 }, { signal });
    if (recent.matches(":hover, :focus-within")) return; // someone is about to press one
    const players = [...new Set(body.results.map((start) => start.player_id))].slice(0, EXAMPLES);
    if (players.length === 0) return;
    const chips = players.map((player) => element("button", { type: "button", class: "chip", title: player }, player));
    recent.replaceChildren("Recent players:", ...chips);
    recent.hidden = false;
  } catch (error) {
    if (!signal.aborted && !(error instanceof ApiError)) throw error;
  }
}

const chosenState = () => (view().state in STATES ? view().state : "completed");

/** Shows the player that the address names, if it names one. */
export async function showPlayer() {
  const number = ++lookUps;
  const { player, older, session } = view();
  const state = chosenState();
  states.elements.state.value = state;
  states.hidden = !player;
  if (!player) {
    sessions.hidden = one.hidden = true;
    say(resultText, "Enter a player ID to see the player's sessions.");
    return;
  }
  if (document.activeElement !== input || !input.value.trim()) input.value = player;
  say(resultText, "Loading …");
  try {
    const asked = { state, ...(state === "completed" && { overlaps: true }), ...(older && { cursor: older }) };
    const [{ body }, found] = await Promise.all([sessionsOfPlayer(player, asked), find(player, session)]);
    // Another look-up may have been made meanwhile.
    if (number !== lookUps) return;
    show(body, { state, older });
    showOne(player, session, found);
    showExportLinks(section.querySelector(".take"), paths.player(player, asked), { csv: false });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (number === lookUps) tellOf(error);
  }
}

export function focusPlayer() {
  if (!section.contains(document.activeElement)) section.focus();
}

function show({ player_id: player, results, next }, { state, older }) {
  sessions.hidden = results.length === 0;
  if (results.length === 0) {
    say(resultText, nothing(player, state, older));
    return;
  }
  const number = `${results.length} ${STATES[state]}${results.length === 1 ? "" : "s"}`;
  const which = older ? number.replace(" ", " older ") : next ? `The last ${number}` : number;
  say(resultText, `${which} of ${player}`);
  const order = state === "completed" ? "newest end first" : "newest start first";
  say(sessions.querySelector("caption"), `${number} of ${player}, ${order}`);
  sessions.querySelector("tbody").replaceChildren(...results.map(row));
  const rows = sessions.querySelectorAll("tbody tr");
  showTimeBar(sessions.querySelector(".time-bar"), results, rows, { asOpen: state !== "completed" });
  const links = [
    ...(older ? [linkTo({ older: null }, {}, "Newest")] : []),
    ...(next ? [linkTo({ older: cursorOf(next) }, { rel: "next" }, "Older")] : []),
  ];
  pages.replaceChildren(...links);
  pages.hidden = links.length === 0;
}

function nothing(player, state, older) {
  if (older) return `No more sessions of ${player}.`;
  const when = { completed: "A session is listed once its end has been received.", open: "All have ended.", all: "" };
  return `No ${STATES[state]} of ${player}. ${when[state]}`.trim();
}

function row(session) {
  const { session_id: id, started_at: started, country, overlaps } = session;
  const place = country ? linkTo(ofCountry(country), {}, countryName(country)) : "–";
  const link = linkTo({ session: id }, { title: `Session ${id}` }, started ? moment(started) : "no start received");
  const length = lasted(session);
  const mark = element("span", { class: "mark", title: "overlaps another session" }, "overlaps");
  if (overlaps) length.append(" ", mark);
  const isChosen = id === view().session?.toLowerCase();
  return element(
    "tr",
    { class: isChosen ? "chosen" : null, "aria-current": isChosen ? "true" : null },
    element("td", {}, link),
    element("td", {}, ended(session)),
    length,
    element("td", {}, place),
  );
}

function ended(session) {
  if (!isOpen(session)) return moment(session.ended_at);
  if (session.ended_at) return `${moment(session.ended_at)}, started again`;
  return isPlaying(session) ? element("b", { class: "playing" }, "playing now") : "no end received";
}

function lasted(session) {
  const { duration_seconds: seconds, ended_before_start: startedAgain, started_at: started } = session;
  if (startedAgain) return element("td", {}, "ended before it started"); // words may take two lines
  const soFar = isPlaying(session) ? `${duration(Math.max(0, Date.now() - Date.parse(started)) / 1000)} so far` : "–";
  return element("td", { class: "number" }, seconds === null ? soFar : duration(seconds));
}

/** One session of a player, found among the newest; undefined: none of them. */
async function find(player, session) {
  let cursor = null;
  for (let page = 0; session && page < MOST_PAGES; page++) {
    const asked = { state: "all", limit: SESSIONS_OF_A_PAGE, ...(cursor && { cursor }) };
    const { body } = await sessionsOfPlayer(player, asked);
    const found = body.results.find(({ session_id: id }) => id === session.toLowerCase());
    cursor = cursorOf(body.next);
    if (found || !cursor) return found;
  }
  return undefined;
}

function showOne(player, session, found) {
  one.hidden = !session;
  if (!session) return;
  const facts = found
    ? [
        ["Session", element("code", {}, session)],
        ["Country", found.country ? countryName(found.country) : "unknown: no start received"],
        ["Started", found.started_at ? `${date(found.started_at)} ${zoneName()}` : "not received"],
        ["Ended", endInWords(found)],
        ["Duration", found.duration_seconds === null ? "–" : duration(found.duration_seconds)],
        ["Overlaps another session", found.overlaps ? "yes" : "no"],
      ]
    : [["Session", `${session} is not among the newest sessions of ${player}.`]];
  const close = linkTo({ session: null }, {}, "Close");
  one.replaceChildren(
    element("dl", {}, ...facts.map(fact)),
    close,
  );
}

const fact = ([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value));

function endInWords(session) {
  if (session.ended_at) return `${date(session.ended_at)} ${zoneName()}`;
  return isPlaying(session) ? "playing now" : "not received";
}

function tellOf(trouble) {
  sessions.hidden = one.hidden = true;
  const advice = trouble.passes ? " Try again in a moment." : "";
  say(resultText, trouble.words + advice);
}

/** What is pasted often has blanks around it. */
function lookUp(text) {
  const player = text.trim();
  if (player) go({ player, older: null, session: null });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  input.value = input.value.trim();
  lookUp(input.value);
});
states.addEventListener("change", () => go({ state: states.elements.state.value, older: null }));
recent.addEventListener("click", ({ target }) => target.matches("button") && lookUp(target.textContent));
