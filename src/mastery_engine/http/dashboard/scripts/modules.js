// Browsers from before late 2024 cannot show what is in a closed part by style alone: on wide screens and in print it is
// opened here, and on a phone it is closed again after printing.
const wide = matchMedia("(min-width: 860px)");
const isOld = !CSS.supports("selector(::details-content)");

export const openModules = (main, open = wide.matches) => {
  if (isOld) for (const one of main.querySelectorAll("details.module")) one.open = open || one.dataset.chosen === "open";
};

export const followWidth = (main) => {
  if (!isOld) return;
  main.addEventListener("click", (event) => {
    const part = event.target.closest("details.module > summary")?.parentElement;
    if (part) part.dataset.chosen = part.open ? "closed" : "open";
  });
  wide.addEventListener("change", () => openModules(main));
  addEventListener("beforeprint", () => openModules(main, true));
  addEventListener("afterprint", () => openModules(main));
};
