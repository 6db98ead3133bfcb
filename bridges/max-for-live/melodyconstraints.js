// Live 12: a MIDI generator that fills a clip with a melody of melodyconstraints.
//
// Start `mc studio`; melodyconstraints.maxpat shows how this is wired. Live wants its notes at once
// when it asks, and the studio answers when it can. So a wish is sent first, its answer is kept,
// and then live.miditool.in is told to ask again.
//
// inlet 0: wishes by name, and the dictionary of the clip's notes; inlet 1: that of its context
// outlet 0: notes for live.miditool.out; outlet 1: bang for live.miditool.in; outlet 2: a line of text

autowatch = 1;
inlets = 2;
outlets = 3;

var ADDRESS = "http://127.0.0.1:8127";
var STEPS_PER_BEAT = 4;
var VELOCITY = 96;
var PATIENCE = 300; // milliseconds that a control must rest before a wish is sent
var OF_THE_CLIP = "of the clip";
var AS_MELODIES_HAVE_IT = "auto";
var TONICS = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];
var SCALES = {
  "major": [0, 2, 4, 5, 7, 9, 11],
  "minor": [0, 2, 3, 5, 7, 8, 10],
  "dorian": [0, 2, 3, 5, 7, 9, 10],
  "phrygian": [0, 1, 3, 5, 7, 8, 10],
  "lydian": [0, 2, 4, 6, 7, 9, 11],
  "mixolydian": [0, 2, 4, 5, 7, 9, 10],
  "harmonic-minor": [0, 2, 3, 5, 7, 8, 11],
  "melodic-minor": [0, 2, 3, 5, 7, 9, 11],
  "major-pentatonic": [0, 2, 4, 7, 9],
  "minor-pentatonic": [0, 3, 5, 7, 10],
  "blues": [0, 3, 5, 6, 7, 10]
};

var wishes = { tonic: "C", scale: OF_THE_CLIP, notes: 48, form: AS_MELODIES_HAVE_IT, seed: 1 };
var context = {};
var asked = null;    // the last body that was sent
var answered = null; // the body that the melody answers
var melody = [];     // [onset, duration, pitch], in sixteenths
var rest = new Task(ask, this);

// Wishes, by the names that the patch puts before their values.

function tonic(name) { wish("tonic", name); }
function scale(name) { wish("scale", name); }
function notes(least) { wish("notes", least); }
function form(letters) { wish("form", letters); }
function seed(number) { wish("seed", number); }
function again() { wish("seed", wishes.seed + 1); }

function wish(name, value) {
  wishes[name] = value;
  rest.cancel();
  rest.schedule(PATIENCE);
}

// Live asks: the context comes first, then the notes, and notes must go out before this ends.

function dictionary(name) {
  var value = JSON.parse(new Dict(name).stringify());
  if (inlet === 1) {
    context = value;
    return;
  }
  var wanted = body();
  reply(wanted === answered ? placed() : []);
  if (wanted !== answered && wanted !== asked) {
    ask();
  }
}

function reply(found) {
  var answer = new Dict();
  answer.parse(JSON.stringify({ notes: found }));
  outlet(0, "dictionary", answer.name);
}

// Notes from the start of the selection on, as many as lie in it, in beats.
function placed() {
  var clip = context.clip || {};
  var first = clip.time_selection_start || 0;
  var end = clip.time_selection_end > first ? clip.time_selection_end : Infinity;
  var found = [];
  for (var i = 0; i < melody.length; i++) {
    var start = first + melody[i][0] / STEPS_PER_BEAT;
    if (start < end) {
      found.push({
        pitch: melody[i][2],
        start_time: start,
        duration: Math.min(melody[i][1] / STEPS_PER_BEAT, end - start),
        velocity: VELOCITY
      });
    }
  }
  return found;
}

// The studio is asked.

function ask() {
  var sent = body();
  var request = new XMLHttpRequest();
  asked = sent;
  request.open("POST", ADDRESS + "/generate");
  request.setRequestHeader("content-type", "application/json");
  request.onreadystatechange = function () {
    if (request.readyState === 4 && sent === asked) {
      take(sent, request.responseText);
    }
  };
  say("asks the studio");
  request.send(sent);
}

function take(sent, text) {
  var answer = {};
  try {
    answer = JSON.parse(text);
  } catch (problem) {
    answer.error = "The studio does not answer: start mc studio.";
  }
  asked = null;
  if (!answer.melodies) {
    say(answer.error || "The studio's answer has no melody.");
    return;
  }
  melody = answer.melodies[0].notes;
  answered = sent;
  say(melody.length + " notes in " + named() + ", seed " + wishes.seed);
  outlet(1, "bang");
}

function body() {
  var asks = {
    rules: [{ spec: "scale:" + named() }, { spec: "density:" + wishes.notes }],
    n: 1,
    seed: wishes.seed
  };
  if (wishes.form !== AS_MELODIES_HAVE_IT) {
    asks.form = wishes.form;
  }
  return JSON.stringify(asks);
}

// A scale such as D-dorian: the one chosen, or the clip's where Live has one that the studio knows.
function named() {
  var own = context.scale || {};
  if (wishes.scale !== OF_THE_CLIP) {
    return wishes.tonic + "-" + wishes.scale;
  }
  for (var name in SCALES) {
    if (String(SCALES[name]) === String(own.scale_intervals)) {
      return TONICS[own.root_note || 0] + "-" + name;
    }
  }
  return wishes.tonic + "-major";
}

function say(line) {
  outlet(2, "set", line);
}
