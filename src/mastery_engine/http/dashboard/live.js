"use strict";
const main = document.querySelector("main[data-live]");
const again = async () => {
  const answer = await fetch(location.href);
  if (answer.status !== 503) return answer;
  await new Promise((done) => setTimeout(done, 1000 + 500 * Math.random())); // many watch: not all of them at once
  return again();
};
const change = (fresh) => {
  const open = [...main.querySelectorAll("details[open]")].map((one) => one.id);
  const focused = main.querySelector(":focus")?.closest("main [id]")?.id;
  main.replaceChildren(...fresh.childNodes);
  main.dataset.updated = fresh.dataset.updated;
  for (const one of main.querySelectorAll("details")) one.open = open.includes(one.id);
  const had = focused && document.getElementById(focused);
  if (had) (had.querySelector("summary") ?? had).focus({preventScroll: true});
  document.getElementById("told").textContent = "The page has changed: " + document.getElementById("score").textContent;
};
if (main) {
  const source = new EventSource(main.dataset.live);
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED)
      document.getElementById("told").textContent = "The page is no longer live: load it again, or sign in again.";
  });
  source.addEventListener("mastery", async (event) => {
    if (event.lastEventId === main.dataset.updated) return;
    const answer = await again();
    if (answer.ok) change(new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main"));
  });
}
