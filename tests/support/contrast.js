// Text that is too pale for its ground (WCAG 2.2, 1.4.3), and marks, fields and buttons that are (1.4.11).
() => {
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const seen = new Map();
  const rgba = (colour) => {
    if (!seen.has(colour)) {
      paint.clearRect(0, 0, 1, 1);
      paint.fillStyle = colour;
      paint.fillRect(0, 0, 1, 1);
      seen.set(colour, [...paint.getImageData(0, 0, 1, 1).data].map((one) => one / 255));
    }
    return seen.get(colour);
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const page = rgba(getComputedStyle(document.documentElement).colorScheme.includes("dark") && matchMedia("(prefers-color-scheme:dark)").matches ? "#000" : "#fff");
  const ground = (one) => {
    const layers = [];
    for (let at = one; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((below, layer) => over(layer, below), page);
  };
  const light = (one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const faults = [];
  const check = (one, colour, below, least, what) => {
    const found = contrast(over(rgba(colour), below), below);
    if (found < least) faults.push(`${what} ${found.toFixed(2)}: ${one.tagName} ${one.className?.baseVal ?? one.className}: ${one.textContent.trim().slice(0, 30)}`);
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const one = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim()) continue;
    if (!one.checkVisibility() || one.closest("script, style, [hidden], option") || !one.getBoundingClientRect().width) continue;
    const style = getComputedStyle(one);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    check(one, one.closest("svg") ? style.fill : style.color, ground(one), least, "text");
  }
  for (const one of document.querySelectorAll("main .line, main .dot, main .fill, main .bar .tick, main .on, main .spark path, main .icon")) {
    const style = getComputedStyle(one);
    const colour = [style.fill, style.stroke].find((paint) => paint !== "none" && rgba(paint)[3] > 0);
    if (one.checkVisibility() && colour) check(one, colour, ground(one.closest("svg").parentElement), 3, "mark");
  }
  for (const one of document.querySelectorAll("main input:not([type=hidden]), main select, main button")) {
    const style = getComputedStyle(one);
    if (!one.checkVisibility() || !parseFloat(style.borderTopWidth) || rgba(style.borderTopColor)[3] === 0) continue;
    check(one, style.borderTopColor, ground(one.parentElement), 3, "border");
  }
  return faults;
}
