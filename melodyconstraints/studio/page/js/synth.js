// A small synthesiser on Web Audio, without samples: a plucked string, an electric piano, a flute.

export const VOICES = { pluck: "Plucked string", keys: "Electric piano", flute: "Flute" };

const frequency = (pitch) => 440 * 2 ** ((pitch - 69) / 12);

// Numbers in [-1, 1) that are the same every time.
function noise(seed) {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state / 2147483648 - 1;
  };
}

// Karplus and Strong, 1983: a burst of noise in a delay line that loses its brightness.
function stringBuffer(context, pitch) {
  const rate = context.sampleRate;
  const period = rate / frequency(pitch);
  const line = new Float32Array(Math.max(2, Math.floor(period - 0.5)));
  const fraction = period - 0.5 - line.length;
  const random = noise(pitch + 1);
  let dark = 0;
  for (let i = 0; i < line.length; i += 1) {
    dark = 0.45 * dark + 0.55 * random();
    line[i] = dark;
  }
  const buffer = context.createBuffer(1, Math.floor(rate * 2.2), rate);
  const samples = buffer.getChannelData(0);
  const loss = pitch < 60 ? 0.499 : 0.4982;
  const tuning = (1 - fraction) / (1 + fraction);  // of an all-pass that delays by the fraction
  let [before, given, tuned] = [0, 0, 0];
  for (let i = 0, at = 0; i < samples.length; i += 1, at = (at + 1) % line.length) {
    const out = line[at];
    const averaged = loss * (out + before);
    before = out;
    tuned = tuning * (averaged - tuned) + given;
    given = averaged;
    line[at] = tuned;
    samples[i] = out;
  }
  return buffer;
}

// The room: noise that dies away.
function roomBuffer(context) {
  const length = Math.floor(context.sampleRate * 1.6);
  const buffer = context.createBuffer(2, length, context.sampleRate);
  for (const channel of [0, 1]) {
    const [samples, random] = [buffer.getChannelData(channel), noise(99 + channel)];
    for (let i = 0; i < length; i += 1) samples[i] = random() * (1 - i / length) ** 3.2;
  }
  return buffer;
}

export class Synth {
  constructor(context, volume = 0.8) {
    this.context = context;
    this.strings = new Map();
    this.master = new GainNode(context, { gain: volume });
    const compressor = new DynamicsCompressorNode(context, { threshold: -14, ratio: 4, release: 0.2 });
    const room = new ConvolverNode(context, { buffer: roomBuffer(context) });
    this.dry = new GainNode(context, { gain: 0.9 });
    this.wet = new GainNode(context, { gain: 0.16 });
    this.dry.connect(compressor);
    this.wet.connect(room).connect(compressor);
    compressor.connect(this.master).connect(context.destination);
    this.sounding = new Set();
  }

  play(voice, pitch, time, seconds) {
    const out = new GainNode(this.context, { gain: 0 });
    out.connect(this.dry);
    out.connect(this.wet);
    const sources = this[voice](pitch, time, seconds, out);
    const end = time + seconds + 0.5;
    for (const source of sources) {
      source.start(time);
      source.stop(end);
    }
    const sound = { out, sources };
    this.sounding.add(sound);
    sources[0].onended = () => {
      this.sounding.delete(sound);
      out.disconnect();
    };
  }

  pluck(pitch, time, seconds, out) {
    if (!this.strings.has(pitch)) this.strings.set(pitch, stringBuffer(this.context, pitch));
    envelope(out.gain, time, seconds, { attack: 0.002, level: 0.9, release: 0.18 });
    const source = new AudioBufferSourceNode(this.context, { buffer: this.strings.get(pitch) });
    source.connect(out);
    return [source];
  }

  keys(pitch, time, seconds, out) {
    const base = frequency(pitch);
    const carrier = new OscillatorNode(this.context, { frequency: base });
    const modulator = new OscillatorNode(this.context, { frequency: base });
    const bell = new OscillatorNode(this.context, { frequency: base * 7 });
    const depth = new GainNode(this.context, { gain: 0 });
    const ring = new GainNode(this.context, { gain: 0 });
    depth.gain.setValueAtTime(base * 1.6, time);
    depth.gain.setTargetAtTime(base * 0.25, time, 0.25);
    ring.gain.setValueAtTime(base * 0.5, time);
    ring.gain.setTargetAtTime(0, time, 0.04);
    modulator.connect(depth).connect(carrier.frequency);
    bell.connect(ring).connect(carrier.frequency);
    carrier.connect(out);
    out.gain.setValueAtTime(0, time);
    out.gain.linearRampToValueAtTime(0.42, time + 0.004);
    out.gain.setTargetAtTime(0.16, time + 0.004, 0.5);
    out.gain.setTargetAtTime(0, time + seconds, 0.09);
    return [carrier, modulator, bell];
  }

  flute(pitch, time, seconds, out) {
    const base = frequency(pitch);
    const parts = [[1, 1], [2, 0.22], [3, 0.06]];
    const vibrato = new OscillatorNode(this.context, { frequency: 5.1 });
    const width = new GainNode(this.context, { gain: 0 });
    width.gain.setTargetAtTime(base * 0.006, time + 0.18, 0.2);
    vibrato.connect(width);
    const oscillators = parts.map(([multiple, level]) => {
      const oscillator = new OscillatorNode(this.context, { frequency: base * multiple });
      width.connect(oscillator.frequency);
      oscillator.connect(new GainNode(this.context, { gain: level })).connect(out);
      return oscillator;
    });
    envelope(out.gain, time, seconds, { attack: 0.045, level: 0.3, release: 0.12 });
    return [...oscillators, vibrato];
  }

  // Let what sounds fade at once.
  silence() {
    const now = this.context.currentTime;
    for (const { out, sources } of this.sounding) {
      out.gain.cancelScheduledValues(now);
      out.gain.setTargetAtTime(0, now, 0.02);
      for (const source of sources) source.stop(now + 0.15);
    }
  }
}

function envelope(gain, time, seconds, { attack, level, release }) {
  gain.setValueAtTime(0, time);
  gain.linearRampToValueAtTime(level, time + Math.min(attack, seconds / 2));
  gain.setValueAtTime(level, time + seconds);
  gain.setTargetAtTime(0, time + seconds, release / 3);
}

// A melody as the bytes of a WAV file, rendered faster than it sounds.
export async function renderWav(notes, voice, tempo) {
  const [rate, step] = [44100, 60 / tempo / 4];
  const context = new OfflineAudioContext(2, Math.ceil(rate * (256 * step + 1.5)), rate);
  const synth = new Synth(context);
  for (const [onset, duration, pitch] of notes) {
    synth.play(voice, pitch, onset * step, duration * step);
  }
  return wavBytes(await context.startRendering());
}

function wavBytes(audio) {
  const [length, channels] = [audio.length, audio.numberOfChannels];
  const view = new DataView(new ArrayBuffer(44 + length * channels * 2));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, view.byteLength - 8, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, audio.sampleRate, true);
  view.setUint32(28, audio.sampleRate * channels * 2, true);
  view.setUint16(32, channels * 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, length * channels * 2, true);
  const data = Array.from({ length: channels }, (_, channel) => audio.getChannelData(channel));
  for (let i = 0, at = 44; i < length; i += 1) {
    for (const samples of data) {
      view.setInt16(at, Math.max(-1, Math.min(1, samples[i])) * 32767, true);
      at += 2;
    }
  }
  return new Blob([view.buffer], { type: "audio/wav" });
}
