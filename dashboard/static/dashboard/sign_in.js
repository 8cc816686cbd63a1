/** The reader's key: asked for when the service wants one, kept for this tab, and sent with every question.
 *  A service without keys has no form for it. */

import { say } from "./dom.js";

const STORED = "key";
const section = document.getElementById("sign-in");
const field = document.getElementById("key");
const signOut = document.getElementById("sign-out");

/** The key, valid or not; null while nobody has signed in. Where browsers may store nothing, a reload forgets it. */
let key = storedKey();

function storedKey() {
  try {
    return sessionStorage.getItem(STORED);
  } catch {
    return null;
  }
}

function storeKey(text) {
  key = text;
  try {
    if (text === null) sessionStorage.removeItem(STORED);
    else sessionStorage.setItem(STORED, text);
  } catch {
    // It is kept in `key`.
  }
}

/** The header that a question needs; none while nobody has signed in. */
export const authorization = () => (key ? { Authorization: `Bearer ${key}` } : {});

export const isSignedIn = () => key !== null;

/** Shows the form, and why; a key that was refused is forgotten. */
export function askForKey(why = "Enter your key to see the reports. It is kept in this tab only.") {
  if (!section) return;
  storeKey(null);
  show();
  say(section.querySelector(".result"), why);
}

/** Calls back when the reader has signed in, or out. */
export function watchSignIn({ changed }) {
  if (!section) return;
  section.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    storeKey(field.value.trim());
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
