/** What is shown, to be taken along: as a file for a spreadsheet, or as the command that asks for the same. */

import { ApiError, download } from "./api.js";
import { element } from "./dom.js";
import { isSignedIn } from "./sign_in.js";

/** Puts both into a place; `path` is the address of the report, and whether it also comes as CSV. */
export function showExportLinks(place, path, { csv = true } = {}) {
  const address = new URL(path, document.baseURI).href;
  if (place.dataset.address === address) return; // the command may be selected
  place.dataset.address = address;
  const key = isSignedIn() ? '-H "Authorization: Bearer $KEY" ' : "";
  const command = element("code", { class: "command", tabindex: 0, hidden: "" }, `curl ${key}'${address}'`);
  const copy = element("button", { type: "button" }, "Copy as curl");
  copy.addEventListener("click", () => copied(command, copy));
  place.replaceChildren(...(csv ? [fileLink(`${address}&format=csv`)] : []), copy, command);
  place.hidden = false;
}

/** Of a reader who has signed in the page fetches the file: a link alone sends no key. */
function fileLink(address) {
  const link = element("a", { class: "button", href: address, download: "" }, "CSV");
  link.addEventListener("click", (event) => {
    if (!isSignedIn()) return;
    event.preventDefault();
    link.parentElement.querySelector("[role=alert]")?.remove();
    download(address).catch((error) => {
      if (!(error instanceof ApiError)) throw error;
      link.after(element("span", { class: "muted", role: "alert" }, error.words));
    });
  });
  return link;
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
