// Keeps an open page up to date: the server says that something changed, the page is read again, and its parts
// that are live are replaced. Without this script a reload does the same.
"use strict";

const APART_MS = 700;
const AGAIN_MS = 15000;
const PENDING_MS = 2000;
const SETTLED_MS = 1200; // the server keeps most answers for a second
const TRIES = 10;

const body = document.body;
// What a refused form answers has an address that cannot be read: such pages name theirs.
const address = body.dataset.address || location.pathname + location.search;
let stream = null;
let again = 0;
let settled = 0;
let pending = 0;
let reading = false;
let owed = false;
let leaving = false;
let last = 0;
let known = 0; // up to which row of the log the process has learned that the stream hangs on
let tries = 0;

document.documentElement.classList.add("js");

function keepInputs(from, to) {
  for (const details of from.querySelectorAll("details[open][id]")) {
    const fresh = to.querySelector("#" + CSS.escape(details.id));
    if (fresh) fresh.open = true;
  }
  for (const input of from.querySelectorAll("input[id]:not([type=hidden])")) {
    const fresh = to.querySelector("#" + CSS.escape(input.id));
    if (fresh) fresh.value = input.value;
  }
  for (const box of from.querySelectorAll(".scroll[aria-label]")) {
    const fresh = to.querySelector('.scroll[aria-label="' + CSS.escape(box.getAttribute("aria-label")) + '"]');
    if (fresh && (box.scrollLeft || box.scrollTop)) {
      const left = box.scrollLeft, top = box.scrollTop; // behind the replacement, the old one knows no more
      requestAnimationFrame(() => fresh.scrollTo(left, top));
    }
  }
}

// Where the focus is, so that it can be put back: an id, or the place among what can be focused.
function focusIn(part) {
  const active = document.activeElement;
  if (!active || !part.contains(active)) return null;
  const all = [...part.querySelectorAll("a, button, input, select, summary, [tabindex]")];
  return { id: active.id, index: all.indexOf(active), start: active.selectionStart, end: active.selectionEnd };
}

function focusAgain(part, place) {
  if (!place) return;
  const all = [...part.querySelectorAll("a, button, input, select, summary, [tabindex]")];
  const found = (place.id && part.querySelector("#" + CSS.escape(place.id))) || all[place.index];
  if (!found) return;
  found.focus({ preventScroll: true });
  if (typeof place.start === "number" && found.setSelectionRange) found.setSelectionRange(place.start, place.end);
}

function replaceParts(fresh) {
  for (const part of document.querySelectorAll("[data-live][id]")) {
    const other = fresh.getElementById(part.id);
    if (!other || other.innerHTML === part.dataset.shown) continue;
    const shown = other.innerHTML;
    keepInputs(part, other);
    const place = focusIn(part);
    part.replaceChildren(...other.childNodes);
    part.dataset.shown = shown;
    focusAgain(part, place);
  }
  const news = document.getElementById("news");
  const told = fresh.getElementById("news");
  // Only what is new is put there: screen readers say it.
  if (news && told && news.textContent !== told.textContent) {
    news.textContent = told.textContent;
    news.classList.remove("changed");
    requestAnimationFrame(() => news.classList.add("changed"));
  }
  const foot = document.querySelector("footer p");
  const below = fresh.querySelector("footer p");
  if (foot && below) foot.replaceChildren(...below.childNodes);
}

async function readAgain() {
  if (leaving) return;
  if (reading) {
    owed = true;
    return;
  }
  reading = true;
  owed = false;
  let behind = true;
  try {
    await new Promise((done) => setTimeout(done, Math.max(0, last + APART_MS - Date.now())));
    last = Date.now();
    const answer = await fetch(address, { headers: { Accept: "text/html" }, redirect: "manual", cache: "no-store" });
    if (answer.type === "opaqueredirect") {
      leaving = true; // the session has ended
      location.replace(address);
      return;
    }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const later = answer.status === 202 || answer.status >= 500;
    if (!later && (answer.ok || answer.status === 404)) replaceParts(fresh);
    // Another process may have answered, which learns the same rows a moment later, or opens the bandit yet.
    behind = body.dataset.seq !== undefined && (later || Number(fresh.body.dataset.seq) < known);
  } catch {
    // The server is away: it is asked a few times, and the stream says when it is back.
  } finally {
    reading = false;
    if (owed) {
      readAgain();
    } else if (behind && tries < TRIES) {
      tries += 1;
      readAgain();
    } else if (!leaving) {
      awaitPending();
    }
  }
}

function hear(event) {
  known = Number(event.data);
  tries = 0;
}

function awaitPending() {
  clearTimeout(pending);
  if (document.querySelector("[data-pending]")) pending = setTimeout(readAgain, PENDING_MS);
}

function listen() {
  clearTimeout(again);
  if (stream || document.hidden || !body.dataset.events) return;
  stream = new EventSource(body.dataset.events);
  stream.addEventListener("hello", (event) => {
    document.documentElement.classList.add("on");
    hear(event);
    clearTimeout(settled);
    settled = setTimeout(readAgain, SETTLED_MS); // something may have changed before it was listened to
  });
  stream.addEventListener("change", (event) => {
    hear(event);
    readAgain();
  });
  stream.addEventListener("error", () => {
    document.documentElement.classList.remove("on");
    if (stream && stream.readyState === EventSource.CLOSED) {
      stream = null; // refused: there are too many, or the session has ended, which a look at the page tells
      readAgain();
      again = setTimeout(listen, AGAIN_MS);
    }
  });
}

function silence() {
  if (stream) stream.close();
  stream = null;
  document.documentElement.classList.remove("on");
}

// Browsers open few connections to one server: pages that nobody sees give theirs back.
document.addEventListener("visibilitychange", () => (document.hidden ? silence() : listen()));
addEventListener("pagehide", silence);
addEventListener("pageshow", () => {
  leaving = false;
  listen();
});

function fitForm() {
  const rule = document.getElementById("rule");
  if (!rule) return;
  const show = () => {
    for (const field of document.querySelectorAll("[data-rules]")) {
      field.hidden = !field.dataset.rules.split(" ").includes(rule.value);
    }
    const expires = document.getElementById("expires");
    if (rule.value === "freeze") expires.value = "never";
  };
  rule.addEventListener("change", show);
  show();
}

const failed = document.getElementById("error");
if (failed) failed.focus();
fitForm();
for (const part of document.querySelectorAll("[data-live][id]")) part.dataset.shown = part.innerHTML;
listen();
awaitPending();
