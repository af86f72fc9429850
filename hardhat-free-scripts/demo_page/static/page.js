// Shows what the stream says, and sends what is clicked. Everything is set as text.
"use strict";

const $ = (id) => document.getElementById(id);
let words = {};
// The address keeps the chosen language over a reload.
let language = (location.search || navigator.language).toLowerCase().replace("?", "").startsWith("zh") ? "zh" : "en";
let last = null;
let shown = null;
let since = { age: null, at: 0 };
const NOTED_MS = 5000;
let unreached = []; // whom the last click did not reach, until the demo's own watch has noticed
let gone = "lost"; // why the page hears nothing from the demo; empty while it does

const t = (name, values = {}) => {
  const text = words[language]?.[name];
  return text === undefined ? name : text.replace(/\{(\w+)\}/g, (_all, key) => String(values[key]));
};
const money = (minor, currency = "CNY") => (currency === "CNY" ? "¥" : `${currency} `) + (minor / 100).toLocaleString("en", { minimumFractionDigits: 2 });
const span = (ms) => (ms < 1000 ? t("ms", { n: ms }) : t("s", { n: (ms / 1000).toFixed(1) }));

async function send(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }).catch(() => null);
  if (!answer) return cutOff("lost");
  note(answer.ok ? [] : (await answer.json().catch(() => ({}))).failing ?? []);
}

function note(whom) {
  unreached = whom;
  if (last) trouble();
  if (whom.length) setTimeout(() => { if (unreached === whom) note([]); }, NOTED_MS);
}

// Until there is an answer, the verdicts are those of the purchase before, and are shown as old.
async function buy(item) {
  $("sale").setAttribute("aria-busy", "true");
  await send("/pay", { item });
  $("sale").setAttribute("aria-busy", "false");
}

// What cannot be read must not count on as if the bank had fallen silent.
function unknownAge() {
  since = { age: null, at: 0 };
  $("age").textContent = "–";
  $("age").classList.remove("late");
  $("gauge").style.width = "0";
}

function cutOff(why) {
  gone = why;
  unknownAge();
  trouble();
}

// Said once, however often it is shown: a screen reader reads an alert whenever its text is set.
function trouble() {
  const text = gone ? t(gone) : [...new Set([...last.failing, ...unreached])].map((who) => t(`failing-${who}`)).join(" ");
  $("trouble").hidden = !text;
  if ($("trouble").textContent !== text) $("trouble").textContent = text;
}

function translate() {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  document.title = `Standing · ${t("tagline")}`;
  for (const each of document.querySelectorAll("[data-t]")) each.textContent = t(each.dataset.t);
  $("language").textContent = language === "zh" ? "English" : "中文";
  $("language").lang = language === "zh" ? "en" : "zh-Hans";
  if (last) show(last);
  else if (!$("trouble").hidden) trouble();
}

