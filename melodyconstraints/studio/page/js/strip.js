// The history as a strip: every state is one click away.

import { $, h, toast } from "./dom.js";
import { smallRoll } from "./roll.js";
import { show, store } from "./store.js";

export function draw() {
  const items = store.states.map((one) =>
    h("li", {}, h("button", { type: "button", class: "past", "data-number": one.number,
                              "aria-label": `State ${one.number}: ${one.title}, seed ${one.seed}`,
                              onclick: () => show(one.number).catch((error) => toast(error.message, true)) },
      smallRoll(one.notes), h("span", {}, `${one.starred ? "★ " : ""}${one.title}`),
      h("small", {}, `#${one.number} · seed ${one.seed}`))));
  $("history").replaceChildren(...items);
  mark();
}

export function mark() {
  for (const button of $("history").querySelectorAll("button")) {
    const isHere = Number(button.dataset.number) === store.number;
    button.setAttribute("aria-current", isHere);
    if (isHere) $("history").scrollLeft = button.offsetLeft - $("history").clientWidth / 2 + button.clientWidth / 2;
  }
}
