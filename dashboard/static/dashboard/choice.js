/** Which window is shown, how many hours up to which moment, and how: by which parts, in which zone, beside what. */

import { go, view } from "./address.js";
import { element } from "./dom.js";
import { HOUR_MS, UTC, useZone } from "./format.js";

const form = document.getElementById("window");
const anyHours = document.getElementById("any-hours");
const asOf = document.getElementById("as-of");
const begin = document.getElementById("begin");
const hold = document.getElementById("hold");
const shape = document.getElementById("shape");
const zones = document.getElementById("zones");

/** The year is typed digit by digit, and each is a moment: a pause tells that it is done. */
const TYPING_MS = 400;
const EARLIEST = "1970";
const HOURS = /^[1-9]\d{0,3}$/;

/** The parts that fit a window of up to so many hours. */
const FITTING = [[2, "minute"], [8 * 24, "hour"], [120 * 24, "day"], [Infinity, "week"]];
/** Under this name the browser remembers the zone. */
const ZONE = "tz";

let typing;

/** The window as the API takes it: its hours, and its end (ISO 8601) if it is not now. Finer than the input. */
export function chosenWindow() {
  const { hours, as_of: end } = view();
  const window = { hours: HOURS.test(hours) ? hours : form.dataset.hours };
  return end ? { ...window, as_of: momentOf(end) } : window;
}

/** How the window is shown, as the API takes it. */
export function chosenShape() {
  const { interval, compare, tz } = view();
  const hours = Number(chosenWindow().hours);
  const [, fitting] = FITTING.find(([most]) => hours <= most);
  return { interval: interval ?? fitting, tz: tz ?? rememberedZone(), ...(compare && { compare }) };
}

/** Browsers may be told to remember nothing. */
function rememberedZone() {
  try {
    return localStorage.getItem(ZONE) ?? UTC;
  } catch {
    return UTC;
  }
}

function rememberZone(name) {
  try {
    localStorage.setItem(ZONE, name);
  } catch {
    // It stands in the address.
  }
}

/** A window of whole hours between two moments (ms), as the address has it. */
export function windowBetween(from, to) {
  const hours = Math.max(1, Math.ceil((to - from) / HOUR_MS));
  return { hours: String(hours), as_of: new Date(to).toISOString(), cursor: null };
}

/** `shownEnd` tells the end of the window that is on show. */
export function watchChoice({ shownEnd }) {
  const choose = (changes) => {
    clearTimeout(typing);
    go({ ...changes, cursor: null }); // pages are of one window
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const radio of form.elements.hours) radio.addEventListener("change", () => choose({ hours: radio.value }));
  anyHours.addEventListener("change", () => {
    if (anyHours.value && anyHours.checkValidity()) choose({ hours: String(Number(anyHours.value)) });
    else anyHours.reportValidity();
  });
  asOf.addEventListener("change", () => {
    clearTimeout(typing);
    if (asOf.validity.badInput) return; // half of it is typed
    if (!asOf.value) {
      hold.focus();
      choose({ as_of: null });
    } else if (asOf.value >= EARLIEST) {
      typing = setTimeout(() => choose({ as_of: `${asOf.value}Z` }), TYPING_MS);
    }
  });
  begin.addEventListener("change", () => {
    const [from, to] = [Date.parse(`${begin.value}Z`), Date.parse(shownEnd())];
    if (from < to) choose(windowBetween(from, to));
  });
  shape.addEventListener("submit", (event) => event.preventDefault());
  for (const name of ["interval", "compare"]) {
    shape.elements[name].addEventListener("change", ({ target }) => choose({ [name]: target.value || null }));
  }
  shape.elements.tz.addEventListener("change", ({ target }) => {
    const tz = target.value.trim() || UTC;
    if (useZone(tz)) rememberZone(tz);
    choose({ tz });
  });
  shape.elements.tz.addEventListener("focus", listZones, { once: true });
  hold.addEventListener("click", () => {
    choose({ as_of: view().as_of ? null : shownEnd() });
    if (view().as_of) asOf.focus();
  });
}

/** The zones that the browser knows, the reader's own first. */
function listZones() {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const names = [...new Set([UTC, own, ...(Intl.supportedValuesOf?.("timeZone") ?? [])])];
  zones.replaceChildren(...names.map((value) => element("option", { value })));
}

/** A day, a time, and the offset of the time if there is one; its + may have become a blank on its way. */
const MOMENT = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)(?:([+ -]\d\d)(?::?(\d\d))?|Z)?$/i;

/** A moment of the API in the form that browsers read: without an offset it is UTC. What is none stays as it is. */
function momentOf(text) {
  const [, day, clock, hours, minutes = "00"] = MOMENT.exec(text) ?? [];
  if (!day) return text;
  const offset = hours ? `${hours.replace(" ", "+")}:${minutes}` : "Z";
  return `${day}T${clock.replace(",", ".")}${offset}`;
}

/** Says beside the input what is wrong with it, or nothing. */
export function complain(message) {
  asOf.setCustomValidity(message);
  asOf.setAttribute("aria-invalid", String(message !== ""));
}

/** Shows the choice that the address has. */
export function showChoice() {
  complain("");
  const { hours, as_of: chosenEnd } = chosenWindow();
  for (const radio of form.elements.hours) radio.checked = radio.value === hours;
  // Writing into an input takes away what somebody is typing.
  if (document.activeElement !== anyHours) anyHours.value = hours;
  const end = Date.parse(chosenEnd ?? "");
  if (document.activeElement !== asOf) asOf.value = inInput(end);
  if (document.activeElement !== begin) begin.value = inInput(end - hours * HOUR_MS);
  for (const input of [asOf, begin]) input.parentElement.hidden = !chosenEnd;
  hold.textContent = chosenEnd ? "Back to now" : "Pick a time";
  const { tz } = chosenShape();
  shape.elements.interval.value = view().interval ?? "";
  shape.elements.compare.value = view().compare ?? "";
  if (document.activeElement !== shape.elements.tz) shape.elements.tz.value = tz;
  if (!useZone(tz)) useZone(UTC); // the service says what is wrong with it
}

/** A moment (ms) as an input of UTC takes it; none is empty. */
const inInput = (ms) => (Number.isNaN(ms) ? "" : new Date(ms).toISOString().slice(0, 19));
