// Ways out: files by download, MIDI by dragging, WAV, zip, files in a folder.

import { blob, post } from "./api.js";
import { $, busy, debounce, toast } from "./dom.js";
import { current, store } from "./store.js";
import { renderWav } from "./synth.js";

const exportBody = (melodies, name = nameOfState(), format = $("format").value) => ({
  melodies: melodies.map((melody) => melody.notes),
  tempo: store.state.tempo,
  key: store.state.key ?? null,
  seed: store.state.seed,
  velocity: $("velocity").value,
  swing: Number($("swing").value),
  format,
  name,
});

const nameOfState = () => (store.number ? `melody-${store.number}` : "melody");

function download(data, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(data);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// Starred candidates, or all where none has a star.
function chosen() {
  const { starred, melodies } = store.state;
  return starred.length ? starred.map((index) => melodies[index]) : melodies;
}

// Show what files will be: the format is the name of its button.
function showExport() {
  $("out-file").textContent = $("format").selectedOptions[0].textContent;
  const text = $("swing").value === "50" ? "straight" : `${$("swing").value}%`;
  $("swing-text").textContent = text;
  $("swing").setAttribute("aria-valuetext", text);
  prefetch();
}

async function downloadFile(path, melodies, name, ending = $("format").value) {
  download(await blob(path, exportBody(melodies)), `${name}.${ending}`);
}

export function start(voice) {
  const on = (id, work) => $(id).addEventListener("click", () => busy($(id), work));
  on("out-file", () => downloadFile("/midi", [current()], nameOfState()));
  on("out-wav", async () => download(await renderWav(current().notes, voice(), store.state.tempo), `${nameOfState()}.wav`));
  on("out-zip", () => downloadFile("/zip", chosen(), nameOfState(), "zip"));
  on("out-tracks", () => downloadFile("/midi", chosen(), `${nameOfState()}-tracks`));
  on("out-save", async () => {
    const { folder, files } = await post("/save", exportBody([current()]));
    const path = `${folder}/${files[0]}`;
    const copied = await navigator.clipboard?.writeText(path).then(() => ", path copied", () => "");
    toast(`Saved ${path}${copied ?? ""}`);
  });
  makeDraggable($("out-drag"), () => ({ melody: current(), name: nameOfState() }));
  $("export").addEventListener("input", showExport);
  showExport();
}

const urls = new WeakMap();

// Bytes must be at hand when a drag begins, so they are fetched when the pointer comes near.
async function fetchUrl(melody, name) {
  const body = exportBody([melody], name, "mid");
  const key = JSON.stringify(body);
  if (urls.get(melody)?.key === key) return;
  urls.set(melody, { key, url: null });
  const reader = new FileReader();
  reader.onload = () => urls.set(melody, { key, url: reader.result });
  reader.readAsDataURL(await blob("/midi", body));
}

// Make an element one that can be dragged into a DAW as a MIDI file, where the browser can.
export function makeDraggable(element, what) {
  const prepare = () => fetchUrl(what().melody, what().name).catch(() => {});
  for (const event of ["pointerenter", "pointerdown", "focus"]) element.addEventListener(event, prepare);
  element.addEventListener("dragstart", (event) => {
    const { melody, name } = what();
    const url = urls.get(melody)?.url;
    if (!url) {
      event.preventDefault();
      toast("The file was not ready; drag once more");
      return;
    }
    event.dataTransfer.effectAllowed = "copy";
    event.dataTransfer.setData("DownloadURL", `audio/midi:${name}.mid:${url}`);
    event.dataTransfer.setData("text/uri-list", url);
  });
}

export const prefetch = debounce(200, () => fetchUrl(current(), nameOfState()).catch(() => {}));
