/** The one place that says what is wrong and what to do; it says nothing while nothing changes. */

import { whatIsMissing } from "./api.js";
import { element, withCode } from "./dom.js";
import { countryName } from "./format.js";

const place = document.getElementById("notice");

export function allIsWell() {
  show("", "", "");
}

export function nothingHere({ hours, held, country }) {
  const words = hours === 1 ? "hour" : hours % 24 ? `${hours} hours` : hours === 24 ? "24 hours" : `${hours / 24} days`;
  const which = held ? (hours === 1 ? "this" : "these") : "the last";
  const from = country ? ` from ${countryName(country)}` : "";
  const longer = hours < 720 || held || country ? ` in ${which} ${words}` : " yet";
  const choose = longer === " yet" ? "Send" : "Choose another window, or send";
  show("calm", `No sessions${from}${longer}.`, `${choose} a batch below: its sessions appear here.`);
}

/** The service does not serve: why, as far as it knows, and what to do. */
export async function outOfOrder(trouble, { retrySeconds, signal }) {
  const again = `This page tries again every ${retrySeconds} s.`;
  try {
    const missing = await whatIsMissing({ signal });
    if (missing === null) show("trouble", trouble.message, again);
    else show("trouble", `${missing}.`, `${again} ${adviceOn(missing)}`);
  } catch {
    if (signal.aborted) return;
    show("trouble", "The service does not answer.", `${again} If you run the service, start it with \`make run\`.`);
  }
}

/** The question was wrong, such as a moment in the future. */
export function refused(trouble) {
  show("trouble", "The request was rejected.", trouble.words);
}

function adviceOn(missing) {
  // Of the tables it says itself what to do.
  if (missing.includes("sync_cassandra")) return "";
  return "If you run the service, start Cassandra with `make up`, or set `CASSANDRA_HOSTS`.";
}

function show(kind, what, todo) {
  const said = `${kind} ${what} ${todo}`;
  if (place.dataset.said === said) return;
  place.dataset.said = said;
  const message = element("p", { class: `notice ${kind}` }, element("strong", {}, what), " ", ...withCode(todo));
  place.replaceChildren(...(what ? [message] : []));
}
