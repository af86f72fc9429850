// Everything that only reads works without this file. It copies sentences, lets ages count, and loads what is slow.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    button.classList.add("done");
  });
}

// The server's sentence stays until the age has changed by more than a second; minutes and hours stay the server's.
for (const age of document.querySelectorAll("[data-since]")) {
  let began = performance.now();
  let atLoad = Number(age.dataset.now) - Number(age.dataset.since);
  // A stream may say anew how old it is.
  age.addEventListener("said", (said) => { began = performance.now(); atLoad = said.detail; });
  const unit = document.documentElement.lang === "en" ? ["s", "min"] : ["秒", "分"];
  setInterval(() => {
    const seconds = Math.floor((atLoad + performance.now() - began) / 1000);
    age.textContent = seconds < 60 ? `${seconds} ${unit[0]}` : `${Math.floor(seconds / 60)} ${unit[1]} ${seconds % 60} ${unit[0]}`;
    age.classList.toggle("late", seconds * 1000 > Number(age.dataset.bound));
  }, 1000);
}

for (const place of document.querySelectorAll("[data-load]")) {
  fetch(place.dataset.load, { credentials: "same-origin" }).then(async (answer) => {
    if (!answer.ok) return;
    const loaded = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(place.id);
    if (loaded) place.replaceChildren(...loaded.childNodes);
  });
}

for (const place of document.querySelectorAll("[data-stream]")) {
  const stream = new EventSource(place.dataset.stream);
  stream.addEventListener("banks", (message) => {
    const banks = JSON.parse(message.data);
    for (const age of place.querySelectorAll("[data-bank]")) {
      const said = banks[age.dataset.bank];
      if (said && said.staleness_ms !== null) age.dispatchEvent(new CustomEvent("said", { detail: said.staleness_ms }));
    }
  });
  stream.addEventListener("end", () => { stream.close(); location.reload(); });
}
