// Keyboard shortcuts, and the list of them that ? shows.

import { $, h } from "./dom.js";

// rows: [key as shown, what it does, test of an event, work]
export function start(rows) {
  $("shortcuts").append(...rows.flatMap(([name, text]) => [h("dt", {}, h("kbd", {}, name)), h("dd", {}, text)]));
  // A button that was clicked with a pointer gives the focus back, so that Space plays and pauses:
  // before its work, which may put another in its place.
  document.addEventListener("click", (event) => {
    if (event.detail) event.target.closest("button")?.blur();
  }, true);
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input[type=text], input[type=number], textarea, select");
    const isSlider = event.target.matches("input[type=range]") && event.key.startsWith("Arrow");
    const onButton = event.key === " " && event.target.closest("button, label, a, summary");
    if (isTyping || isSlider || onButton || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const row = rows.find(([, , test]) => test(event));
    if (!row) return;
    event.preventDefault();
    row[3](event);
  });
}

export const key = (...names) => (event) => names.includes(event.key.length === 1 ? event.key.toLowerCase() : event.key)
  && !event.ctrlKey && !event.metaKey && !event.altKey;
export const command = (name, shift) => (event) => (event.ctrlKey || event.metaKey)
  && event.key.toLowerCase() === name && event.shiftKey === shift;
