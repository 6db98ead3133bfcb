"""Piano rolls of the page: repeated notes stand apart. Skipped where there is no Node."""

import json
import shutil
import subprocess
from itertools import pairwise

import pytest

from melodyconstraints.studio import app

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(not NODE, reason="no Node")
SCRIPT = """
globalThis.document = { createElementNS: (_, tag) => ({ tag, children: [], attributes: {},
  setAttribute(name, value) { this.attributes[name] = value; },
  append(...more) { this.children.push(...more); } }) };
const { Roll, smallRoll } = await import(process.argv[1]);
const notes = [[16, 4, 60], [20, 4, 60], [24, 1, 60], [25, 1, 60], [26, 1, 60]];
const spans = (roll) => roll.children.filter((one) => one.tag === "rect")
  .map(({ attributes: { x, width } }) => [x, x + width]);
const large = (width, kind) => {
  const roll = Object.assign(Object.create(Roll.prototype),
    { width, from: 0, barsEach: 16, low: 50, high: 70, height: 240 });
  const picture = document.createElementNS("", "svg");
  for (const note of notes) roll.note(picture, note, 0, 256, kind);
  return spans(picture);
};
const rolls = { small: spans(smallRoll(notes)), wide: large(34 + 4 * 256, "note"),
                narrow: large(34 + 2.5 * 256, "note"), before: large(34 + 4 * 256, "before") };
console.log(JSON.stringify(rolls));
"""


@pytest.fixture(scope="module")
def rolls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(app.PAGE / "js", folder / "js")
    (folder / "package.json").write_text('{"type": "module"}')
    script = (folder / "js" / "roll.js").as_uri()
    command = [NODE, "--input-type=module", "-e", SCRIPT, script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_notes_of_a_small_roll_stand_apart_in_steps(rolls):
    expected = [(16, 18.5), (20, 22.5), (24, 24.6), (25, 25.6), (26, 26.6)]
    assert rolls["small"] == [pytest.approx(one) for one in expected]


@pytest.mark.parametrize(
    ("roll", "step", "gaps"),
    [
        ("wide", 4, [1.5, 1.5, 1.5, 1.5]),
        ("narrow", 2.5, [1.5, 1.5, 1, 1]),  # four tenths of a note, at most
        ("before", 4, [3, 3, 1.6, 1.6]),  # of which an outline takes 1.5
    ],
)
def test_notes_of_the_large_roll_stand_apart_in_pixels(rolls, roll, step, gaps):
    spans = rolls[roll]
    assert [left for left, _ in spans] == [34 + step * onset for onset in (16, 20, 24, 25, 26)]
    found = [after[0] - before[1] for before, after in pairwise(spans)]
    assert found == pytest.approx(gaps)
