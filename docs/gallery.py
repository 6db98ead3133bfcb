"""The rule gallery: ``make gallery`` finds melodies for each rule, the page is drawn from them.

``gallery.json``, which is in the repository, has for each rule how it was asked for, how often it
is satisfied without being asked for, and the notes of two melodies that were found for it: of these
a build of the site makes pictures and sounds. Of a run that is stopped the next one finds what is
missing; to have all anew, remove the file.
"""

from __future__ import annotations

import json
import sys
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent)]

FOUND = DOCS / "gallery.json"
SEED = 1
COUNT = 256
"""Melodies under no rule in which those are counted that satisfy each; the first two are shown."""
RATE = 16_000
"""Samples a second of the sounds: a megabyte each."""


def gallery_page(pictures: Path, sounds: Path) -> str:
    """The rules with formula and source, picture and sound.

    Args:
        pictures, sounds: folders that they are written to; those newer than what was found are kept.
    """
    from melodyconstraints.rules import library

    found = _read()
    free = found["under no rule"]
    page = [
        "# Rule gallery",
        "On top two melodies of the packaged generator under no rule, below them two that `mc "
        "generate --rule RULE` finds, with their rewards, as `make gallery` wrote them down. A rule "
        "that names no source is of this project. [How rules are written](../rules.md).",
    ]
    group = None
    for row in library():
        if row.group != group:
            group = row.group
            page.append(f"## {group.capitalize()}")
        page += [f"### {row.name}", f"`{row.example}`: {row.summary}.", row.formula]
        if row.name in found:
            one = found[row.name]
            _draw(free, one, pictures / f"{row.name}.png")
            _play(one, sounds / f"{row.name}.wav")
            page += [
                f"![Two melodies under no rule and two under {one['rule']}]({row.name}.png)",
                f"Satisfied by {one['before']:.1%} of {COUNT} melodies under no rule. The third "
                "sounds so:",
                f'<audio controls preload="none" src="../_static/{row.name}.wav"></audio>',
            ]
    return "\n\n".join(page) + "\n"


def _draw(free: dict[str, Any], one: dict[str, Any], path: Path) -> None:
    from melodyconstraints.melody.plots import plot_melodies
    from melodyconstraints.studio.schemas import melody_of

    if _is_new(path):
        return
    melodies = [melody_of(notes) for notes in (*free["melodies"], *one["melodies"])]
    told = ["under no rule", "under no rule", one["rule"], one["rule"]]
    titles = [f"{name}: {reward:.2f}" for name, reward in zip(told, one["rewards"], strict=True)]
    plot_melodies(melodies, path, titles=titles)


def _play(one: dict[str, Any], path: Path) -> None:
    from melodyconstraints.melody.sound import pluck_melody, wav_bytes
    from melodyconstraints.studio.schemas import melody_of

    if not _is_new(path):
        path.write_bytes(wav_bytes(pluck_melody(melody_of(one["melodies"][0]), rate=RATE), RATE))


def _is_new(path: Path) -> bool:
    return path.exists() and path.stat().st_mtime > FOUND.stat().st_mtime


def find_gallery() -> None:
    """Find melodies for each rule of the library that has none yet, and write them down."""
    import melodyconstraints as mc
    from melodyconstraints.latent.satisfaction import SATISFIED
    from melodyconstraints.rules import library
    from melodyconstraints.studio.schemas import notes_of

    model = mc.load_model()
    free = mc.generate(model, COUNT, seed=SEED)
    found = _read() or {"under no rule": {"melodies": [notes_of(one) for one in free[:2]]}}
    with TemporaryDirectory() as folder, chdir(folder):
        mc.write_melody(free[0], "tune.mid")  # of which the rule of novelty is
        for row in library():
            if row.name in found:
                continue
            rule = mc.find_rule(row.example)
            melodies = mc.generate(model, 2, [rule], seed=SEED)
            before = rule(free)
            rewards = [*before[:2], *rule(melodies)]
            found[row.name] = {
                "rule": row.example,
                "before": round(float((before >= SATISFIED).mean()), 4),
                "rewards": [round(float(reward), 4) for reward in rewards],
                "melodies": [notes_of(one) for one in melodies],
            }
            _write(found)
            print(f"{row.example}: {rewards[2]:.3f}, {rewards[3]:.3f}", flush=True)


def _read() -> dict[str, Any]:
    return json.loads(FOUND.read_text(encoding="utf-8")) if FOUND.exists() else {}


def _write(found: dict[str, Any]) -> None:
    """One line a rule, so that a change of one is a change of one line."""
    lines = [f"{json.dumps(name)}: {json.dumps(one)}" for name, one in found.items()]
    FOUND.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    find_gallery()
