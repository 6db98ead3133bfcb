// The page: what is shown, and what the buttons do.

import { get, post } from "./api.js";
import * as candidates from "./candidates.js";
import * as code from "./code.js";
import { $, busy, toast } from "./dom.js";
import { letters, STEPS_PER_BAR, STEPS } from "./form.js";
import * as keys from "./keys.js";
import * as mine from "./mine.js";
import * as out from "./out.js";
import { Player } from "./player.js";
import { Roll } from "./roll.js";
import { amend, current, load, preview, push, redo, replace, store, subscribe, undo } from "./store.js";
import * as strip from "./strip.js";
import * as train from "./train.js";
import * as wishes from "./wishes.js";

const COUNT = 8;
const MOST_SEED = 2 ** 31 - 1;

const roll = new Roll($("roll"), {
  onBars: (bars) => amend({ bars }),
  onSeek: (step) => player.seek(step),
});

const player = new Player({
  onPosition: (step) => roll.position(step),
  onState: (isPlaying) => {
    $("play").setAttribute("aria-pressed", isPlaying);
    $("play").setAttribute("aria-label", isPlaying ? "Pause" : "Play");
  },
});

function drawMelody(state) {
  const melody = current();
  roll.draw({ notes: melody.notes, pitchClasses: state.pitch_classes, bars: state.bars,
              before: $("overlay").checked ? state.before : null });
  roll.position(player.playing ? player.position() : player.resting || null);
  $("title").textContent = state.title;
  const outside = state.pitch_classes ? melody.notes.filter((note) => !state.pitch_classes.includes(note[2] % 12)).length : 0;
  $("facts").textContent = [`${melody.notes.length} notes`, `form ${letters(melody.notes, 4).join(" ")}`,
                            ...(state.pitch_classes ? [`${outside} outside the scale`] : []), `seed ${state.seed}`].join(" · ");
  $("how").textContent = state.how;
  $("overlay-label").hidden = !state.before;
  wishes.showRewards(state.rules, melody);
  out.prefetch();
}

function drawBars(state) {
  const { bars } = state;
  const text = bars.length ? `Keep ${ranges(bars)}, re-roll the rest` : "Re-roll every bar";
  $("reroll-text").textContent = text;
  $("vary-text").textContent = bars.length ? `Vary only ${ranges(bars)}` : "Vary the whole melody";
  $("bars-clear").hidden = !bars.length;
  $("bars-hint").hidden = bars.length > 0;
  const [first, last] = [bars[0] - 1, bars[bars.length - 1]];
  player.setRange(bars.length ? [first * STEPS_PER_BAR, last * STEPS_PER_BAR] : [0, STEPS]);
}

function ranges(bars) {
  const runs = [];
  for (const bar of bars) {
    const run = runs[runs.length - 1];
    if (run && run[1] === bar - 1) run[1] = bar;
    else runs.push([bar, bar]);
  }
  return `bar${bars.length > 1 ? "s" : ""} ${runs.map(([a, b]) => (a === b ? a : `${a}–${b}`)).join(", ")}`;
}

function setTempo(tempo) {
  $("tempo").value = tempo;
  $("tempo-text").textContent = `${Math.round(tempo)}`;
  player.setTempo(tempo);
}

function onChange(state, change) {
  const isWhole = change === "all" || change === "new";
  const is = (...names) => isWhole || names.some((name) => change.includes(name));
  if (change === "history") {
    strip.draw();
    return;
  }
  if (change === "all") wishes.setWishes(state.wishes, state.rules, state.form);
  if (isWhole) {
    $("seed").value = state.seed;
    $("overlay").checked = Boolean(state.before) && state.kind !== "reroll";
    candidates.draw(state);
    strip.draw();
  }
  if (is("tempo")) setTempo(state.tempo);
  if (is("current", "starred")) {
    candidates.mark(state);
    $("blend-slider").value = state.current;
    strip.draw();
  }
  if (is("bars")) drawBars(state);
  if (is("current", "bars")) drawMelody(state);
  if (is("current")) player.change(current().notes);
}

