// What the page shows, and the history of it. The history is kept by the server, in a folder.

import { get, post, put } from "./api.js";
import { debounce, toast } from "./dom.js";

export const store = { state: null, number: null, states: [] };

const listeners = new Set();

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

// Add a state after the one that is shown.
export async function push(state) {
  await save.now();
  store.state = { ...state, parent: store.number };
  store.number = null;
  tell("new");
  const { number } = await post("/history", store.state);
  store.number = number;
  store.states.push(thumbnail(number, store.state));
  tell("history");
}

// Put a state in the place of the one that is shown.
export function replace(state) {
  store.state = { ...state, parent: store.state.parent };
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

export async function show(number, isFirst = false) {
  await save.now();
  store.state = await get(`/history/${number}`);
  store.number = number;
  tell("all");
  if (!isFirst) await put("/history/position", { number });
}

export async function undo() {
  if (store.state.parent) await show(store.state.parent);
  else toast("This is the beginning");
}

export async function redo() {
  const next = store.states.findLast((one) => one.parent === store.number);
  if (next) await show(next.number);
  else toast("Nothing to redo");
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

const save = (() => {
  let waiting = null;
  const write = async () => {
    const job = waiting;
    waiting = null;
    if (job) await put(`/history/${job.number}`, job.state).catch((error) => toast(error.message, true));
  };
  const later = debounce(300, write);
  const schedule = () => {
    if (store.number === null) return;
    waiting = { number: store.number, state: store.state };
    later();
  };
  schedule.now = write;
  return schedule;
})();
