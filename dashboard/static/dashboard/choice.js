/** Which window is shown. It stands in the page's address, so that what one sees can be sent to someone. */

const form = document.getElementById("window");
const asOf = document.getElementById("as-of");
const hold = document.getElementById("hold");

/** The end of the window as chosen (ISO 8601), or null for now. Finer than the input, which shows seconds. */
let chosenEnd = null;

/** The window as the API takes it. */
export function chosenWindow() {
  const hours = form.elements.hours.value;
  return chosenEnd ? { hours, as_of: chosenEnd } : { hours };
}

/** Calls `changed` whenever another window is chosen; `shownEnd` tells the end of the window that is on show. */
export function watchChoice({ changed, shownEnd }) {
  const choose = (end) => {
    chosenEnd = end;
    showChoice();
    changed();
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const radio of form.elements.hours) radio.addEventListener("change", () => choose(chosenEnd));
  asOf.addEventListener("change", () => {
    const end = asOf.value ? `${asOf.value}Z` : null;
    if (end && Number.isNaN(Date.parse(end))) complain("Write a year of four digits.");
    else choose(end);
  });
  hold.addEventListener("click", () => {
    choose(chosenEnd ? null : shownEnd());
    if (chosenEnd) asOf.focus();
  });
}

/** Takes the choice from the page's address. */
export function readAddress() {
  const asked = new URLSearchParams(location.search);
  for (const radio of form.elements.hours) radio.checked ||= radio.value === asked.get("hours");
  const end = asked.get("as_of") ?? "";
  // To the API a moment without an offset is UTC, to the browser it would be here.
  const inUtc = /(Z|[+-]\d\d:?\d\d)$/i.test(end) ? end : `${end}Z`;
  chosenEnd = Number.isNaN(Date.parse(inUtc)) ? null : inUtc;
  showChoice();
}

/** Says beside the input what is wrong with it, or nothing. */
export function complain(message) {
  asOf.setCustomValidity(message);
  asOf.setAttribute("aria-invalid", String(message !== ""));
}

function showChoice() {
  complain("");
  const end = chosenEnd ? new Date(chosenEnd).toISOString().slice(0, 19) : "";
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
