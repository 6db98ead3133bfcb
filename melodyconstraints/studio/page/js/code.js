// A rule in Python, checked by the server; only where the studio was started with --allow-code.

import { post } from "./api.js";
import { $, busy, h } from "./dom.js";

export const EXAMPLE = `def ends_on_c(melody):
    """The nearer the last note is to a C, the better."""
    if len(melody) == 0:
        return 0.0
    away = melody.pitches[-1] % 12
    return 1 - min(away, 12 - away) / 6
`;

// onAccepted(spec, name) is called when the user adds a rule that passed.
export function start(isAllowed, onAccepted) {
  $("tab-code").hidden = !isAllowed;
  if (!$("code").value) $("code").value = EXAMPLE;
  $("code").addEventListener("keydown", (event) => {
    if (event.key !== "Tab" || event.shiftKey || !event.ctrlKey) return;
    event.preventDefault();
    $("code").setRangeText("    ", $("code").selectionStart, $("code").selectionEnd, "end");
  });
  $("code-check").addEventListener("click", () => busy($("code-check"), async () => {
    $("code-report").replaceChildren(h("p", { class: "hint" }, "Checking, in a process of its own"));
    const report = await post("/rules/code", { text: $("code").value }).catch((error) => ({ error: error.message }));
    $("code-report").replaceChildren(...lines(report));
    if (!report.passed) return;
    $("code-report").append(h("button", { type: "button", class: "button", onclick: () => onAccepted(report.spec, report.name) }, "Add to wishes"));
  }));
}

function lines(report) {
  if (report.error) return [h("p", { class: "rule-message" }, report.error)];
  const findings = report.contract.map((one) =>
    h("li", { class: one.broken ? "broken" : "satisfied" }, one.says, one.broken ? h("p", {}, one.broken) : null));
  const spreads = Object.entries(report.distributions ?? {}).map(([name, spread]) =>
    h("figure", { class: "spread" }, bars(spread),
      h("figcaption", {}, `${name}: mean ${spread.mean.toFixed(2)}, ${Math.round(spread.satisfied * 100)}% satisfied`)));
  return [h("ul", { class: "findings" }, ...findings), ...spreads,
          report.verdict ? h("p", { class: "hint" }, `Verdict: ${report.verdict}.`) : null,
          report.typicality_text ? h("p", { class: "hint" }, report.typicality_text) : null]
    .filter(Boolean);
}

function bars(spread) {
  const most = Math.max(...spread.histogram);
  return h("div", { class: "histogram", "aria-hidden": "true" }, ...spread.histogram.map((share) => {
    const bar = h("span");
    bar.style.blockSize = `${Math.max(2, (share / most) * 40)}px`;
    return bar;
  }));
}
