// Piano rolls: the large one with bars to choose and a playhead, and small ones.

import { h, svg } from "./dom.js";
import { BARS, STEPS, STEPS_PER_BAR, letters } from "./form.js";

const GUTTER = 34;
const NARROW = 620;
const FEWEST_ROWS = 20;
const GAP_PIXELS = 1.5;
const GAP_STEPS = 1.5; // of small rolls, in which a step is about a pixel
const GAP_SHARE = 0.4;
const OUTLINE_PIXELS = 1.5; // of notes before a change, as in the style sheet

const isOutside = (pitch, pitchClasses) => pitchClasses && !pitchClasses.includes(pitch % 12);

// How long a note is drawn: shorter than it is, so that each of repeated ones is seen by itself.
const drawnLength = (length, gap) => length - Math.min(gap, GAP_SHARE * length);

function pitchRange(notes, rows) {
  const pitches = notes.map((note) => note[2]);
  if (!pitches.length) return [54, 54 + rows];
  let [low, high] = [Math.min(...pitches) - 2, Math.max(...pitches) + 2];
  const missing = Math.max(0, rows - (high - low));
  low -= Math.ceil(missing / 2);
  return [low, Math.max(high, low + rows)];
}

// A small roll without labels.
export function smallRoll(notes, pitchClasses) {
  const [low, high] = pitchRange(notes, 14);
  const roll = svg("svg", { class: "small-roll", viewBox: `0 0 256 ${(high - low) * 3}`,
                            preserveAspectRatio: "none", "aria-hidden": "true" });
  for (let bar = 4; bar < BARS; bar += 4) {
    const x = bar * STEPS_PER_BAR;
    roll.append(svg("line", { x1: x, x2: x, y1: 0, y2: (high - low) * 3, class: "bar-line" }));
  }
  for (const [onset, duration, pitch] of notes) {
    roll.append(svg("rect", { x: onset, y: (high - pitch) * 3 - 1.5, width: drawnLength(duration, GAP_STEPS), height: 3,
                              class: isOutside(pitch, pitchClasses) ? "note outside" : "note" }));
  }
  return roll;
}

// The large roll. onBars(bars) is called with the chosen bars, onSeek(step) with a clicked place.
export class Roll {
  constructor(container, { onBars, onSeek }) {
    Object.assign(this, { container, onBars, onSeek, melody: null, lastBar: 1 });
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(container);
  }

  resized() {
    const width = this.container.clientWidth;
    if (width !== this.width && this.melody) this.draw(this.melody);
  }

  // melody: { notes, pitchClasses, before, bars }
  draw(melody) {
    this.melody = melody;
    this.width = this.container.clientWidth;
    this.systems = this.width < NARROW ? 2 : 1;
    this.barsEach = BARS / this.systems;
    const everything = [...melody.notes, ...(melody.before ?? [])];
    [this.low, this.high] = pitchRange(everything, FEWEST_ROWS);
    this.height = this.systems === 1 ? Math.max(240, Math.min(340, window.innerHeight * 0.31)) : 180;
    this.noteShapes = [];
    this.playheads = [];
    const focused = this.container.contains(document.activeElement) && document.activeElement.dataset.bar;
    this.container.replaceChildren(
      ...Array.from({ length: this.systems }, (_, number) => this.system(number)),
    );
    if (focused) this.container.querySelector(`[data-bar="${focused}"]`)?.focus();
  }

  system(number) {
    const first = number * this.barsEach;
    return h("div", { class: "system" }, this.header(first), this.picture(first));
  }

  header(first) {
    const { notes, bars } = this.melody;
    const [phrases, names] = [letters(notes, 4), letters(notes, 1)];
    const columns = `bars bars-${this.barsEach}`;
    const sections = Array.from({ length: this.barsEach / 4 }, (_, i) =>
      h("span", { class: "phrase" }, phrases[first / 4 + i]));
    const buttons = Array.from({ length: this.barsEach }, (_, i) => {
      const bar = first + i + 1;
      return h("button", { type: "button", class: "bar", "data-bar": bar, "aria-pressed": bars.includes(bar),
                           "aria-label": `Bar ${bar}, like ${names[bar - 1]}`,
                           onclick: (event) => this.choose(bar, event.shiftKey) },
        h("span", { class: "number" }, String(bar)), h("span", { class: "letter" }, names[bar - 1].toLowerCase()));
    });
    return h("div", { class: "roll-head" },
      h("div", { class: columns, "aria-hidden": "true" }, ...sections),
      h("div", { class: columns, role: "group", "aria-label": "Choose bars" }, ...buttons));
  }

  choose(bar, isRange) {
    const chosen = new Set(this.melody.bars);
    if (isRange) {
      const [from, to] = [Math.min(bar, this.lastBar), Math.max(bar, this.lastBar)];
      for (let one = from; one <= to; one += 1) chosen.add(one);
    } else if (!chosen.delete(bar)) chosen.add(bar);
    this.lastBar = bar;
    this.onBars([...chosen].sort((a, b) => a - b));
  }

