/** What is on show, as the page's address says it: Back and Forward walk it, and a link shows it to someone else. */

import { element } from "./dom.js";

/** Each is a text, or null. The cursors are the API's: of the country's starts, and of the player's sessions. */
const NAMES = [
  ...["hours", "as_of", "interval", "compare", "tz", "country", "cursor"],
  ...["player", "state", "older", "session", "refresh"],
];

const listeners = [];
let shown = read();

function read() {
  const asked = new URLSearchParams(location.search);
  return Object.fromEntries(NAMES.map((name) => [name, asked.get(name)?.trim() || null]));
}

export const view = () => shown;

/** The address of what is on show with some changes; null takes a name out. */
export function hrefOf(changes) {
  const named = Object.entries({ ...shown, ...changes }).filter(([, value]) => value !== null);
  return `?${new URLSearchParams(named)}`;
}

/** Calls `listener(now, before)` whenever something else is to be shown. */
export const onChange = (listener) => listeners.push(listener);

export function go(changes) {
  history.pushState(null, "", hrefOf(changes));
  tell();
}

function tell() {
  const before = shown;
  shown = read();
  for (const listener of listeners) listener(shown, before);
}

addEventListener("popstate", tell);

/** Has a link lead to a change of what is on show. With a key or another button it is the browser's, as any link. */
export function lead(link, changes) {
  const renew = () => (link.href = hrefOf(changes));
  renew();
  // Something else may be on show by now than when the link was made.
  for (const before of ["pointerdown", "focus"]) link.addEventListener(before, renew);
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(changes);
  });
  return link;
}

/** A link that leads to a change of what is on show. */
export const linkTo = (changes, attributes, ...children) => lead(element("a", attributes, ...children), changes);

/** What leads to a player, or to one of its sessions. */
export const ofPlayer = (player, session = null) => ({ player, session, state: "all", older: null });
/** What leads to a country; null: to all. */
export const ofCountry = (country) => ({ country, cursor: null });
