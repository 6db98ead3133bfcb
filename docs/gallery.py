"""The rule gallery: ``make gallery`` trains an actor for each rule, the page is drawn from theirs.

``gallery.json``, which is in the repository, has for each rule how often it is satisfied without
being asked for and by an actor for it, what a search without training finds, and the notes of two
of the actor's melodies: of these a build of the site makes pictures and sounds. Of a run that is
stopped, after minutes or hours, the next one trains what is missing; to have all anew, remove the
file.
"""

from __future__ import annotations

import json
import sys
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from melodyconstraints.melody.events import Melodies
    from melodyconstraints.melody.vae.model import MelodyVAE

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent)]

FOUND = DOCS / "gallery.json"
SEED = 1
COUNT = 256
"""Melodies under no rule, and of each actor, in which those are counted that satisfy its rule."""
ROUNDS = 50
"""Of each training: two or three minutes of one processor."""
RATE = 16_000
"""Samples a second of the sounds: a megabyte each."""


def gallery_page(pictures: Path, sounds: Path) -> str:
    """The rules with formula and source, picture and sound.

    Args:
        pictures, sounds: folders that they are written to; those newer than what was found are kept.
    """
    from melodyconstraints.latent.settings import PRESETS
    from melodyconstraints.rules import library

    found = _read()
    free = found["under no rule"]
    page = [
        "# Rule gallery",
        "On top two melodies of the packaged generator under no rule, below them the first two that "
        f"satisfy the rule, or come nearest, of an actor trained for it, with their rewards, as "
        f"`make gallery` wrote them down. It was trained for {ROUNDS} rounds; `mc train-actor "
        f"--rule RULE` takes {PRESETS['default'].rounds}, to better ends. It learned that melodies be "
        "[typical](../constraints.md#what-an-actor-learns-beside-its-rules) too, if nothing else is "
        f"told; under no rule {free['typical']:.1%} are. `mc generate --rule "
        "RULE` searches without training: the two melodies that it found satisfy each rule. A rule that names no source is of this project. [How rules are "
        "written](../rules.md).",
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
                f"![Two melodies under no rule, two of an actor for {one['rule']}]({row.name}.png)",
                f"Of {COUNT} melodies {one['before']:.1%} satisfy it under no rule, "
                f"**{one['actor']:.1%} with an actor** trained for it{_typical(one)}. A search "
                f"without training found rewards of {_two(one['search'])}. The two melodies of the actor have "
                f"{' and '.join(str(len(melody)) for melody in one['melodies'])} notes; the first "
                "of them sounds so:",
                f'<audio controls preload="none" src="../_static/{row.name}.wav"></audio>',
            ]
    return "\n\n".join(page) + "\n"


def _typical(one: dict[str, Any]) -> str:
    """How many of the actor's melodies are typical, and whether it was to learn that."""
    learned = "" if one["learned"] else ", which it did not learn"
    return f"; {one['typical']:.1%} of its melodies are typical{learned}"


def _two(rewards: list[float]) -> str:
    from melodyconstraints.latent.satisfaction import reward_text

    return " and ".join(map(reward_text, rewards))


def _draw(free: dict[str, Any], one: dict[str, Any], path: Path) -> None:
    from melodyconstraints.latent.satisfaction import reward_text
    from melodyconstraints.melody.plots import plot_melodies
    from melodyconstraints.studio.schemas import melody_of

    if _is_new(path):
        return
    melodies = [melody_of(notes) for notes in (*free["melodies"], *one["melodies"])]
    told = ["under no rule", "under no rule", one["rule"], one["rule"]]
    shown = zip(told, one["rewards"], strict=True)
    titles = [f"{name}: {reward_text(reward)}" for name, reward in shown]
    plot_melodies(melodies, path, titles=titles)


def _play(one: dict[str, Any], path: Path) -> None:
    from melodyconstraints.melody.sound import pluck_melody, wav_bytes
    from melodyconstraints.studio.schemas import melody_of

    if not _is_new(path):
        path.write_bytes(wav_bytes(pluck_melody(melody_of(one["melodies"][0]), rate=RATE), RATE))


def _is_new(path: Path) -> bool:
    return path.exists() and path.stat().st_mtime > FOUND.stat().st_mtime


def make_gallery() -> None:
    """Train an actor for each rule of the library that has none yet, and write down what it draws."""
    import melodyconstraints as mc
    from melodyconstraints.rules import library
    from melodyconstraints.studio.schemas import notes_of

    model = mc.load_model()
    free = mc.generate(model, COUNT, seed=SEED)
    melodies = [notes_of(one) for one in free[:2]]
    found = _read() or {"under no rule": {"typical": _typical_share(free), "melodies": melodies}}
    with TemporaryDirectory() as folder, chdir(folder):
        mc.write_melody(free[0], "tune.mid")  # of which the rule of novelty is
        for row in library():
            if row.name not in found:
                found[row.name] = one = _measure(model, row.example, free)
                _write(found)
                print(f"{row.example}: {one['before']:.1%}, {one['actor']:.1%}", flush=True)


def _measure(model: MelodyVAE, spec: str, free: Melodies) -> dict[str, Any]:
    """What the gallery tells of a rule.

    Args:
        free: melodies under no rule.
    """
    import melodyconstraints as mc
    from melodyconstraints.latent.satisfaction import SATISFIED
    from melodyconstraints.latent.settings import PRESETS
    from melodyconstraints.studio.schemas import notes_of
    from melodyconstraints.workflows.typical_reward import TYPICALITY

    rule = mc.find_rule(spec)
    before = rule(free)
    searched = rule(mc.generate(model, 2, [rule], seed=SEED))
    settings = replace(PRESETS["default"], rounds=ROUNDS)
    actor = mc.train_actor(model, [rule], settings=settings, seed=SEED, announce=print)
    melodies = actor.generate(COUNT, seed=SEED)
    rewards = rule(melodies)
    satisfied = rewards >= SATISFIED
    shown = np.argsort(-np.where(satisfied, 1, rewards), kind="stable")[:2]
    return {
        "rule": spec,
        "before": round(float((before >= SATISFIED).mean()), 4),
        "actor": round(float(satisfied.mean()), 4),
        "typical": _typical_share(melodies),
        "learned": TYPICALITY in actor.rewards,
        "search": searched.round(4).tolist(),
        "rewards": [round(float(reward), 4) for reward in (*before[:2], *rewards[shown])],
        "melodies": [notes_of(melodies[int(place)]) for place in shown],
    }


def _typical_share(melodies: Melodies) -> float:
    from melodyconstraints.melody.metrics.typical import full_typicality

    return round(float((full_typicality(melodies) >= 1).mean()), 4)


def _read() -> dict[str, Any]:
    return json.loads(FOUND.read_text(encoding="utf-8")) if FOUND.exists() else {}


def _write(found: dict[str, Any]) -> None:
    """One line a rule, so that a change of one is a change of one line."""
    lines = [f"{json.dumps(name)}: {json.dumps(one)}" for name, one in found.items()]
    FOUND.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    make_gallery()
