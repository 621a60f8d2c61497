// What a reader cannot see whole: text that its box cuts off, boxes of one row that lie on each other, and whatever reaches
// out of the screen. A region that scrolls within itself may, and so may a line of text that ends in dots.
() => {
  const said = (one) => `${one.tagName} ${one.className?.baseVal ?? one.className}: ${one.textContent.trim().slice(0, 40)}`;
  const faults = [];
  const wide = document.documentElement.clientWidth;
  for (const one of document.querySelectorAll("main *, header *, footer *")) {
    if (one.closest(".scroll, svg, [hidden], .skip") || !one.checkVisibility()) continue;
    const box = one.getBoundingClientRect();
    if (!box.width || !box.height) continue;
    if (box.left < -1 || box.right > wide + 1) faults.push(`outside: ${said(one)}`);
    const style = getComputedStyle(one);
    const cuts = style.overflowX !== "visible" && style.textOverflow !== "ellipsis" && !["INPUT", "SELECT"].includes(one.tagName);
    if (cuts && one.scrollWidth > one.clientWidth + 1) faults.push(`cut: ${said(one)}`);
    if (!["TD", "TH", "LI", "BUTTON", "A", "P", "H1", "H2", "H3"].includes(one.tagName) || style.display === "inline") continue;
    if (one.scrollWidth > one.clientWidth + 2 && style.overflowX === "visible" && one.clientWidth) faults.push(`spills: ${said(one)}`);
  }
  for (const row of document.querySelectorAll("main tr, .fields, .cards, .modules, .grid, header.top")) {
    if (row.closest(".scroll") || !row.checkVisibility()) continue;
    const boxes = [...row.children].filter((one) => one.checkVisibility()).map((one) => [one, one.getBoundingClientRect()]);
    for (const [place, [one, a]] of boxes.entries())
      for (const [other, b] of boxes.slice(place + 1))
        if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)
          faults.push(`overlap: ${said(one)} and ${said(other)}`);
  }
  // A word that is no longer than a name of a column is not broken: its column is too narrow.
  const words = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (words.nextNode()) {
    const one = words.currentNode.parentElement;
    if (!one.closest("button, .button, thead th, h1, h2, h3, .flag, .level, .state, summary, label") || !one.checkVisibility()) continue;
    for (const word of words.currentNode.data.matchAll(/[\p{L}\p{M}]{2,12}(?![\p{L}\p{N}_-])/gu)) {
      range.setStart(words.currentNode, word.index);
      range.setEnd(words.currentNode, word.index + word[0].length);
      const boxes = [...range.getClientRects()].filter((box) => box.width > 1);
      const turned = getComputedStyle(one).writingMode !== "horizontal-tb";
      if (new Set(boxes.map((box) => Math.round(turned ? box.left : box.top))).size > 1) faults.push(`broken: ${word[0]} in ${said(one)}`);
    }
  }
  for (const chart of document.querySelectorAll(".chart")) {
    const dates = [...chart.querySelectorAll(".date")].map((one) => one.getBoundingClientRect());
    for (const [place, box] of dates.entries())
      if (dates.slice(place + 1).some((other) => box.left < other.right && other.left < box.right)) faults.push("dates overlap");
  }
  return faults;
}
