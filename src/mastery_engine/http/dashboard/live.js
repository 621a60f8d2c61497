"use strict";
const main = document.querySelector("main[data-live]");
if (main) {
  const source = new EventSource(main.dataset.live);
  source.addEventListener("mastery", async (event) => {
    if (event.lastEventId === main.dataset.updated) return;
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    const open = [...main.querySelectorAll("details[open]")].map((one) => one.id);
    const focused = main.querySelector(":focus")?.closest("main [id]")?.id;
    main.replaceChildren(...fresh.childNodes);
    main.dataset.updated = fresh.dataset.updated;
    for (const one of main.querySelectorAll("details")) one.open = open.includes(one.id);
    const again = focused && document.getElementById(focused);
    if (again) (again.querySelector("summary") ?? again).focus({preventScroll: true});
    document.getElementById("told").textContent = "The page has changed: " + document.getElementById("score").textContent;
  });
}
