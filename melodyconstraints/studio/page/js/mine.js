// The user's own melody: dropped or chosen, transformed, given back by the model, joined with another.

import { follow, post, readMidi } from "./api.js";
import { $, busy, toast } from "./dom.js";
import { current, push, store } from "./store.js";
import { form, wishes } from "./wishes.js";

let file = null;

export function start() {
  $("file").addEventListener("change", () => open($("file").files[0]));
  $("other-file").addEventListener("change", () => busy($("other-label"), () => blend($("other-file").files[0])));
  $("transform-strength").addEventListener("input", () => {
    $("transform-strength-text").textContent = `${$("transform-strength").value}%`;
  });
  $("place").addEventListener("submit", (event) => {
    event.preventDefault();
    if (file) busy($("place-take"), () => take({ bar: $("place-bar").value, track: $("place-track").value }));
  });
  $("transform").addEventListener("click", () => busy($("transform"), transform));
  $("reconstruct").addEventListener("click", () => busy($("reconstruct"), reconstruct));
  dropAnywhere();
}

function dropAnywhere() {
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    document.body.classList.remove("dropping");
    if (!hasFiles(event)) return;
    event.preventDefault();
    open(event.dataTransfer.files[0]);
  });
}

function open(chosen) {
  if (!chosen) return;
  file = chosen;
  $("tab-mine").click();
  busy($("file-label"), () => take({}));
}

async function take(query) {
  const found = await readMidi(opened(file), query);
  $("place").hidden = false;
  $("place-text").textContent = `Taken: ${found.place}`;
  Object.assign($("place-bar"), { max: found.bars, value: found.first_bar });
  Object.assign($("place-track"), { max: found.tracks, value: found.number });
  await push({ ...(await scored(found.notes)), title: printed(file.name), kind: "mine", how: found.place.slice(0, 180),
               tempo: Math.min(240, Math.max(40, found.tempo)) });
}

const MOST_BYTES = 16 * 2 ** 20;

function opened(chosen) {
  if (chosen.size > MOST_BYTES) throw new Error("A MIDI file has at most 16 MB here");
  return chosen;
}

const printed = (name) => name.replace(/\.midi?(\.gz)?$/i, "").slice(0, 80) || "My melody";

// A state of one melody with its rewards under the wishes.
async function scored(notes) {
  const rules = wishes();
  const { rules: names, melodies, pitch_classes, key } = await post("/score", { melodies: [notes], rules });
  return state({ rules: names, melodies, pitch_classes, key });
}

function state(answer) {
  const { rules = [], melodies, pitch_classes = null, key = null, how = "", seed = 1 } = answer;
  return { seed, tempo: store.state.tempo, wishes: wishes(), form: form(), rules, melodies, current: 0, starred: [], bars: [],
           before: null, pitch_classes, key, how };
}

async function transform() {
  const rules = wishes();
  if (!rules.length) throw new Error("Choose a scale, a density or a rule first, under Wishes");
  const { bars } = store.state;
  const title = `${store.state.title.replace(/^(Transformed )+/, "")}`;
  const job = await post("/transform", { melody: current().notes, rules, keep_bars: bars,
    strength: Number($("transform-strength").value) / 100, variations: Number($("variations").value), seed: store.state.seed });
  $("transform-text").textContent = "Searching around your melody; this takes some seconds";
  try {
    const result = await follow(job.id, (event) => {
      $("transform-text").textContent = `Searching around your melody, ${Math.round(event.progress * 100)}% done`;
    });
    const kept = Math.round(result.notes_kept[0] * 100);
    $("transform-text").textContent = `${kept}% of your notes are where they were`;
    await push({ ...state(result), title: `Transformed ${title}`.slice(0, 180), kind: "transform", before: result.before, bars });
  } catch (error) {
    $("transform-text").textContent = "";
    throw error;
  }
}

async function reconstruct() {
  const { notes } = current();
  const { melodies: [melody] } = await post("/reconstruct", { melody: notes });
  const own = await scored(melody.notes);
  await push({ ...own, title: `${store.state.title}, by the model`.slice(0, 180), kind: "reconstruct", before: notes,
               how: "encoded and decoded by the model" });
}

async function blend(other) {
  if (!other) return;
  const found = await readMidi(opened(other));
  const { melodies } = await post("/interpolate", { start: current().notes, end: found.notes, n: 17 });
  const scores = await post("/score", { melodies: melodies.map((one) => one.notes), rules: wishes() });
  await push({ ...state(scores), title: `From ${store.state.title} to ${printed(other.name)}`.slice(0, 180), kind: "blend",
               how: "seventeen steps through the model" });
  $("other-file").value = "";
  toast("Move the slider under the roll");
}
