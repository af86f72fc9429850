// Everything that only reads works without this file. It copies sentences, keeps the banks' ages live, and loads what is slow.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    button.classList.add("done");
  });
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

// A bank's card: its age counts up, and its label and edge follow the age. Returns a function that takes what the server
// says now; without an argument, the server cannot tell.
function liveBank(card, units) {
  const age = card.querySelector(".age-now"), tag = card.querySelector("h2 .tag");
  let last = null, saidAt = 0;
  const show = () => {
    // Without news for longer, it is the page that is old and not what the bank said.
    const nowMs = last?.staleness_ms == null ? null : last.staleness_ms + Math.min(performance.now() - saidAt, 10000);
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
  // The server's words stay until its first news.
  setInterval(() => { if (saidAt) show(); }, 1000);
  return (said) => { last = said ?? null; saidAt = performance.now(); show(); };
}

for (const place of document.querySelectorAll("[data-load]")) {
  fetch(place.dataset.load, { credentials: "same-origin" }).then(async (answer) => {
    if (!answer.ok) return;
    const loaded = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(place.id);
    if (loaded) place.replaceChildren(...loaded.childNodes);
  });
}

for (const place of document.querySelectorAll("[data-stream]")) {
  const banks = new Map();
  for (const card of place.querySelectorAll("[data-bank]")) banks.set(card.dataset.bank, liveBank(card, place.dataset));
  const stream = new EventSource(place.dataset.stream);
  stream.addEventListener("banks", (message) => {
    const said = JSON.parse(message.data);
    for (const [bic, tell] of banks) tell(said[bic]);
  });
  stream.addEventListener("end", () => { stream.close(); location.reload(); });
}
