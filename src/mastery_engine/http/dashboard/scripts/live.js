// Live pages: a student's by the stream of their changes, a class's by asking again.
const told = document.getElementById("told");

const again = async () => {
  const answer = await fetch(location.href);
  if (answer.status !== 503) return answer;
  await new Promise((done) => setTimeout(done, 1000 + 500 * Math.random())); // many watch: not all of them at once
  return again();
};

const isTouched = (part) =>
  part.contains(document.activeElement) ||
  [...part.querySelectorAll("input, textarea")].some((one) => one.value !== one.defaultValue);

// Puts the new content in the place of the old; a part in which somebody writes stays as it is, and only what is around
// it is replaced.
const exchange = (main, fresh) => {
  const [kept, other] = [main, fresh].map((one) => one.querySelector(":scope > [data-kept]"));
  if (!kept || !other || !isTouched(kept)) return main.replaceChildren(...fresh.childNodes);
  for (const one of [...main.childNodes]) if (one !== kept) one.remove();
  const all = [...fresh.childNodes];
  kept.before(...all.slice(0, all.indexOf(other)));
  kept.after(...all.slice(all.indexOf(other) + 1));
};

// Takes up the new content; what was open stays open, and what had the focus has it.
const replace = (main, fresh, prepare) => {
  const open = [...main.querySelectorAll("details[open]")].map((one) => one.id);
  const focused = main.querySelector(":focus")?.closest("main [id]")?.id;
  exchange(main, fresh);
  main.dataset.updated = fresh.dataset.updated;
  for (const one of main.querySelectorAll("details")) one.open = open.includes(one.id);
  const had = focused && document.getElementById(focused);
  if (had && !had.contains(document.activeElement)) (had.querySelector("summary") ?? had).focus({ preventScroll: true });
  prepare();
};

const load = async (ended = () => {}) => {
  const answer = await again();
  if ([401, 403, 404].includes(answer.status)) ended();
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

// Until there is nothing more to come, or the page is gone; of a slow service the next is asked once it has answered.
export const refresh = (main, prepare) => {
  const wait = 1000 * main.dataset.refresh;
  let ended = false;
  const stop = () => (ended = true);
  const isBusy = () => document.hidden || [...main.querySelectorAll("form")].some(isTouched);
  const ask = async () => {
    const fresh = isBusy() ? null : await load(stop).catch(() => null);
    if (fresh && !isBusy()) {
      replace(main, fresh, prepare);
      if (!fresh.dataset.refresh) stop();
    }
    if (!ended) setTimeout(ask, wait);
  };
  setTimeout(ask, wait);
};
