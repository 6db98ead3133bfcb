// Small helpers to build the page; elements are made, never parsed from text.

export const $ = (id) => document.getElementById(id);

export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("aria-")) element.setAttribute(name, String(value));
    else if (value === false) continue;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// A reward of [0, 1] as text; only one that is satisfied reads as 1.
export const rewardText = (reward, satisfied, digits) =>
  (satisfied ? 1 : Math.min(reward, 1 - 10 ** -digits)).toFixed(digits);

let toastTimer;

// A line at the foot of the page, read out by screen readers.
export function toast(text, isError = false) {
  const line = $("toast");
  line.textContent = text;
  line.classList.toggle("error", isError);
  line.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => line.classList.remove("shown"), isError ? 7000 : 3500);
}

// Run what a button starts: the button is busy meanwhile, an error becomes a toast.
export async function busy(button, work) {
  if (button.getAttribute("aria-busy") === "true") return undefined;
  button.setAttribute("aria-busy", "true");
  try {
    return await work();
  } catch (error) {
    toast(error.message, true);
    return undefined;
  } finally {
    button.removeAttribute("aria-busy");
  }
}

export function debounce(milliseconds, work) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), milliseconds);
  };
}
