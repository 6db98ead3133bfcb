// Transport: plays a melody a little ahead of time, so that the sound never waits for the page.

import { STEPS } from "./form.js";
import { Synth } from "./synth.js";

const AHEAD_SECONDS = 0.15;
const TICK_MILLISECONDS = 30;

export class Player {
  // onPosition(step or null) is called for every frame, onState(isPlaying) at start and end.
  constructor({ onPosition, onState }) {
    Object.assign(this, { onPosition, onState, notes: [], tempo: 120, voice: "pluck", isLooping: true,
                          range: [0, STEPS], volume: 0.8, playing: false, resting: 0, output: null });
  }

  get step() {
    return 60 / this.tempo / 4;
  }

  position() {
    if (!this.playing) return this.resting;
    const now = this.context.currentTime;
    const anchor = now >= this.anchor.time ? this.anchor : this.earlier;
    return Math.max(0, anchor.step + (now - anchor.time) / this.step);
  }

  async play() {
    if (this.playing) return;
    if (!this.context) {
      this.context = new AudioContext({ latencyHint: "interactive" });
      this.synth = new Synth(this.context, this.volume);
    }
    await this.context.resume();
    this.playing = true;
    this.startAt(this.inRange(this.resting));
    this.timer = setInterval(() => this.tick(), TICK_MILLISECONDS);
    this.tick();
    this.frame();
    this.onState(true);
  }

  pause() {
    if (!this.playing) return;
    this.resting = this.inRange(this.position());
    this.end();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  seek(step) {
    this.resting = step;
    if (!this.playing) {
      this.onPosition(step);
      return;
    }
    this.silence();
    this.startAt(step);
    this.tick();
  }

  // Go on with other notes where the sound is.
  change(notes) {
    this.notes = notes;
    if (!this.playing) return;
    this.silence();
    this.startAt(this.position());
    this.tick();
  }

  setTempo(tempo) {
    const at = this.playing && this.position();
    this.tempo = tempo;
    if (this.playing) {
      this.anchor = { time: this.context.currentTime, step: at };
      this.earlier = this.anchor;
    }
  }

  setRange(range) {
    this.range = range;
    if (this.playing && this.inRange(this.position()) === range[0]) this.seek(range[0]);
    else if (!this.playing) this.resting = this.inRange(this.resting);
  }

  setVolume(volume) {
    this.volume = volume;
    this.synth?.master.gain.setTargetAtTime(volume, this.context.currentTime, 0.02);
  }

  inRange(step) {
    return step >= this.range[0] && step < this.range[1] - 0.5 ? step : this.range[0];
  }

  startAt(step) {
    this.anchor = { time: this.context.currentTime + 0.04, step };
    this.earlier = this.anchor;
    this.scheduled = step;
  }

  silence() {
    this.synth.silence();
    this.output?.clear?.();
  }

  end() {
    clearInterval(this.timer);
    this.playing = false;
    this.silence();
    this.onState(false);
    this.onPosition(this.resting);
  }

  tick() {
    const horizon = this.context.currentTime + AHEAD_SECONDS;
    for (;;) {
      const until = this.anchor.step + (horizon - this.anchor.time) / this.step;
      this.schedule(Math.min(until, this.range[1]));
      if (until < this.range[1]) return;
      const end = this.anchor.time + (this.range[1] - this.anchor.step) * this.step;
      if (!this.isLooping) {
        if (this.context.currentTime < end) return;
        this.resting = this.range[0];
        this.end();
        return;
      }
      this.earlier = this.anchor;
      this.anchor = { time: end, step: this.range[0] };
      this.scheduled = this.range[0];
    }
  }

  schedule(end) {
    for (const [onset, duration, pitch] of this.notes) {
      if (onset < this.scheduled || onset >= end) continue;
      const time = this.anchor.time + (onset - this.anchor.step) * this.step;
      const seconds = Math.min(duration, this.range[1] - onset) * this.step;
      this.sound(pitch, Math.max(time, this.context.currentTime), seconds);
    }
    this.scheduled = Math.max(this.scheduled, end);
  }

  sound(pitch, time, seconds) {
    if (!this.output) {
      this.synth.play(this.voice, pitch, time, seconds);
      return;
    }
    const at = performance.now() + (time - this.context.currentTime) * 1000;
    this.output.send([0x90, pitch, 96], at);
    this.output.send([0x80, pitch, 0], at + seconds * 1000 - 5);
  }

  frame() {
    if (!this.playing) return;
    this.onPosition(this.position());
    requestAnimationFrame(() => this.frame());
  }
}
