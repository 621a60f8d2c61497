// Live pages: a student's by the stream of their changes, a class's by asking again.
const told = document.getElementById("told");

const again = async () => {
  const answer = await fetch(location.href);
  if (answer.status !== 503) return answer;
  await new Promise((done) => setTimeout(done, 1000 + 500 * Math.random())); // many watch: not all of them at once
  return again();
};

// Takes up the new content; what was open stays open, and what had the focus has it.
const replace = (main, fresh, prepare) => {
  const open = [...main.querySelectorAll("details[open]")].map((one) => one.id);
  const focused = main.querySelector(":focus")?.closest("main [id]")?.id;
  main.replaceChildren(...fresh.childNodes);
  main.dataset.updated = fresh.dataset.updated;
  for (const one of main.querySelectorAll("details")) one.open = open.includes(one.id);
  const had = focused && document.getElementById(focused);
  if (had) (had.querySelector("summary") ?? had).focus({ preventScroll: true });
  prepare();
};

const load = async () => {
  const answer = await again();
  if (!answer.ok) return null;
  return new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
};

export const follow = (main, prepare) => {
  const source = new EventSource(main.dataset.live);
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) told.textContent = main.dataset.ended;
  });
  source.addEventListener("mastery", async (event) => {
    if (event.lastEventId === main.dataset.updated) return;
    const fresh = await load();
    if (!fresh) return;
    replace(main, fresh, prepare);
    told.textContent = main.dataset.change.replace("%(score)s", document.getElementById("score").textContent);
  });
};

export const refresh = (main, prepare) => {
  setInterval(async () => {
    if (document.hidden || main.querySelector("form :focus")) return;
    const fresh = await load();
    if (fresh && !main.querySelector("form :focus")) replace(main, fresh, prepare);
  }, 1000 * main.dataset.refresh);
};
