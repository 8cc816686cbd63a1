/** Asks for what the address names, shows the answer, and does so again while somebody looks. */

import { go, lead, ofCountry, onChange, view } from "./address.js";
import { ApiError, paths } from "./api.js";
import { chosenShape, chosenWindow, complain, showChoice, watchChoice, windowBetween } from "./choice.js";
import { focusCountries, showCountries } from "./countries.js";
import { element, say } from "./dom.js";
import { showExportLinks } from "./export_links.js";
import { average, count, countryName, date, share, time, zoneName } from "./format.js";
import { showExample } from "./ingest.js";
import { showMeasures } from "./measures.js";
import { allIsWell, nothingHere, outOfOrder, refused } from "./notice.js";
import { focusPlayer, offerPlayers, showPlayer } from "./player.js";
import { showPlot, watchZoom } from "./plot.js";
import { Refresh } from "./refresh.js";
import { Report } from "./report.js";
import { watchSignIn } from "./sign_in.js";
import { focusStarts, showStarts, startsPage } from "./starts.js";

const REFRESH_SECONDS = Number(document.body.dataset.refreshSeconds);
const RETRY_SECONDS = 5;
/** The service asks itself again so soon for what it is without some late starts. */
const LATE_SECONDS = 5;
/** After the service's own copy has run out; by chance, so that many open pages do not ask at the same moment. */
const afterItsCopy = () => 1 + 2 * Math.random();

/** Not the whole page: what is busy is not read out, and its notices must be. */
const numbers = document.querySelectorAll("#starts, #countries, #country");
const autoRefresh = document.getElementById("auto-refresh");
const everywhere = document.getElementById("everywhere");

const refresh = new Refresh(load);
let report = null;
let asking = new AbortController();

const chosenCountry = () => view().country?.toUpperCase() ?? null;

async function load() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const { cursor } = view();
  for (const section of numbers) section.setAttribute("aria-busy", "true");
  try {
    const asked = await Report.of(chosenWindow(), { country: chosenCountry(), shape: chosenShape(), signal });
    signal.addEventListener("abort", () => asked === report || asked.leave());
    const [byPart, page] = await Promise.all([asked.byPart(), asked.country && startsPage(asked, { cursor, signal })]);
    if (signal.aborted) return;
    show(asked, byPart);
    if (page) showStarts(asked, page, { cursor });
    showMeasures(asked, { signal });
    offerPlayers(asked, { signal });
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof ApiError)) throw error;
    await tellOf(error, { signal });
  }
  if (signal.aborted) return;
  for (const section of numbers) section.removeAttribute("aria-busy");
}

function show(asked, byPart) {
  report?.leave();
  report = asked;
  const { country, late, total } = report;
  const held = "as_of" in chosenWindow();
  showFigures(byPart);
  showPlot(byPart);
  showCountries(report);
  showLate(late);
  showExportLinks(document.querySelector("#starts .take"), paths.timeline(report.asked));
  if (total) allIsWell();
  else nothingHere({ hours: report.window.hours, held, country });
  const stands = held ? "fixed" : autoRefresh.checked ? `refreshed every ${REFRESH_SECONDS} s` : "auto-refresh off";
  showAge(stands);
  if (held || !autoRefresh.checked) refresh.stop();
  else refresh.after((late ? LATE_SECONDS : Math.max(0, REFRESH_SECONDS - report.ageSeconds)) + afterItsCopy());
}

function showFigures({ interval, starts }) {
  const { country, countries, ofAll, total, window } = report;
  const figures = {
    total: count(total),
    average: average(total / window.hours),
    busiest: count(Math.max(0, ...starts)),
    "of-busiest": `in the busiest ${interval}`,
    "number-of-countries": country ? share(total, ofAll) : count(countries.length),
    "of-countries": country ? "of all starts" : "countries",
  };
  for (const [id, figure] of Object.entries(figures)) document.getElementById(id).textContent = figure;
}

function showLate(late) {
  const words = late
    ? `Late sessions received since ${time(late.since)} are still being counted; ` +
      "some numbers are slightly low for up to a minute."
    : "";
  say(document.getElementById("late"), words);
}

async function tellOf(trouble, { signal }) {
  if (!trouble.passes) {
    showAge("out of date: the last request was rejected");
    if ("as_of" in chosenWindow()) refresh.stop();
    else refresh.after(REFRESH_SECONDS);
    complain(trouble.errors.some(({ pointer }) => pointer === "/as_of") ? trouble.words : "");
    if (trouble.status === 401) allIsWell(); // the form says it
    else refused(trouble);
    return;
  }
  refresh.after(RETRY_SECONDS);
  showAge(trouble.status ? "out of date: the last request failed" : "out of date: the service does not answer");
  await outOfOrder(trouble, { retrySeconds: RETRY_SECONDS, signal });
}

function showAge(remark) {
  const age = document.getElementById("age");
  if (!report) {
    age.textContent = "No data yet.";
    document.getElementById("plot").hidden = true;
    return;
  }
  const { as_of: end, hours } = report.window;
  const today = date(end).slice(0, -10) === date(Date.now()).slice(0, -10);
  const another = hours === Number(chosenWindow().hours) ? "" : `${hours} h `;
  age.replaceChildren(
    `${another}as of `,
    element("time", { datetime: end }, today ? time(end) : date(end)),
    ` ${zoneName()}, ${remark}`,
  );
}

/** What the address says without being asked: the choice, the headings, which part of the page is there, the title. */
function showView() {
  const { player, session, refresh: autoRefreshChoice } = view();
  const country = chosenCountry();
  const place = country && countryName(/^[A-Z]{2}$/.test(country) ? country : "ZZ");
  showChoice();
  say(document.getElementById("zone"), zoneName());
  autoRefresh.checked = autoRefreshChoice !== "off";
  say(document.getElementById("starts-title"), country ? `Sessions started in ${place}` : "Sessions started");
  everywhere.hidden = !country;
  document.getElementById("countries").hidden = Boolean(country);
  document.getElementById("country").hidden = !country;
  const who = player && (session ? `Session ${session.slice(0, 8)} of ${player}` : player);
  document.title = [who, place, "Player sessions"].filter(Boolean).join(" – ");
}

const differs = (now, before, ...names) => names.some((name) => now[name] !== before[name]);

onChange((now, before) => {
  showView();
  if (differs(now, before, "hours", "as_of", "interval", "compare", "tz", "country", "cursor", "refresh")) load();
  if (differs(now, before, "player", "state", "older", "session", "tz")) showPlayer();
  if (differs(now, before, "country")) now.country ? focusStarts() : focusCountries(before.country);
  else if (now.player && differs(now, before, "player", "session")) focusPlayer();
});
watchSignIn({ changed: () => [load(), showPlayer()] });
lead(everywhere, ofCountry(null));
watchChoice({ shownEnd: () => report?.window.as_of ?? new Date().toISOString() });
watchZoom((from, to) => go(windowBetween(from, Math.min(to, Date.parse(report.window.as_of)))));
autoRefresh.addEventListener("change", () => go({ refresh: autoRefresh.checked ? null : "off" }));
document.getElementById("refresh").addEventListener("click", load);
showView();
showExample();
showPlayer();
load();
