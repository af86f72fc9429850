// Everything that only reads works without this file. It copies sentences, keeps the banks' ages live, loads what is slow, sends
// a form once per double click, and keeps what was typed into a form that did nothing.
"use strict";

const copies = document.querySelectorAll("[data-copy]");
for (const button of copies) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    for (const each of copies) each.classList.toggle("done", each === button);
  });
}

// A second click while the answer is on its way would do an act again, and its answer hide the first one's: "lifted before".
// A search may be sent again: with another text.
const ANSWERED_MS = 30000;
const sent = new Map();
function answered(form) {
  clearTimeout(sent.get(form));
  sent.delete(form);
  form.removeAttribute("aria-busy");
}
let sentTo = null;
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (sent.has(form)) event.preventDefault();
  else if (form.getAttribute("role") !== "search") {
    sentTo = form.getAttribute("action");
    form.setAttribute("aria-busy", "true");
    sent.set(form, setTimeout(() => answered(form), ANSWERED_MS));
  }
});
// The page is shown again, as after Back.
addEventListener("pageshow", () => { for (const form of sent.keys()) answered(form); });

// What was typed is there again when its page is: after the session or the network was gone, after Back, a reload or another
// language. In this tab alone, for the same person, until they sign out. A search is not kept: it may be an account number.
const TYPED = "standing-typed";
const person = document.querySelector("[data-person]")?.dataset.person; // nobody on a sign-in page or an error
addEventListener("pagehide", () => {
  if (!person) return;
  const forms = Array.from(document.querySelectorAll("main form:not([role=search])"), (form) => ({
    action: form.getAttribute("action"),
    fields: Array.from(form.querySelectorAll("input:not([type=hidden])"), (field) => [field.name, field.value]),
  })).filter((form) => form.fields.some(([, text]) => text));
  if (sentTo?.endsWith("/sign-out")) sessionStorage.removeItem(TYPED);
  else if (forms.length) sessionStorage.setItem(TYPED, JSON.stringify({ person, sentTo, forms }));
});
const typed = person && JSON.parse(sessionStorage.getItem(TYPED));
if (typed) {
  const done = document.querySelector("main [role=status]") ? typed.sentTo : null;
  const here = new Map(Array.from(document.forms, (form) => [form.getAttribute("action"), form]));
  if (typed.person !== person || typed.forms.some((each) => here.has(each.action))) sessionStorage.removeItem(TYPED);
  for (const { action, fields } of typed.person === person ? typed.forms : []) {
    const form = action === done ? null : here.get(action);
    if (!form) continue;
    for (const [name, text] of fields) form.elements.namedItem(name).value ||= text;
    form.closest("details")?.setAttribute("open", "");
  }
}

// A duration in whole units, at most two of them, as the server writes it. `units` holds each unit's text around a "#".
function span(durationMs, units) {
  let left = Math.floor(Math.abs(durationMs) / 1000);
  const parts = [];
  for (const [unit, size] of [["unitD", 86400], ["unitH", 3600], ["unitMin", 60], ["unitS", 1]]) {
    const count = Math.floor(left / size);
    left %= size;
    if (count || (unit === "unitS" && !parts.length)) parts.push(units[unit].replace("#", count));
    else if (parts.length) break;
    if (parts.length === 2) break;
  }
  return (durationMs <= -1000 ? "−" : "") + parts.join(" ");
}

// Without news for this long, a page is old, and what it showed is no longer known.
const OLD_MS = 10000;

// A bank's card: its age counts up, and its label and edge follow the age. Returns a function that takes what the server
// says now; without an argument, the server cannot tell.
function liveBank(card, units) {
  const age = card.querySelector(".age-now"), tag = card.querySelector("h2 .tag");
  let news, saidAt = performance.now(); // the server's words stay until its first news, or until they are old
  const show = () => {
    const since = performance.now() - saidAt;
    if (news === undefined && since <= OLD_MS) return;
    const last = since <= OLD_MS ? news : null;
    const nowMs = last?.staleness_ms == null ? null : last.staleness_ms + since;
    const good = last?.within_widest_bound && nowMs <= Number(card.dataset.bound);
    const state = !last ? "unknown" : last.suspended ? "suspended" : good ? "good" : "silent";
    const colour = state === "suspended" || state === "silent" ? "blocked" : state;
    age.textContent = nowMs !== null ? span(nowMs, units) : last ? card.dataset.none : card.dataset.unknown;
    age.classList.toggle("late", state === "silent" && nowMs !== null);
    card.className = `card ${colour}-edge`;
    tag.className = `tag ${colour}`;
    tag.hidden = state === "unknown";
    tag.textContent = tag.dataset[state] ?? "";
  };
  setInterval(show, 1000);
  return (said) => { news = said ?? null; saidAt = performance.now(); show(); };
}

for (const place of document.querySelectorAll("[data-load]")) {
  fetch(place.dataset.load, { credentials: "same-origin" }).then(async (answer) => {
    if (!answer.ok) return;
    const loaded = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(place.id);
    if (loaded) place.replaceChildren(...loaded.childNodes);
  }).catch(() => {}); // the connection was lost: the page's own button remains
}

// Opens a place's stream, and opens it again where nothing has come for long: a refusal by the server or a proxy is final
// for the browser, and a connection that was lost while the computer slept is not noticed.
function listen(address, banks) {
  const stream = new EventSource(address);
  let heardAt = performance.now();
  stream.addEventListener("banks", (message) => {
    heardAt = performance.now();
    const said = JSON.parse(message.data);
    for (const [bic, tell] of banks) tell(said[bic]);
  });
  stream.addEventListener("end", () => { stream.close(); location.reload(); });
  const watch = setInterval(() => {
    if (performance.now() - heardAt <= OLD_MS) return;
    clearInterval(watch);
    stream.close();
    listen(address, banks);
  }, 1000);
}

for (const place of document.querySelectorAll("[data-stream]")) {
  const banks = new Map();
  for (const card of place.querySelectorAll("[data-bank]")) banks.set(card.dataset.bank, liveBank(card, place.dataset));
  listen(place.dataset.stream, banks);
}
