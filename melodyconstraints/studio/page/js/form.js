// Which bars and phrases of a melody repeat which: letters as musicians write them.

export const STEPS = 256;
export const BARS = 16;
export const STEPS_PER_BAR = 16;
const ALIKE = 0.5;

const notesIn = (notes, first, bars) => {
  const [start, end] = [first * STEPS_PER_BAR, (first + bars) * STEPS_PER_BAR];
  return new Set(
    notes
      .filter(([onset]) => onset >= start && onset < end)
      .map(([onset, , pitch]) => `${onset - start}/${pitch}`),
  );
};

function likeness(one, other) {
  if (!one.size && !other.size) return 1;
  const both = [...one].filter((note) => other.has(note)).length;
  return (2 * both) / (one.size + other.size);
}

// A letter for each section of so many bars: the same where they are the same, with a prime where
// at least half of their notes are.
export function letters(notes, bars) {
  const seen = [];
  return Array.from({ length: BARS / bars }, (_, number) => {
    const own = notesIn(notes, number * bars, bars);
    if (!own.size) return "–";
    const best = seen.map((one) => [likeness(own, one.notes), one.letter]).sort((a, b) => b[0] - a[0])[0];
    if (best && best[0] > ALIKE) return best[0] === 1 ? best[1] : `${best[1]}′`;
    const letter = String.fromCharCode(65 + seen.length);
    seen.push({ notes: own, letter });
    return letter;
  });
}
