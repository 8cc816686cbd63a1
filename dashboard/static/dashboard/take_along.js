/** What is shown, to be taken along: as a file for a spreadsheet, or as the command that asks for the same. */

import { element } from "./dom.js";

/** Puts both into a place; `path` is the address of the report, and whether it also comes as CSV. */
export function takeAlong(place, path, { csv = true } = {}) {
  const address = new URL(path, document.baseURI).href;
  if (place.dataset.address === address) return; // the command may be selected
  place.dataset.address = address;
  const command = element("code", { class: "command", tabindex: 0, hidden: "" }, `curl '${address}'`);
  const copy = element("button", { type: "button" }, "Copy as curl");
  copy.addEventListener("click", () => copied(command, copy));
  const file = csv ? [element("a", { class: "button", href: `${address}&format=csv`, download: "" }, "CSV")] : [];
  place.replaceChildren(...file, copy, command);
  place.hidden = false;
}

/** Where the page does not come by https, browsers lend no clipboard: there the command is selected, to be copied. */
async function copied(command, button) {
  command.hidden = false;
  getSelection().selectAllChildren(command);
  try {
    await navigator.clipboard.writeText(command.textContent);
    button.textContent = "Copied as curl";
  } catch {
    button.textContent = "Copy the command";
  }
}
