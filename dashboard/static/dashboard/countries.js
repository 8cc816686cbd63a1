/** The table of countries, each with its hours in small. */

import { linkTo, ofCountry } from "./address.js";
import { paths } from "./api.js";
import { element } from "./dom.js";
import { showExportLinks } from "./export_links.js";
import { HOUR_MS, count, countryName, share } from "./format.js";
import { sparkline } from "./sparkline.js";

/** As many as one takes in at a glance; the button shows the rest. */
const FIRST_ROWS = 10;

const section = document.getElementById("countries");
const body = section.querySelector("tbody");
const more = section.querySelector(".more");
const search = document.getElementById("search");
const sorts = section.querySelectorAll(".sort");

/** How the rows may be ordered, each as a first press has it; a second press turns it round. */
const ORDERS = {
  name: { compare: byName, first: "ascending" },
  starts: { compare: (one, other) => one.starts - other.starts, first: "descending" },
};
function byName({ country: one }, { country: other }) {
  return countryName(one).localeCompare(countryName(other));
}
const TURNED = { ascending: "descending", descending: "ascending" };

/** A drawing for which there was no answer is tried again, while its row is in sight. */
const RETRY_MS = 5_000;

let report = null;
let all = false;
let order = { by: "starts", direction: "descending" };

export function showCountries(shownReport) {
  // A drawing of the report before stays until there is a new one, unless it is of another window.
  if (!(report && movesOn(report.window, shownReport.window))) body.querySelectorAll("svg").forEach((svg) => svg.remove());
  report = shownReport;
  showExportLinks(section.querySelector(".take"), paths.countries(report.window));
  show();
}

/** Whether a window is the one before, a little later: as after a refresh, not when another moment was chosen. */
const movesOn = (before, now) =>
  before.hours === now.hours && Math.abs(Date.parse(now.as_of) - Date.parse(before.as_of)) < HOUR_MS;

function show() {
  const found = sorted(report.countries).filter(({ country }) => matches(country, search.value.trim().toLowerCase()));
  const countries = all || search.value.trim() ? found : found.slice(0, FIRST_ROWS);
  const focused = document.activeElement?.closest?.("tr")?.dataset.country;
  drawnWhenSeen.disconnect();
  body.replaceChildren(...(countries.length ? countries.map(row) : [nobody()]));
  search.form.hidden = report.countries.length <= FIRST_ROWS;
  more.hidden = report.countries.length <= FIRST_ROWS || search.value.trim() !== "";
  more.textContent = all ? `Show the first ${FIRST_ROWS}` : `Show all ${report.countries.length} countries`;
  more.setAttribute("aria-expanded", String(all));
  if (focused) focusCountry(focused);
}

function sorted(countries) {
  const turn = order.direction === "ascending" ? 1 : -1;
  return [...countries].sort((one, other) => turn * ORDERS[order.by].compare(one, other));
}

function sortBy(by) {
  order = { by, direction: order.by === by ? TURNED[order.direction] : ORDERS[by].first };
  for (const { dataset, parentElement: head } of sorts) {
    if (dataset.by === by) head.setAttribute("aria-sort", order.direction);
    else head.removeAttribute("aria-sort");
  }
  if (report) show();
}

/** To stand where one came from, or at the top. */
export function focusCountries(country) {
  const link = body.querySelector(`[data-country="${CSS.escape(country)}"] a`);
  (link ?? section).focus();
}

/** Who stands on a country's link still stands there after a refresh, or beside it, and sees what one saw. */
function focusCountry(country) {
  const link = body.querySelector(`[data-country="${CSS.escape(country)}"] a`);
  const beside = more.hidden ? body.querySelector("a") : more;
  (link ?? beside)?.focus({ preventScroll: true });
}

const matches = (country, text) =>
  country.toLowerCase().startsWith(text) || countryName(country).toLowerCase().includes(text);

const nobody = () => element("tr", {}, element("td", { colspan: 4, class: "muted" }, "No sessions in this window"));

function row({ country, starts }) {
  const before = body.querySelector(`[data-country="${CSS.escape(country)}"] svg`) ?? "";
  const trend = element("td", { class: "trend" }, before);
  const made = element(
    "tr",
    { "data-country": country },
    nameCell(country),
    element("td", { class: "number" }, count(starts)),
    element("td", { class: "number muted" }, share(starts, report.ofAll)),
    trend,
  );
  drawnWhenSeen.observe(trend);
  return made;
}

/** Its name, which leads to the country's own view, and its code, unless the name is no more than that. */
function nameCell(country) {
  const name = countryName(country);
  const code = name === country ? "" : element("span", { class: "code" }, country);
  return element("th", { scope: "row" }, linkTo(ofCountry(country), {}, name), code);
}

/** A country's hours are asked for only when its row comes into sight: there may be two hundred. */
const drawnWhenSeen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    drawnWhenSeen.unobserve(target);
    drawTrend(target);
  }
});

async function drawTrend(cell) {
  const { country } = cell.closest("tr").dataset;
  try {
    const points = await report.timelineOf(country);
    if (points) cell.replaceChildren(sparkline(points, report.shape.interval));
  } catch {
    // The report was replaced meanwhile, or the store is unavailable, which the notice at the top says.
    setTimeout(() => cell.isConnected && drawnWhenSeen.observe(cell), RETRY_MS);
  }
}

more.addEventListener("click", () => {
  all = !all;
  show();
});
for (const button of sorts) button.addEventListener("click", () => sortBy(button.dataset.by));
search.addEventListener("input", show);
search.form.addEventListener("submit", (event) => event.preventDefault());
