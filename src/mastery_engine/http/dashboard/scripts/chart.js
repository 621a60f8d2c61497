// The values of a chart, by touch, mouse and keyboard: each day is read out below it.
const SVG = "http://www.w3.org/2000/svg";

export const drawReadings = (box) => {
  const points = JSON.parse(box.dataset.chart);
  const svg = box.querySelector(".lines");
  const reading = document.createElement("p");
  reading.className = "reading";
  const line = document.createElementNS(SVG, "line");
  line.setAttribute("class", "cursor");
  const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  let at = -1;

  const show = (place) => {
    at = Math.max(0, Math.min(points.length - 1, place));
    const [x, , text] = points[at];
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
    line.setAttribute("y1", 0);
    line.setAttribute("y2", height - 26);
    svg.append(line);
    reading.textContent = text;
    box.setAttribute("aria-valuenow", at);
    box.setAttribute("aria-valuetext", text);
  };
  const nearest = (event) => {
    const area = svg.getBoundingClientRect();
    const x = ((event.clientX - area.left) / area.width) * width;
    show(points.reduce((best, one, place) => (Math.abs(one[0] - x) < Math.abs(points[best][0] - x) ? place : best), 0));
  };

  box.append(reading);
  box.tabIndex = 0;
  box.setAttribute("role", "slider");
  box.setAttribute("aria-label", box.dataset.name);
  box.setAttribute("aria-valuemin", 0);
  box.setAttribute("aria-valuemax", points.length - 1);
  box.setAttribute("aria-valuenow", points.length - 1);
  box.setAttribute("aria-valuetext", points.at(-1)[2]);
  box.addEventListener("pointermove", nearest);
  box.addEventListener("pointerdown", nearest);
  box.addEventListener("keydown", (event) => {
    const now = at < 0 ? points.length - 1 : at;
    const next = { ArrowLeft: now - 1, ArrowRight: now + 1, ArrowDown: now - 7, ArrowUp: now + 7, Home: 0, End: points.length - 1 };
    if (!(event.key in next)) return;
    event.preventDefault();
    show(next[event.key]);
  });
};
