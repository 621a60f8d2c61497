"use strict";
const main = document.querySelector("main[data-live]");
if (main) {
  const source = new EventSource(main.dataset.live);
  source.addEventListener("mastery", async (event) => {
    if (event.lastEventId === main.dataset.updated) return;
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    const open = Boolean(main.querySelector("details[open]"));
    main.replaceChildren(...fresh.childNodes);
    main.dataset.updated = fresh.dataset.updated;
    if (open) main.querySelector("details").open = true;
    document.getElementById("told").textContent = "The page has changed: " + document.getElementById("score").textContent;
  });
}
