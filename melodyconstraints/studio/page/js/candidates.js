// The candidates as small rolls: click to hear, star to keep, drag out.

import { $, h, rewardText } from "./dom.js";
import { makeDraggable } from "./out.js";
import { smallRoll } from "./roll.js";
import { amend, store } from "./store.js";

export function draw(state) {
  const isPath = state.kind === "blend";
  $("candidates").hidden = isPath || state.melodies.length < 2;
  $("blend").hidden = !isPath;
  $("out-all").parentElement.hidden = state.melodies.length < 2;
  $("invitation").hidden = state.melodies.length > 1;
  $("candidates-title").textContent = isPath ? "From one to the other" : "Candidates";
  $("blend-slider").max = state.melodies.length - 1;
  $("blend-slider").value = state.current;
  if (isPath) return;
  $("candidates").replaceChildren(...state.melodies.map((melody, index) => tile(state, melody, index)));
  mark(state);
}

// Show which candidate is current and which have stars.
export function mark(state) {
  [...$("candidates").children].forEach((item, index) => {
    const [button, star] = item.querySelectorAll("button");
    const starred = state.starred.includes(index);
    button.setAttribute("aria-pressed", index === state.current);
    star.setAttribute("aria-pressed", starred);
    star.textContent = starred ? "★" : "☆";
  });
}

export function choose(index) {
  const count = store.state.melodies.length;
  amend({ current: (index + count) % count });
}

// Choose a candidate and play it; what plays already goes on with it, and pauses where it was chosen.
function hear(index) {
  const isSame = index === store.state.current;
  const isPlaying = $("play").getAttribute("aria-pressed") === "true";
  if (!isSame) choose(index);
  if (isSame || !isPlaying) $("play").click();
}

export function toggleStar(index) {
  const starred = new Set(store.state.starred);
  if (!starred.delete(index)) starred.add(index);
  amend({ starred: [...starred].sort((a, b) => a - b) });
}

export function waiting(count) {
  if (store.state.kind === "blend") return;
  $("candidates").hidden = false;
  $("invitation").hidden = true;
  $("candidates").replaceChildren(...Array.from({ length: count }, () => h("li", { class: "tile-place", "aria-hidden": "true" })));
}

function tile(state, melody, index) {
  const meters = state.rules.map((name, i) => meter(name, melody.rewards[i], melody.satisfied_rules?.[i]));
  const count = `${melody.notes.length} notes`;
  const verdict = melody.satisfied === null || melody.satisfied === undefined ? "" : melody.satisfied ? ", satisfies every rule" : "";
  const button = h("button", { type: "button", class: "tile", "aria-label": `Melody ${index + 1}, ${count}${verdict}`,
                               draggable: "true", onclick: () => hear(index) },
    smallRoll(melody.notes, state.pitch_classes),
    h("span", { class: "tile-foot" }, h("span", {}, `${index + 1}`), h("span", { class: "meters" }, ...meters), h("span", {}, count)));
  makeDraggable(button, () => ({ melody, name: `melody-${index + 1}` }));
  return h("li", {}, button,
    h("button", { type: "button", class: "star", "aria-label": `Keep melody ${index + 1}`, onclick: () => toggleStar(index) }, "☆"));
}

function meter(name, reward, satisfied) {
  const fill = h("span", { class: satisfied ? "fill satisfied" : "fill" });
  fill.style.inlineSize = `${Math.round(reward * 100)}%`;
  return h("span", { class: "meter", title: `${name}: ${rewardText(reward, satisfied, 3)}` }, fill);
}
