// What is wished for: a scale and a density as knobs, and rules of the library with weights.

import { get, post } from "./api.js";
import { $, debounce, h, rewardText } from "./dom.js";

const TONICS = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];
const BLACK = [1, 3, 6, 8, 10];
const MOST_DENSITY = 192;

let catalogue = { rules: [], scales: {} };
let chosen = { tonic: 4, scale: "major", density: 0, others: [] };
let changed = () => {};
const names = new Map();  // of rules in Python, by their specifications

// Fill the panel; onKnob() is called after a knob was moved, onOther() after a rule has changed.
export async function start({ onKnob, onOther }) {
  changed = onOther;
  const knobMoved = debounce(220, onKnob);
  $("keys").append(...TONICS.map((name, tonic) =>
    h("button", { type: "button", class: `key ${BLACK.includes(tonic) ? "black" : "white"} key-${tonic}`, "data-tonic": tonic,
                  "aria-label": `Tonic ${spoken(name)}`,
                  onclick: () => { chosen.tonic = tonic; chosen.scale ||= "major"; draw(); knobMoved(); } },
      h("span", {}, shown(name)))));
  $("scale").addEventListener("change", () => { chosen.scale = $("scale").value; draw(); knobMoved(); });
  $("density").addEventListener("input", () => { chosen.density = Number($("density").value); draw(); knobMoved(); });
  $("form").addEventListener("change", knobMoved);
  $("add-rule").addEventListener("change", () => add($("add-rule").value));
  catalogue = await get("/rules");
  $("scale").replaceChildren(h("option", { value: "" }, "any notes"),
    ...Object.keys(catalogue.scales).map((name) => h("option", { value: name }, name.replaceAll("-", " "))));
  for (const group of new Set(catalogue.rules.map((row) => row.group))) {
    $("add-rule").append(h("optgroup", { label: group }, ...catalogue.rules
      .filter((row) => row.group === group)
      .map((row) => h("option", { value: row.example }, `${row.name.replaceAll("-", " ")}: ${row.summary.toLowerCase()}`))));
  }
  draw();
}

const shown = (name) => name.replace("#", "♯").replace(/b$/, "♭");
const spoken = (name) => name.replace("#", " sharp").replace(/b$/, " flat");

// The wishes as the API has them.
export function wishes() {
  const knobs = [];
  if (chosen.scale) knobs.push({ spec: `scale:${TONICS[chosen.tonic]}-${chosen.scale}`, weight: 1 });
  if (chosen.density) knobs.push({ spec: `density:${chosen.density}`, weight: 1 });
  return [...knobs, ...chosen.others.filter((one) => !one.error).map(({ spec, weight }) => ({ spec, weight }))];
}

// Which bars repeat which; null for as they come.
export const form = () => $("form").value.trim() || null;

export const onlyKnobs = () => chosen.others.length === 0;

