// Training of an actor for the wishes, with its curve as it grows.

import { follow, get, post } from "./api.js";
import { $, h, svg, toast } from "./dom.js";
import { form, setWishes, wishes } from "./wishes.js";

let job = null;

// onTrained() is called when an actor is there.
export async function start(onTrained) {
  $("train").addEventListener("click", () => begin(onTrained));
  $("train-cancel").addEventListener("click", async () => {
    $("train-text").textContent = "Ending; the best actor so far is kept";
    await post(`/jobs/${job}/cancel`).catch((error) => toast(error.message, true));
  });
  const { jobs } = await get("/jobs");
  const last = jobs.findLast((one) => one.kind === "train");
  if (last?.state === "running") watch(last, onTrained);
  else if (last?.state === "cut off") offerAgain(last, onTrained);
}

async function begin(onTrained) {
  const rules = wishes();
  try {
    watch(await post("/train", { rules, form: form() }), onTrained);
  } catch (error) {
    toast(error.message, true);
  }
}

// A training that a killed server left behind.
function offerAgain(last, onTrained) {
  $("training").hidden = false;
  $("train-cancel").hidden = true;
  $("train-text").textContent = `The training for ${last.title} was cut off when the studio ended. `;
  $("train-text").append(h("button", { type: "button", class: "link", onclick: () => {
    setWishes(last.title.split(", ").map((spec) => ({ spec, weight: 1 })));
    begin(onTrained);
  } }, "Train again"));
}

async function watch(started, onTrained) {
  job = started.id;
  $("training").hidden = false;
  $("train-cancel").hidden = false;
  $("train").disabled = true;
  $("train-text").textContent = "Preparing: the critic learns from the model's own melodies";
  const curve = [];
  try {
    const result = await follow(job, (event) => {
      if (event.all_satisfied === undefined) return;
      curve.push(event);
      drawCurve(curve);
      $("train-text").textContent = `${satisfied(event.all_satisfied, event)}; ${time(event.seconds_left)} left`;
    });
    $("train-text").textContent = result.shortcoming ?? `Trained: ${satisfied(result.best, result)}`;
    toast("Trained; these wishes are now drawn by their own actor");
    onTrained();
  } catch (error) {
    $("train-text").textContent = error.message;
    toast(error.message, true);
  } finally {
    $("train-cancel").hidden = true;
    $("train").disabled = false;
  }
}

function satisfied(share, { typical }) {
  return `${Math.round(share * 100)}% satisfy every rule${typical ? " and are typical" : ""}`;
}

function time(seconds) {
  if (seconds === null) return "some minutes";
  return seconds < 90 ? `about ${Math.ceil(seconds)} s` : `about ${Math.ceil(seconds / 60)} min`;
}

function drawCurve(curve) {
  const points = (value) => curve
    .map((event) => `${(event.progress * 280).toFixed(1)},${(78 - value(event) * 74).toFixed(1)}`).join(" ");
  const last = curve[curve.length - 1];
  const lines = last.rules.map((_, i) => svg("polyline", { class: "curve-rule", points: points((event) => event.satisfied[i]) }));
  $("curve").replaceChildren(
    svg("line", { class: "bar-line", x1: 0, x2: 280, y1: 78, y2: 78 }), svg("line", { class: "bar-line", x1: 0, x2: 280, y1: 4, y2: 4 }),
    ...lines, svg("polyline", { class: "curve-all", points: points((event) => event.all_satisfied) }));
  $("curve").setAttribute("aria-label", satisfied(last.all_satisfied, last));
}