function element(tag, text, className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

function desk(state) {
  const account = state.account;
  $("desk-title").textContent = state.bank_name[language];
  $("card-number").textContent = `•••• ${account.number.slice(-4)}`;
  $("card-status").textContent = t(`status-${account.status}`);
  $("card-status").className = account.status === "active" ? "pill" : "pill bad";
  $("bankcard").classList.toggle("off", account.status !== "active");
  $("card-limit").textContent = money(account.transaction_limit_minor);
  $("card-phone").textContent = `${account.phone.slice(3, 6)}****${account.phone.slice(-4)}`;
  for (const each of document.querySelectorAll("[data-act]")) each.setAttribute("aria-pressed", String(state.on[each.dataset.act]));
}

function ledger(state) {
  if (gone || state.failing.some((who) => who !== "node")) unknownAge();
  else if (state.bank_state.staleness_ms !== undefined && state.bank_state.watermark_ms !== since.watermark) since = { age: state.bank_state.staleness_ms, at: performance.now(), watermark: state.bank_state.watermark_ms };
  $("bound").textContent = t("bound", { span: span(state.bound_ms) });
  const change = state.trail.changes?.[0];
  let hops = change ? change.hops : [];
  // The trail does not tell of the newest change before the bank's node has it.
  if (change && change.effective_at_ms < state.changed_at_ms) hops = hops.map((hop, index) => ({ name: hop.name, state: index === 0 ? "done" : "waiting", took_ms: null }));
  let next = true;
  $("trail").replaceChildren(...hops.map((hop) => {
    const line = element("li", "", hop.state);
    if (hop.state === "waiting" && next) { line.classList.add("next"); next = false; }
    line.append(element("span", t(`hop-${hop.name}`)));
    // A block's time is in whole seconds, so it may seem to be before the hop before it.
    const took = hop.state === "done" ? (hop.took_ms > 0 ? `+${span(hop.took_ms)}` : "✓") : hop.state === "stalled" ? span(hop.took_ms) : "";
    line.append(element("span", took, "took"));
    return line;
  }));
  $("ledger-facts").textContent = state.kept_back ? t("kept-back") : state.bank_state.block_number ? t("ledger-facts", { block: state.bank_state.block_number, publication: change?.publication ?? "–" }) : "";
  $("events").replaceChildren(...state.events.slice(0, 3).map((event) => {
    const line = element("li", "");
    line.append(element("span", t(`event-${event.type}`)), element("span", new Date(event.timestamp).toLocaleTimeString("en-GB"), "took"));
    return line;
  }));
}

function sale(state) {
  const one = state.sales[0];
  $("no-sale").hidden = Boolean(one);
  $("verdicts").hidden = !one;
  if (!one) return;
  // An answer says nothing about what the bank has changed since.
  const before = one.changed_at_ms !== state.changed_at_ms;
  const version = [one.id, language, before].join(" ");
  if (shown === version) return;
  const fresh = !shown?.startsWith(one.id);
  shown = version;
  $("sale").setAttribute("aria-busy", "false");
  $("asked").textContent = t(before ? "asked-before" : "asked", { item: t(`item-${one.item}`), amount: money(one.amount_minor) });
  // A review is neither right nor wrong: people look.
  const wrong = (outcome) => outcome !== "review" && outcome !== one.book;
  const verdict = (id, outcome, why) => {
    $(id).className = `verdict ${outcome}${wrong(outcome) ? " wrong" : ""}`;
    $(`${id}-outcome`).textContent = t(`outcome-${outcome}`);
    $(`${id}-why`).textContent = why;
  };
  verdict("standing", one.outcome, one.message[language]);
  verdict("snapshot", one.snapshot, t("snapshot-why"));
  $("standing-facts").textContent = t(one.staleness_ms === null ? "sale-facts-unread" : "sale-facts", { took: span(one.took_ms), age: span(one.staleness_ms ?? 0) });
  const [ours, copys] = [wrong(one.outcome), wrong(one.snapshot)];
  const said = ours ? (copys ? "both-wrong" : "standing-wrong") : copys ? "snapshot-wrong" : "";
  const truth = t(`truth-${one.book}`, { then: before ? t("truth-then") : "" });
  $("truth").textContent = said ? `${truth} ${t(said, { span: span(state.bound_ms) })}` : truth;
  $("verdicts").classList.toggle("before", before);
  for (const each of document.querySelectorAll(".good")) each.classList.toggle("bought", each.dataset.item === one.item);
  if (fresh) for (const id of ["standing", "snapshot"]) { void $(id).offsetWidth; $(id).classList.add("fresh"); }
}

function early(state) {
  const one = state.warned;
  // A warning that has gone without coming true is over.
  const current = one && (one.still_at_risk || (one.failure && one.failure.factor));
  $("early").hidden = !current;
  if (!current) return;
  const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");
  $("early-title").textContent = t("early-title", { at: clock(one.warned_at_ms) });
  $("early-chance").textContent = one.per_mille === null ? t("early-rule") : t("early-chance", { n: Math.round(one.per_mille / 10) });
  $("early-factors").replaceChildren(...one.factors.map((factor) => {
    const line = element("li", "");
    line.append(element("b", factor.what[language]), element("span", factor.to_do[language]));
    return line;
  }));
  const failure = one.failure;
  $("early-came").className = failure ? (failure.factor ? "came true" : "came other") : "came";
  $("early-outcome").textContent = failure ? t(failure.factor ? "early-true" : "early-other", { at: clock(failure.decided_at_ms) }) : t("early-not-yet");
  $("early-why").textContent = failure ? t("early-why", { reason: failure.message[language], span: span(failure.decided_at_ms - one.warned_at_ms) }) : t("early-try");
}

function day(state) {
  $("day-done").textContent = `${state.day.done} / ${state.day.total}`;
  $("day-snapshot").textContent = state.day.snapshot_wrong;
  $("day-standing").textContent = state.day.standing_wrong;
  const tag = (outcome, would) => {
    const cell = element("td", "");
    const wrong = (outcome === "approve" && would === "refuse") || (outcome === "decline" && would === "accept");
    cell.append(element("span", t(`outcome-${outcome}`), `tag ${outcome}${wrong ? " wrong" : ""}`));
    return cell;
  };
  $("day").replaceChildren(...state.day.latest.map((line) => {
    const row = document.createElement("tr");
    row.append(tag(line.standing, line.bank_would), tag(line.snapshot, line.bank_would), element("td", t(`bank-${line.bank_would}`)), element("td", line.at), element("td", t(`kind-${line.transaction}`)), element("td", money(line.amount_minor, line.currency), "right"));
    return row;
  }));
}

function show(state) {
  last = state;
  $("scene").textContent = t(state.playing ? `scene-${state.scene || "calm"}` : "scene-yours");
  $("play").textContent = t(state.playing ? "take-over" : "play-on");
  $("play").dataset.playing = String(state.playing);
  trouble();
  desk(state);
  ledger(state);
  sale(state);
  early(state);
  day(state);
}

setInterval(() => {
  if (since.age === null || !last) return;
  const age = since.age + performance.now() - since.at;
  const late = age > last.bound_ms;
  $("age").textContent = t("s", { n: (age / 1000).toFixed(1) });
  $("age").classList.toggle("late", late);
  $("gauge").style.width = `${Math.min(100, (age / last.bound_ms) * 100)}%`;
  $("gauge").classList.toggle("late", late);
}, 100);

for (const each of document.querySelectorAll("[data-act]")) each.addEventListener("click", () => send("/act", { what: each.dataset.act, on: each.getAttribute("aria-pressed") !== "true" }));
for (const each of document.querySelectorAll("[data-item]")) each.addEventListener("click", () => buy(each.dataset.item));
$("play").addEventListener("click", () => send("/play", { on: $("play").dataset.playing !== "true" }));
$("language").addEventListener("click", () => { language = language === "zh" ? "en" : "zh"; history.replaceState(null, "", `?${language}`); translate(); });

begin();

// Without its words the page is empty, so it says why in both languages.
async function begin() {
  try {
    words = await (await fetch("/static/words.json")).json();
  } catch {
    $("trouble").textContent = "The demo does not respond; this page tries again. 演示程序无响应，本页正在重试。";
    $("trouble").hidden = false;
    return setTimeout(begin, 2000);
  }
  $("trouble").hidden = true;
  translate();
  watch();
}

function watch() {
  const stream = new EventSource("/stream");
  stream.onmessage = (message) => { gone = ""; show(JSON.parse(message.data)); };
  // A lost connection is opened again by the browser; a refusal is final, so it is tried again from here.
  stream.onerror = () => {
    if (stream.readyState !== EventSource.CLOSED) return cutOff("lost");
    cutOff("too-many-pages");
    setTimeout(watch, 2000);
  };
}
