// What pages do beyond their HTML; without a script all of it can be read and chosen all the same.
import { drawReadings } from "/dashboard/assets/chart.js";
import { follow, refresh } from "/dashboard/assets/live.js";
import { followWidth, openModules } from "/dashboard/assets/modules.js";

const main = document.getElementById("main");
const prepare = () => {
  openModules(main);
  for (const box of main.querySelectorAll("[data-chart]")) drawReadings(box);
  for (const button of main.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  }
};
prepare();
followWidth(main);
if (main.dataset.live) follow(main, prepare);
if (main.dataset.refresh) refresh(main, prepare);
