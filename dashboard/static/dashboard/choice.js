/** Which window is shown. It stands in the page's address, so that what one sees can be sent to someone. */

const form = document.getElementById("window");
const asOf = document.getElementById("as-of");
const hold = document.getElementById("hold");

/** The year is typed digit by digit, and each is a moment: a pause tells that it is done. */
const TYPING_MS = 400;
const EARLIEST = "1970";

/** The end of the window as chosen (ISO 8601), or null for now. Finer than the input, which shows seconds. */
let chosenEnd = null;
let typing;

/** The window as the API takes it. */
export function chosenWindow() {
  const hours = form.elements.hours.value;
  return chosenEnd ? { hours, as_of: chosenEnd } : { hours };
}

/** Calls `changed` whenever another window is chosen; `shownEnd` tells the end of the window that is on show. */
export function watchChoice({ changed, shownEnd }) {
  const choose = (end) => {
    clearTimeout(typing);
    chosenEnd = end;
    showChoice();
    changed();
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const radio of form.elements.hours) radio.addEventListener("change", () => choose(chosenEnd));
  asOf.addEventListener("change", () => {
    clearTimeout(typing);
    if (asOf.validity.badInput) return; // half of it is typed
    if (!asOf.value) {
      hold.focus();
      choose(null);
    } else if (asOf.value >= EARLIEST) {
      typing = setTimeout(() => choose(`${asOf.value}Z`), TYPING_MS);
    }
  });
  hold.addEventListener("click", () => {
    choose(chosenEnd ? null : shownEnd());
    if (chosenEnd) asOf.focus();
  });
}

/** Takes the choice from the page's address. */
export function readAddress() {
  const asked = new URLSearchParams(location.search);
  const windows = [...form.elements.hours];
  const named = windows.find((radio) => radio.value === asked.get("hours"));
  (named ?? windows.find((radio) => radio.defaultChecked)).checked = true;
  chosenEnd = asked.get("as_of") ? momentOf(asked.get("as_of")) : null;
  showChoice();
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

function showChoice() {
  complain("");
  const moment = new Date(chosenEnd ?? NaN);
  const end = Number.isNaN(moment.getTime()) ? "" : moment.toISOString().slice(0, 19);
  // Writing into the input takes a half-typed year away from who types it.
  if (document.activeElement !== asOf) asOf.value = end;
  asOf.parentElement.hidden = !chosenEnd;
  hold.textContent = chosenEnd ? "Back to now" : "Choose a moment";
  const address = new URL(location.href);
  address.searchParams.set("hours", form.elements.hours.value);
  if (chosenEnd) address.searchParams.set("as_of", chosenEnd);
  else address.searchParams.delete("as_of");
  history.replaceState(null, "", address);
}