  x(step) {
    const inside = step - this.from;
    return GUTTER + (inside / (this.barsEach * STEPS_PER_BAR)) * (this.width - GUTTER);
  }

  y(pitch) {
    return ((this.high - pitch) / (this.high - this.low)) * this.height;
  }

  picture(firstBar) {
    this.from = firstBar * STEPS_PER_BAR;
    const { from } = this;
    const until = from + this.barsEach * STEPS_PER_BAR;
    const picture = svg("svg", { class: "roll", width: this.width, height: this.height, role: "img",
                                 "aria-label": this.description() });
    picture.append(...this.rows(), ...this.barLines(from, until));
    const same = new Set(this.melody.notes.map(String));
    for (const note of this.melody.before ?? []) {
      if (!same.has(String(note))) this.note(picture, note, from, until, "before");
    }
    this.melody.notes.forEach((note, index) => {
      const kind = isOutside(note[2], this.melody.pitchClasses) ? "note outside" : "note";
      const shape = this.note(picture, note, from, until, kind);
      if (shape) (this.noteShapes[index] ??= []).push(shape);
    });
    const playhead = svg("line", { class: "playhead", y1: 0, y2: this.height, x1: 0, x2: 0 });
    picture.append(playhead);
    this.playheads.push({ line: playhead, from, until });
    picture.addEventListener("pointerdown", (event) => {
      const share = (event.offsetX - GUTTER) / (this.width - GUTTER);
      this.onSeek(Math.max(0, Math.min(STEPS - 1, from + share * (until - from))));
    });
    return picture;
  }

  rows() {
    const row = this.height / (this.high - this.low);
    const shapes = [];
    for (let pitch = this.low + 1; pitch < this.high; pitch += 1) {
      const y = this.y(pitch) - row / 2;
      if (isOutside(pitch, this.melody.pitchClasses)) {
        shapes.push(svg("rect", { class: "row-outside", x: GUTTER, y, width: this.width - GUTTER, height: row }));
      }
      if (pitch % 12 === 0) {
        shapes.push(svg("line", { class: "octave", x1: GUTTER, x2: this.width, y1: y + row, y2: y + row }));
        shapes.push(svg("text", { class: "pitch", x: GUTTER - 7, y: y + row / 2, "text-anchor": "end",
                                  "dominant-baseline": "central" }, `C${pitch / 12 - 1}`));
      }
    }
    return shapes;
  }

  barLines(from, until) {
    const shapes = [];
    for (const bar of this.melody.bars) {
      const step = (bar - 1) * STEPS_PER_BAR;
      if (step < from || step >= until) continue;
      shapes.push(svg("rect", { class: "chosen", x: this.x(step), y: 0, height: this.height,
                                width: this.x(step + STEPS_PER_BAR) - this.x(step) }));
    }
    for (let step = from; step <= until; step += STEPS_PER_BAR) {
      const kind = step % 64 ? "bar-line" : "bar-line phrase-line";
      const x = Math.min(this.x(step), this.width - 0.5);
      shapes.push(svg("line", { class: kind, x1: x, x2: x, y1: 0, y2: this.height }));
    }
    return shapes;
  }

  note(picture, [onset, duration, pitch], from, until, kind) {
    const [start, end] = [Math.max(onset, from), Math.min(onset + duration, until)];
    if (start >= end) return null;
    const row = this.height / (this.high - this.low);
    const tall = Math.max(4, Math.min(row * 0.86, 11));
    const x = this.x(start);
    const gap = kind === "before" ? GAP_PIXELS + OUTLINE_PIXELS : GAP_PIXELS;
    const shape = svg("rect", { class: kind, x, y: this.y(pitch) - tall / 2, height: tall,
                                width: drawnLength(this.x(end) - x, gap), rx: 3 });
    picture.append(shape);
    return shape;
  }

  description() {
    const { notes, pitchClasses } = this.melody;
    const outside = notes.filter((note) => isOutside(note[2], pitchClasses)).length;
    const rule = pitchClasses ? `, ${outside} outside the scale` : "";
    return `Piano roll of ${notes.length} notes in 16 bars${rule}, form ${letters(notes, 4).join(" ")}`;
  }

  // Show where the sound is, in steps; null hides the playhead.
  position(step) {
    for (const { line, from, until } of this.playheads) {
      const isHere = step !== null && step >= from && step < until;
      line.classList.toggle("shown", isHere);
      if (!isHere) continue;
      this.from = from;
      line.setAttribute("transform", `translate(${this.x(step)} 0)`);
    }
    const index = step === null ? -1
      : this.melody.notes.findIndex(([onset, duration]) => onset <= step && step < onset + duration);
    if (index === this.sounding) return;
    for (const shape of this.noteShapes[this.sounding] ?? []) shape.classList.remove("sounding");
    for (const shape of this.noteShapes[index] ?? []) shape.classList.add("sounding");
    this.sounding = index;
  }
}
