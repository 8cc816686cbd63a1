/** Every start session of the country that is on show, newest first, in pages. */

import { linkTo, ofPlayer } from "./address.js";
import { cursorOf, paths, startsOfCountry } from "./api.js";
import { element, say } from "./dom.js";
import { showExportLinks } from "./export_links.js";
import { count, countryName, moment } from "./format.js";

const ROWS = 20;

const section = document.getElementById("country");
const pages = section.querySelector(".pages");

/** The page of a report's country that begins at a cursor, or the first. */
export async function startsPage({ country, window }, { cursor, signal }) {
  const { body } = await startsOfCountry(country, { ...window, limit: ROWS, ...(cursor && { cursor }) }, { signal });
  return body;
}

/** Shows what `startsPage` gives. */
export function showStarts({ country, window }, { starts, results, next }, { cursor }) {
  say(section.querySelector("h2"), `Every session started in ${countryName(country)}`);
  const shown = results.length < starts ? `${results.length} of ${count(starts)}` : count(starts);
  const summary = starts ? `${shown}, newest first, up to ${moment(window.as_of)}` : "No sessions in this window";
  say(section.querySelector(".summary"), summary);
  section.querySelector("tbody").replaceChildren(...results.map(row));
  section.querySelector("table").hidden = results.length === 0;
  const links = [
    ...(cursor ? [linkTo({ cursor: null }, {}, "First page")] : []),
    // A page is of one window, so that its end is held.
    ...(next ? [linkTo({ cursor: cursorOf(next), as_of: window.as_of }, { rel: "next" }, "Next page")] : []),
  ];
  pages.replaceChildren(...links);
  pages.hidden = links.length === 0;
  showExportLinks(section.querySelector(".take"), paths.country(country, window));
}

export const focusStarts = () => section.focus();

function row({ session_id: session, player_id: player, ts }) {
  return element(
    "tr",
    {},
    element("td", {}, moment(ts)),
    element("td", { class: "player" }, linkTo(ofPlayer(player), {}, player)),
    element("td", {}, linkTo(ofPlayer(player, session), { title: session }, element("code", {}, session.slice(0, 8)))),
  );
}
