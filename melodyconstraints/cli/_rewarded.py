"""Melodies that a command draws, and their rewards: in a manifest, in titles, on stderr."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodyconstraints.cli._actors import ActorSource
from melodyconstraints.cli._common import stderr_console
from melodyconstraints.cli._midi_results import MidiResult
from melodyconstraints.latent.satisfaction import SATISFIED, are_satisfied, reward_text
from melodyconstraints.storage.text import printable

if TYPE_CHECKING:
    from melodyconstraints.melody.events import Melodies
    from melodyconstraints.melody.vae.model import MelodyVAE
    from melodyconstraints.melody.vae.sampling import DrawingOptions
    from melodyconstraints.workflows.actor import MelodyActor


@dataclass(frozen=True)
class MelodySource:
    """Source of a command's melodies: an actor; without one the model, under no rule."""

    model: MelodyVAE
    actor: MelodyActor | None

    @classmethod
    def of(cls, source: ActorSource) -> MelodySource:
        """Load what the options ask for; stderr warns of rules that have no rewards."""
        from melodyconstraints.workflows.models import load_model

        actor = source.find()
        if actor is None:
            return cls(load_model(source.model_folder), None)
        for rule in actor.missing_rules:
            click.echo(f"Warning: {printable(rule.why)}", err=True)
        return cls(actor.model, actor)

    @property
    def colours(self) -> dict[str, Any]:
        """Pitch classes and tonic that the rules imply, as pictures show them."""
        actor = self.actor
        return {"pitch_classes": actor.pitch_classes, "tonic": actor.tonic} if actor else {}

    @property
    def _signature(self) -> tuple[str | None, tuple[str, ...]]:
        """Key signature and chords that the rules imply, as a file has them."""
        return (self.actor.key, self.actor.chords) if self.actor else (None, ())

    def facts(self, options: DrawingOptions, drawn: int) -> dict[str, Any]:
        """Entries of a manifest on how melodies were drawn.

        Args:
            drawn: number of melodies decoded for those that are written.
        """
        from melodyconstraints.melody.vae.sampling import Sampling

        actor = self.actor
        sampling = actor.sampling(options) if actor else Sampling.of(options)
        rules = actor.names if actor else []
        settings = {"model": self.model.fingerprint, "rules": rules, **asdict(sampling)}
        signature, chords = self._signature
        return {**settings, "drawn": drawn, "key_signature": signature, "chords": chords}

    def entries(self, melodies: Melodies, paths: Iterable[Path]) -> list[dict[str, Any]]:
        """Entries of a manifest for each melody: its file, notes and rewards.

        ``satisfied`` says whether it satisfies every rule whose weight is not 0; it is left out
        without rules, and where one of them is missing.
        """
        from melodyconstraints.rules.rewards import rewards_of

        actor = self.actor
        rules = [one for one in actor.rules if one not in actor.missing_rules] if actor else []
        active_rules = actor.active_rules if actor else []
        counts = bool(active_rules) and all(rule in rules for rule in active_rules)
        is_active, names = [rule in active_rules for rule in rules], [rule.name for rule in rules]
        entries: list[dict[str, Any]] = []
        for melody, path, own in zip(melodies, paths, rewards_of(rules, melodies), strict=True):
            rewards = dict(zip(names, own.tolist(), strict=True))
            entry = {"file": path.name, "notes": len(melody), "rewards": rewards}
            if counts:
                entry["satisfied"] = bool(are_satisfied(own[is_active]))
            entries.append(entry)
        return entries

    def results(
        self, melodies: Melodies, entries: Sequence[Mapping[str, Any]], output: Path, **played: Any
    ) -> list[MidiResult]:
        """Melodies as they are written, with rewards above their piano rolls.

        Args:
            entries: result of :meth:`entries`, one for each melody.
            played: ``tempo`` and ``program`` of :class:`.MidiResult`.
        """
        results, (key, chords) = [], self._signature
        for melody, entry in zip(melodies, entries, strict=True):
            path = output / entry["file"]
            pairs = entry["rewards"].items()
            rewards = ", ".join(f"{name} {reward_text(reward)}" for name, reward in pairs)
            title = f"{path.stem}: {entry['notes']} notes" + (f"; {rewards}" if rewards else "")
            results.append(MidiResult(melody, path, title, key=key, chords=chords, **played))
        return results


def say_satisfied(
    entries: Sequence[Mapping[str, Any]], remedy: str, *, allow_none: bool, more: str = ""
) -> bool:
    """Say on stderr how many melodies satisfy every rule; false where none does.

    Nothing is said without rules, or where one is missing.

    Args:
        entries: result of :meth:`MelodySource.entries`.
        remedy: advice where none satisfies every rule.
        allow_none: whether that is no error.
        more: further text where only some satisfy every rule.
    """
    satisfied = [entry["satisfied"] for entry in entries if "satisfied" in entry]
    if not satisfied:
        return True
    text = f"{sum(satisfied)} of {len(satisfied)} satisfy every rule"
    if any(satisfied) or allow_none:
        stderr_console().print(text + (f"; {more}" if more and not all(satisfied) else ""))
        return True
    never = [
        name
        for name in entries[0]["rewards"]
        if all(entry["rewards"][name] < SATISFIED for entry in entries)
    ]
    if len(never) < len(entries[0]["rewards"]) and never:
        text += f", and none satisfies {', '.join(map(printable, never))}"
    click.echo(f"Error: {text}: {remedy}; --allow-none makes this no error", err=True)
    return False
