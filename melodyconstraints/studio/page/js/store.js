// What the page shows, and the history of it. The history is kept by the server, in a folder.

import { get, post, put } from "./api.js";
import { debounce, toast } from "./dom.js";

export const store = { state: null, number: null, states: [] };

const listeners = new Set();

// The number of each state that the server has.
const numbers = new WeakMap();

// Call a function after every change, with the state and what has changed: "all" where another state
// is shown, "new" where one was made from what the page wishes, "history", or names of fields.
export function subscribe(listener) {
  listeners.add(listener);
}

function tell(change) {
  for (const listener of listeners) listener(store.state, change);
}

export const current = () => store.state.melodies[store.state.current];

// Show a state that is in no history yet: the melody that comes with the page.
export function preview(state) {
  store.state = state;
  tell("all");
}

export async function load() {
  const found = await get("/history");
  store.states = found.states;
  if (found.position === null) await push(store.state);
  else await show(found.position, true);
}

// Moves in the history happen one after the other, each after the one before has its number.
let moves = Promise.resolve();

function inTurn(move) {
  const done = moves.then(move);
  moves = done.catch(() => {});
  return done;
}

// Add a state after the one that is shown.
export const push = (state) => inTurn(async () => {
  await save.now();
  store.state = { ...state, parent: store.number };
  store.number = null;
  tell("new");
  const { number } = await post("/history", store.state);
  numbers.set(store.state, number);
  store.number = number;
  store.states.push(thumbnail(number, store.state));
  tell("history");
  await save.now();  // a star, say, that was given meanwhile
});

// Put a state in the place of the one that is shown.
export function replace(state) {
  const number = numbers.get(store.state);
  store.state = { ...state, parent: store.state.parent };
  if (number) numbers.set(store.state, number);
  renew();
  tell("new");
  save();
}

// Change the shown state in place: another candidate, a star, bars, the tempo.
export function amend(changes) {
  Object.assign(store.state, changes);
  renew();
  tell(Object.keys(changes));
  save();
}

export const show = (number, isFirst = false) => inTurn(() => goTo(number, isFirst));

export const undo = () => inTurn(async () => {
  if (store.state.parent) await goTo(store.state.parent);
  else toast("This is the beginning");
});

export const redo = () => inTurn(async () => {
  const next = store.states.findLast((one) => one.parent === store.number);
  if (next) await goTo(next.number);
  else toast("Nothing to redo");
});

async function goTo(number, isFirst = false) {
  await save.now();
  const state = await get(`/history/${number}`);
  await save.now();  // what was changed meanwhile
  store.state = state;
  numbers.set(store.state, number);
  store.number = number;
  tell("all");
  if (!isFirst) await put("/history/position", { number });
}

function renew() {
  const at = store.states.findIndex((one) => one.number === store.number);
  if (at >= 0) store.states[at] = thumbnail(store.number, store.state);
}

function thumbnail(number, state) {
  const { parent, title, seed, starred, melodies } = state;
  return { number, parent, title, seed, starred: starred.length > 0,
           notes: melodies[state.current].notes };
}

// Write the shown state, once it has a number and has been left alone for a moment.
const save = (() => {
  let waiting = null;
  const write = async () => {
    const state = waiting;
    if (!numbers.has(state)) return;
    waiting = null;
    await put(`/history/${numbers.get(state)}`, state).catch((error) => toast(error.message, true));
  };
  const later = debounce(300, write);
  const schedule = () => {
    waiting = store.state;
    later();
  };
  schedule.now = write;
  return schedule;
})();

addEventListener("pagehide", save.now);
