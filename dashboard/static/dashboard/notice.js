/** The one place that says what is wrong and what to do; it says nothing while nothing changes. */

import { whatIsMissing } from "./api.js";
import { element, withCode } from "./dom.js";

const place = document.getElementById("notice");

export function allIsWell() {
  show("", "", "");
}

export function nothingHere({ hours, held }) {
  const words = hours === 1 ? "hour" : hours % 24 ? `${hours} hours` : hours === 24 ? "24 hours" : `${hours / 24} days`;
  const which = held ? (hours === 1 ? "this" : "these") : "the last";
  const longer = hours < 720 || held ? ` in ${which} ${words}` : " yet";
  const choose = longer === " yet" ? "Send" : "Choose another window, send";
  show("calm", `No sessions${longer}.`, `${choose} a batch below, or run \`make demo\`.`);
}

/** The service does not serve: why, as far as it knows, and what to do. */
export async function outOfOrder(trouble, { retrySeconds, signal }) {
  const again = `This page tries again every ${retrySeconds} s.`;
  try {
    const missing = await whatIsMissing({ signal });
    if (missing === null) show("trouble", trouble.message, again);
    else show("trouble", `${missing}.`, `${adviceOn(missing)} ${again}`);
  } catch {
    if (signal.aborted) return;
    show("trouble", "The service does not answer.", `Start it with \`make run\`. ${again}`);
  }
}

/** The question was wrong, such as a moment in the future. */
export function refused(trouble) {
  show("trouble", trouble.message, trouble.errors.map((error) => error.detail).join(" "));
}

function adviceOn(missing) {
  // Of the tables it says itself what to do.
  if (missing.includes("sync_cassandra")) return "";
  return "Start it with `make up`, or name one that runs in `CASSANDRA_HOSTS`.";
}

function show(kind, what, todo) {
  const said = `${kind} ${what} ${todo}`;
  if (place.dataset.said === said) return;
  place.dataset.said = said;
  const message = element("p", { class: `notice ${kind}` }, element("strong", {}, what), " ", ...withCode(todo));
  place.replaceChildren(...(what ? [message] : []));
}
