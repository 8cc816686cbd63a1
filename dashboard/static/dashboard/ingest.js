/** Sends a batch that one has written, and shows the result of each event. */

import { linkTo, ofPlayer } from "./address.js";
import { ApiError, sendBatch } from "./api.js";
import { element, say } from "./dom.js";

const section = document.getElementById("ingest");
const form = section.querySelector("form");
const batch = document.getElementById("batch");
const lenient = document.getElementById("lenient");
const send = form.querySelector(".primary");
const resultText = section.querySelector(".result");
const table = section.querySelector("table");

/** A session that starts and ends, and an event that is too old. */
export function showExample() {
  const session = newSessionId();
  const minutesAgo = (minutes) => `${new Date(Date.now() - minutes * 60_000).toISOString().slice(0, 19)}Z`;
  const events = [
    { event: "start", player_id: "grace", session_id: session, country: "FI", ts: minutesAgo(25) },
    { event: "end", player_id: "grace", session_id: session, ts: minutesAgo(3) },
    { event: "end", player_id: "grace", ts: "2016-12-02T12:48:05.520022" },
  ];
  batch.value = JSON.stringify(events, null, 1).replace(/\n {2}/g, " ").replace(/\n }/g, " }");
}

let sending = false;

async function sendIt() {
  if (sending) return;
  const text = batch.value;
  becomeBusy(true); // not disabled: that would take the focus away
  say(resultText, "Sending …");
  try {
    const { status, body } = await sendBatch(text, { lenient: lenient.checked });
    const invalid = body.invalid ? `, ${body.invalid} invalid` : "";
    say(resultText, `${status}: ${body.stored} stored, ${body.discarded} discarded${invalid}.`);
    showRows(eventsIn(text), (index) => body.results[index]);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    tellOf(error, text);
  } finally {
    becomeBusy(false);
  }
}

function becomeBusy(busy) {
  sending = busy;
  send.setAttribute("aria-disabled", String(busy));
}

function tellOf(trouble, sent) {
  const status = trouble.status ? `${trouble.status}: ` : "";
  const ofEvents = trouble.errors.filter(({ pointer }) => pointer !== "");
  if (ofEvents.length === 0) {
    say(resultText, status + trouble.words);
    showRows([]);
    return;
  }
  const events = eventsIn(sent);
  const single = !Array.isArray(parsed(sent));
  const errorsOf = (index) => ofEvents.filter(({ pointer }) => single || pointer.split("/")[1] === String(index));
  const invalid = events.filter((_, index) => errorsOf(index).length).length;
  say(resultText, `${status}${invalid} of ${events.length} events invalid; nothing was stored.`);
  showRows(events, (index) => ({ status: errorsOf(index).length ? "invalid" : "not stored", errors: errorsOf(index) }));
}

/** A row for each event: what it was, and its result `{status, session_id}` or `{status, errors}`. */
function showRows(events, resultOf) {
  table.hidden = events.length === 0;
  table.querySelector("tbody").replaceChildren(...events.map((event, index) => row(event, index, resultOf(index))));
}

function row(event, index, { status, session_id: session, errors = [] }) {
  const complaints = errors.map(({ pointer, detail }) => element("p", {}, `${fieldOf(pointer)}: ${detail}`));
  return element(
    "tr",
    {},
    element("td", { class: "number" }, String(index + 1)),
    element("td", {}, `${event?.event ?? "?"} ${event?.player_id ?? ""}`),
    element("td", {}, element("span", { class: `outcome ${status.replace(" ", "-")}` }, status)),
    element("td", { class: "detail" }, ...(session ? [sessionLink(event.player_id, session)] : complaints)),
  );
}

const sessionLink = (player, session) => linkTo(ofPlayer(player, session), {}, element("code", {}, session));

/** "ts" of "/3/ts" or of "/ts"; "event" when the event as a whole is meant. */
const fieldOf = (pointer) => pointer.replace(/^\/\d+/, "").slice(1) || "event";

const eventsIn = (text) => [parsed(text)].flat().filter((event) => event !== undefined);

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    // The service validates what it is sent, and says what is wrong.
    return undefined;
  }
}

/** A random UUID (version 4); crypto.randomUUID is missing where the page does not come by https. */
function newSessionId() {
  const hex = "10000000-1000-4000-8000-100000000000";
  return hex.replace(/[018]/g, (digit) =>
    (digit ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (digit / 4)))).toString(16),
  );
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  sendIt();
});
form.querySelector(".example").addEventListener("click", showExample);