// Show an answer of the API as a new state; candidates with stars stay in front.
async function showAnswer(answer, fields) {
  const { starred, melodies } = store.state;
  const kept = starred.map((index) => melodies[index]);
  const rules = wishes.wishes();
  const rewarded = kept.length
    ? (await post("/score", { melodies: kept.map((one) => one.notes), rules })).melodies : [];
  const isSameMove = fields.kind === "knobs" && store.state.kind === "knobs" && store.state.seed === answer.seed;
  await (isSameMove ? replace : push)({
    seed: answer.seed, tempo: store.state.tempo, wishes: rules, form: wishes.form(), rules: answer.rules,
    melodies: [...rewarded, ...answer.melodies].slice(0, 64), current: rewarded.length,
    starred: rewarded.map((_, index) => index), bars: [], before: null,
    pitch_classes: answer.pitch_classes, key: answer.key,
    how: answer.how, ...fields,
  });
}

const describe = (rules) => [...(wishes.form() ? [wishes.form()] : []), ...rules.map(({ spec }) => spec.replace(/^(scale|density|code):/, (_, name) => (name === "density" ? "≥ " : ""))
  .replaceAll("-", " ").replace(":", " "))].join(", ").slice(0, 180) || "The model's own";

async function generate(seed, kind = "generate") {
  const before = store.state;
  $("seed").value = seed;
  candidates.waiting(COUNT);
  try {
    const rules = wishes.wishes();
    const answer = await post("/generate", { rules, n: COUNT, seed, form: wishes.form() });
    // What has come meanwhile was asked for after the knob was moved, such as a transformation.
    if (kind === "knobs" && store.state !== before) candidates.draw(store.state);
    else await showAnswer(answer, { title: describe(rules), kind });
  } catch (error) {
    candidates.draw(store.state);
    throw error;
  }
}

let [moved, waits] = [false, false];

// Draw again with the same seed, after whatever is being drawn; a knob that moves meanwhile has it
// done once more.
async function regenerate() {
  moved = true;
  if (waits) return;
  waits = true;
  while (moved) {
    while ($("generate").getAttribute("aria-busy") === "true") await new Promise((resolve) => setTimeout(resolve, 40));
    moved = false;
    await busy($("generate"), () => generate(Number($("seed").value) || 1, "knobs"));
  }
  waits = false;
}

const nextSeed = () => (Number($("seed").value) % MOST_SEED) + 1;

// Other melodies in place of the current one, which lies behind them for comparison.
async function reroll(keep, verb) {
  candidates.waiting(COUNT);
  const { notes } = current();
  const { bars } = store.state;
  try {
    const answer = await post("/reroll", { melody: notes, keep_bars: keep, strength: Number($("strength").value) / 100,
                                           rules: wishes.wishes(), n: COUNT, seed: nextSeed(), form: wishes.form() });
    await showAnswer(answer, { title: `${verb}${bars.length ? ` ${ranges(bars)}` : ""}`, kind: "reroll", before: notes, bars });
  } catch (error) {
    candidates.draw(store.state);
    throw error;
  }
}

const others = (bars) => Array.from({ length: 16 }, (_, i) => i + 1).filter((bar) => !bars.includes(bar));

function startButtons() {
  const on = (id, work) => $(id).addEventListener("click", () => busy($(id), work));
  on("generate", () => generate(nextSeed()));
  on("reroll", () => reroll(store.state.bars, "Kept"));
  on("vary", () => reroll(store.state.bars.length ? others(store.state.bars) : [], "Varied"));
  on("undo", undo);
  on("redo", redo);
  $("bars-clear").addEventListener("click", () => amend({ bars: [] }));
  $("seed").addEventListener("change", regenerate);
  $("play").addEventListener("click", () => player.toggle());
  $("loop").addEventListener("click", () => {
    player.isLooping = !player.isLooping;
    $("loop").setAttribute("aria-pressed", player.isLooping);
  });
  $("tempo").addEventListener("input", () => amend({ tempo: Number($("tempo").value) }));
  $("voice").addEventListener("change", () => chooseVoice($("voice").value));
  $("volume").addEventListener("input", () => player.setVolume(Number($("volume").value) / 100));
  $("overlay").addEventListener("change", () => drawMelody(store.state));
  $("blend-slider").addEventListener("input", () => candidates.choose(Number($("blend-slider").value)));
  $("theme").addEventListener("click", toggleTheme);
  $("help-open").addEventListener("click", () => $("help").showModal());
  $("help-close").addEventListener("click", () => $("help").close());
}

