/** Asks for the chosen window, shows the answer, and does so again while somebody looks. */

import { Trouble } from "./api.js";
import { chosenWindow, complain, readAddress, watchChoice } from "./choice.js";
import { showCountries } from "./countries.js";
import { element } from "./dom.js";
import { average, count, date, time } from "./format.js";
import { showExample } from "./ingest.js";
import { allIsWell, nothingHere, outOfOrder, refused } from "./notice.js";
import { offerPlayers, readPlayerFromAddress } from "./player.js";
import { showPlot } from "./plot.js";
import { Refresh } from "./refresh.js";
import { Report } from "./report.js";
import { watchSignIn } from "./sign_in.js";

const REFRESH_SECONDS = Number(document.body.dataset.refreshSeconds);
const RETRY_SECONDS = 5;
/** After the service's own copy has run out; by chance, so that many open pages do not ask at the same moment. */
const afterItsCopy = () => 1 + 2 * Math.random();

/** Not the whole page: what is busy is not read out, and its notices must be. */
const numbers = document.querySelectorAll("#starts, #countries");

const refresh = new Refresh(load);
let report = null;
let asking = new AbortController();

async function load() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  for (const section of numbers) section.setAttribute("aria-busy", "true");
  try {
    const asked = await Report.of(chosenWindow(), { signal });
    signal.addEventListener("abort", () => asked === report || asked.leave());
    const byHour = await asked.byHour();
    if (signal.aborted) return;
    show(asked, byHour);
    offerPlayers(asked, { signal });
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Trouble)) throw error;
    await tellOf(error, { signal });
  }
  if (signal.aborted) return;
  for (const section of numbers) section.removeAttribute("aria-busy");
}

function show(asked, byHour) {
  report?.leave();
  report = asked;
  const held = "as_of" in chosenWindow();
  showFigures(byHour.starts);
  showPlot(byHour);
  showCountries(report);
  if (report.total) allIsWell();
  else nothingHere({ hours: report.window.hours, held });
  showAge(held ? "held" : `refreshed every ${REFRESH_SECONDS} s`);
  if (held) refresh.stop();
  else refresh.after(Math.max(0, REFRESH_SECONDS - report.ageSeconds) + afterItsCopy());
}

function showFigures(starts) {
  const figures = {
    total: count(report.total),
    average: average(report.total / report.window.hours),
    // An hour's window has parts of two hours of the clock.
    busiest: count(report.window.hours === 1 ? report.total : Math.max(0, ...starts)),
    "number-of-countries": count(report.countries.length),
  };
  for (const [id, figure] of Object.entries(figures)) document.getElementById(id).textContent = figure;
}

async function tellOf(trouble, { signal }) {
  if (!trouble.passes) {
    showAge("old: the last question was refused");
    if ("as_of" in chosenWindow()) refresh.stop();
    else refresh.after(REFRESH_SECONDS);
    complain(trouble.message);
    if (trouble.status === 401) allIsWell(); // the form says it
    else refused(trouble);
    return;
  }
  refresh.after(RETRY_SECONDS);
  showAge(trouble.status ? "old: the service could not serve the last question" : "old: the service does not answer");
  await outOfOrder(trouble, { retrySeconds: RETRY_SECONDS, signal });
}

function showAge(remark) {
  const age = document.getElementById("age");
  if (!report) {
    age.textContent = "No numbers yet.";
    document.getElementById("plot").hidden = true;
    return;
  }
  const { as_of: end, hours } = report.window;
  const today = end.slice(0, 10) === new Date().toISOString().slice(0, 10);
  const another = hours === Number(chosenWindow().hours) ? "" : `${hours} h `;
  age.replaceChildren(
    `${another}as of `,
    element("time", { datetime: end }, today ? time(end) : date(end)),
    ` UTC, ${remark}`,
  );
}

readAddress();
addEventListener("popstate", () => {
  readAddress();
  load();
});
watchChoice({ changed: load, shownEnd: () => report?.window.as_of ?? new Date().toISOString() });
watchSignIn({ changed: load });
showExample();
readPlayerFromAddress();
load();
