/** The reader's key: asked for when the service wants one, kept for this tab, and sent with every question.
 *  A service without keys has no form for it. */

import { say } from "./dom.js";

const STORED = "key";
const section = document.getElementById("sign-in");
const field = document.getElementById("key");
const signOut = document.getElementById("sign-out");

/** The header that a question needs; none while nobody has signed in. */
export function authorization() {
  const key = sessionStorage.getItem(STORED);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** Whether a key is there, be it valid or not. */
export const isSignedIn = () => sessionStorage.getItem(STORED) !== null;

/** Shows the form, and why; a key that was refused is forgotten. */
export function askForKey(why = "Reports are for those who have a key. It stays in this tab.") {
  if (!section) return;
  sessionStorage.removeItem(STORED);
  show();
  say(section.querySelector(".result"), why);
}

/** Calls back when the reader has signed in, or out. */
export function watchSignIn({ changed }) {
  if (!section) return;
  section.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(STORED, field.value.trim());
    event.target.reset();
    show();
    changed();
  });
  signOut.addEventListener("click", () => {
    askForKey("You have signed out.");
    changed();
  });
  show();
}

function show() {
  section.hidden = isSignedIn();
  signOut.hidden = !isSignedIn();
}