// A voice of the page, or a MIDI port of this machine.
async function chooseVoice(value) {
  player.output?.clear?.();
  player.output = null;
  if (value !== "midi") {
    player.voice = value;
    return;
  }
  try {
    const access = await navigator.requestMIDIAccess();
    [player.output] = access.outputs.values();
    if (!player.output) throw new Error("No MIDI port is there");
    toast(`Playing to ${player.output.name}`);
  } catch (error) {
    player.output = null;
    $("voice").value = player.voice;
    toast(error.message || "The browser gave no MIDI port", true);
  }
}

function startTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const choose = (tab) => {
    for (const one of tabs) {
      one.setAttribute("aria-selected", one === tab);
      one.tabIndex = one === tab ? 0 : -1;
      $(one.getAttribute("aria-controls")).hidden = one !== tab;
    }
  };
  for (const tab of tabs) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const open = tabs.filter((one) => !one.hidden);
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = open[(open.indexOf(tab) + step + open.length) % open.length];
      choose(next);
      next.focus();
    });
  }
}

function startKeys() {
  const press = (id) => () => $(id).click();
  keys.start([
    ["Space", "Play or pause", keys.key(" "), press("play")],
    ["G", "Generate eight melodies", keys.key("g"), press("generate")],
    ["R", "Keep the chosen bars, re-roll the rest", keys.key("r"), press("reroll")],
    ["V", "Vary the chosen bars", keys.key("v"), press("vary")],
    ["← →", "The melody before, the next one", keys.key("ArrowLeft", "ArrowRight"),
      (event) => candidates.choose(store.state.current + (event.key === "ArrowLeft" ? -1 : 1))],
    ["1 … 8", "One of the candidates", (event) => /^[1-9]$/.test(event.key) && !event.ctrlKey && !event.metaKey,
      (event) => { if (Number(event.key) <= store.state.melodies.length) candidates.choose(Number(event.key) - 1); }],
    ["S", "Keep this one: a star", keys.key("s"), () => candidates.toggleStar(store.state.current)],
    ["L", "Loop on or off", keys.key("l"), press("loop")],
    ["[ ]", "Slower, faster", keys.key("[", "]"),
      (event) => amend({ tempo: Math.min(240, Math.max(40, store.state.tempo + (event.key === "]" ? 4 : -4))) })],
    ["Ctrl Z", "Undo", keys.command("z", false), undo],
    ["Ctrl Shift Z", "Redo", keys.command("z", true), redo],
    ["D", "Download", keys.key("d"), press("out-file")],
    ["E", "Format, velocities and swing of files", keys.key("e"), press("export-open")],
    ["T", "Dark or light", keys.key("t"), press("theme")],
    ["?", "This list", (event) => event.key === "?", press("help-open")],
  ]);
}

function toggleTheme() {
  const isDark = getComputedStyle(document.documentElement).colorScheme === "dark"
    || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  setTheme(isDark ? "light" : "dark");
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch { /* private windows keep nothing */ }
}

async function watchModels() {
  for (;;) {
    const status = await get("/status");
    const text = { ready: "Ready", failed: "The models did not load", loading: "Loading the models…" };
    $("status").textContent = text[status.models] ?? text.loading;
    $("status").dataset.state = status.models;
    if (status.models === "ready" || status.models === "failed") return;
    await new Promise((resolve) => setTimeout(resolve, 700));
  }
}

async function begin() {
  try {
    setTheme(localStorage.getItem("theme") ?? "");
  } catch { /* private windows keep nothing */ }
  subscribe(onChange);
  startButtons();
  startTabs();
  startKeys();
  if (!navigator.requestMIDIAccess) $("voice").querySelector("[value=midi]").remove();
  out.start(() => player.voice);
  preview(JSON.parse($("first").textContent));
  await new Promise((resolve) => setTimeout(resolve, 60));  // the first paint goes before
  const status = await get("/status");
  $("out-save").title = `Writes to ${status.save_to}`;
  await wishes.start({
    onKnob: () => { if (wishes.onlyKnobs()) regenerate(); },
    onOther: () => { $("generate").classList.add("fresh"); setTimeout(() => $("generate").classList.remove("fresh"), 900); },
  });
  await load();
  mine.start();
  code.start(status.allow_code, (spec, name) => {
    wishes.add(spec, name);
    $("tab-wishes").click();
  });
  await train.start(regenerate);
  document.documentElement.dataset.ready = "";
  watchModels().catch(() => { $("status").textContent = "The studio does not answer"; });
}

begin().catch((error) => toast(error.message, true));