// Show the wishes of a state.
export function setWishes(list, rules = [], asForm = null) {
  $("form").value = asForm ?? "";
  list.forEach(({ spec }, i) => { if (spec.startsWith("code:") && rules[i]) names.set(spec, rules[i]); });
  const next = { tonic: chosen.tonic, scale: "", density: 0, others: [] };
  for (const { spec, weight } of list) {
    const scale = /^scale:([A-G][#b]?)-(.+)$/.exec(spec);
    const density = /^density:(\d+)$/.exec(spec);
    if (scale && !next.scale && TONICS.includes(scale[1])) {
      [next.tonic, next.scale] = [TONICS.indexOf(scale[1]), scale[2]];
    } else if (density && !next.density && Number(density[1]) <= MOST_DENSITY) next.density = Number(density[1]);
    else next.others.push({ spec, weight });
  }
  chosen = next;
  draw();
}

export function add(spec, name) {
  $("add-rule").value = "";
  if (!spec || chosen.others.some((one) => one.spec === spec)) return;
  if (name) names.set(spec, name);
  chosen.others.push({ spec, weight: 1 });
  draw();
  changed();
  $("rules").lastElementChild?.querySelector("input")?.focus();
}

// How far the melody that is shown satisfies each rule, by the rules' places.
export function showRewards(rules, melody) {
  for (const badge of document.querySelectorAll("[data-reward]")) {
    const place = rules.lastIndexOf(badge.dataset.reward);
    const reward = melody.rewards[place];
    const satisfied = Boolean(melody.satisfied_rules?.[place]);
    badge.hidden = reward === undefined;
    badge.className = satisfied ? "badge satisfied" : "badge";
    badge.textContent = reward === undefined ? "" : satisfied ? "✓ satisfied" : rewardText(reward, false, 2);
  }
}

function draw() {
  const steps = catalogue.scales[chosen.scale] ?? [];
  for (const key of $("keys").children) {
    const distance = (Number(key.dataset.tonic) - chosen.tonic + 12) % 12;
    key.classList.toggle("inside", steps.includes(distance));
    key.setAttribute("aria-pressed", Boolean(chosen.scale) && distance === 0);
  }
  $("scale").value = chosen.scale;
  $("density").value = chosen.density;
  $("density-text").textContent = chosen.density ? `at least ${chosen.density} notes` : "any number of notes";
  $("density").setAttribute("aria-valuetext", $("density-text").textContent);
  $("scale-badge").dataset.reward = chosen.scale ? `scale:${TONICS[chosen.tonic]}-${chosen.scale}` : "";
  $("density-badge").dataset.reward = chosen.density ? `density:${chosen.density}` : "";
  $("rules").replaceChildren(...chosen.others.map(row));
  $("train").hidden = onlyKnobs();  // which need no training
}

function row(wish, index) {
  const [, negated, name, argument] = /^((?:not:)*)([^:]+):?(.*)$/.exec(wish.spec);
  const about = catalogue.rules.find((one) => one.name === name);
  const isCode = name === "code";
  const message = h("p", { class: "rule-message", id: `rule-message-${index}` }, wish.error ?? "");
  const input = h("input", { type: "text", value: argument, maxlength: 180, spellcheck: "false", autocomplete: "off",
                             "aria-label": `${name}: ${about?.argument ?? "argument"}`,
                             "aria-describedby": message.id, "aria-invalid": Boolean(wish.error),
                             placeholder: about?.argument ?? "" });
  input.addEventListener("input", debounce(250, async () => {
    const spec = input.value ? `${negated}${name}:${input.value}` : `${negated}${name}`;
    const { rules: [answer] } = await post("/rules", { rules: [spec] }).catch((error) => ({ rules: [{ error: error.message }] }));
    Object.assign(wish, { spec, error: answer.error });
    badge.dataset.reward = spec;
    message.textContent = answer.error ?? "";
    input.setAttribute("aria-invalid", Boolean(answer.error));
    changed();
  }));
  const badge = h("span", { class: "badge", "data-reward": isCode ? names.get(wish.spec) ?? "" : wish.spec, hidden: true });
  const weight = h("input", { type: "range", min: 0, max: 3, step: 0.5, value: wish.weight,
                              "aria-label": `Weight of ${name}`, "aria-valuetext": `${wish.weight}` });
  weight.addEventListener("input", () => {
    wish.weight = Number(weight.value);
    weight.setAttribute("aria-valuetext", weight.value);
    changed();
  });
  return h("li", { class: "rule" },
    h("div", { class: "rule-head" }, h("b", {}, `${negated ? "not " : ""}${isCode ? names.get(wish.spec) ?? "your rule" : name.replaceAll("-", " ")}`), badge,
      h("button", { type: "button", class: "quiet", "aria-label": `Remove ${name}`,
                    onclick: () => { chosen.others.splice(index, 1); draw(); changed(); } }, "×")),
    h("div", { class: "rule-body" }, isCode ? h("code", {}, wish.spec) : input,
      h("label", { class: "weight" }, "weight", weight)),
    about ? h("p", { class: "hint" }, `${about.summary}. For example ${about.example}`) : null,
    message);
}
