"""The ``onset`` rule against note-seq's ``Melody.from_quantized_sequence``, melody by melody.

::

    python benchmarks/against_note_seq.py MIDI_DIR [--own-tempos] [--limit N] [--json FILE]

A melody here is what one part (drums aside) holds in one stretch of 4/4 or 2/2, whole length. Ours
is ``Score.part_events(part, segment, "onset")``; theirs is note-seq's pipeline on the bytes of the
same file: read, split on time changes, quantise to sixteenths, ``from_quantized_sequence`` with
``ignore_polyphonic_notes=True`` and no limit to silence. What is made alike before they compare:

* Tempo. At every change of tempo note-seq begins a new stretch: it counts bars anew from there and
  cuts the notes that sound. In ours tempo has no part. So note-seq is given a file whose tempo
  changes with every tempo set to the first one, and both see the same stretches; a file of one
  tempo is read as it is. With ``--own-tempos`` all files are, and the stretches are joined.
* Joints. Where note-seq has several stretches in one of ours (we join 4/4 and 2/2 that meet on a
  bar line), its melodies are laid side by side.
* Vocabulary. Magenta's -2 (no event) and -1 (note off) become holds and rests. Its melody begins
  at the bar of the first note and is laid at its place in our stretch.
* Length. Rests after the last note do not count. A bar that a change of metre cuts short is in
  note-seq's melody alone and is not compared (counted as "in a cut bar").

Every unequal melody gets its causes by experiment: see ``note_seq_causes.py``.
"""

from __future__ import annotations

import json
import time
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import click
from note_seq import midi_io
from note_seq_causes import UNEXPLAINED, Case, equal_windows, first_difference, same
from note_seq_reader import Theirs, counterparts, read_theirs

from melodyconstraints.cli._common import print_table
from melodyconstraints.errors import MidiError
from melodyconstraints.melody.midi.scores import Score, read_score

MIDI_SUFFIXES = frozenset({".mid", ".midi"})


class NotCompared(StrEnum):
    """Why a part, or its melody in one stretch, is not compared."""

    WE_REFUSE = "files that we cannot read"
    NOTE_SEQ_REFUSES = "files that note-seq cannot read"
    METRE = "parts of files without 4/4 or 2/2"
    NO_INSTRUMENT = "parts without a note-seq instrument"
    NO_PART = "note-seq instruments without a part"
    NO_SEGMENT = "note-seq stretches where we have none"
    OFF_GRID = "melodies: note-seq's steps lie between ours"


@dataclass
class Tally:
    """What was found in one collection."""

    counts: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    not_compared: Counter[str] = field(default_factory=Counter)
    unequal: list[dict[str, Any]] = field(default_factory=list)

    def add_file(self, path: Path, name: str, own_tempos: bool) -> None:
        """Compare all parts of a file."""
        data = path.read_bytes()
        self.counts["files"] += 1
        try:
            score = read_score(data)
            theirs = read_theirs(data, own_tempos)
        except MidiError:
            self.not_compared[NotCompared.WE_REFUSE] += 1
        except midi_io.MIDIConversionError:
            self.not_compared[NotCompared.NOTE_SEQ_REFUSES] += 1
        else:
            pairs = counterparts(score.parts, theirs.instruments)
            self._count_the_alone(score, theirs, pairs)
            for index, instrument in sorted(pairs.items()):
                segments = score.timeline(score.parts[index]).segments
                if score.parts[index].is_drum or not segments:
                    continue
                self.counts["parts"] += 1
                self.counts["parts re-timed"] += theirs.retimed
                for segment in segments:
                    case = Case(data, score, score.parts[index], segment, theirs, instrument)
                    self._add_melody(case, {"file": name, "part": index})

    def _count_the_alone(self, score: Score, theirs: Theirs, pairs: dict[int, int]) -> None:
        """Count what only one of the two has."""
        ours = {index for index, part in enumerate(score.parts) if not part.is_drum}
        segments = [segment for timeline in score.timelines for segment in timeline.segments]
        if not segments:
            self.not_compared[NotCompared.METRE] += len(ours)
        else:
            self.not_compared[NotCompared.NO_INSTRUMENT] += len(ours - pairs.keys())
        melodic = {number for number, part in theirs.instruments.items() if not part.is_drum}
        self.not_compared[NotCompared.NO_PART] += len(melodic - set(pairs.values()))
        shared = {s.start_tick for segment in segments for s in theirs.within(segment)}
        alone = {section.start_tick for section in theirs.sections} - shared
        self.not_compared[NotCompared.NO_SEGMENT] += len(alone)

    def _add_melody(self, case: Case, place: dict[str, Any]) -> None:
        if not case.on_our_grid:
            self.not_compared[NotCompared.OFF_GRID] += 1
            return
        ours, theirs = case.ours, case.note_seqs
        self.counts["in a cut bar"] += case.in_cut_bar
        if not len(ours) and not len(theirs):
            return
        equal, total = equal_windows(ours, theirs)
        found = {"melodies": 1, "windows": total, "windows unequal": total - equal}
        if same(ours, theirs):
            self.counts.update(found, equal=1)
            return
        causes = case.causes()
        self.counts.update(found, unequal=1, unexplained=causes == UNEXPLAINED)
        self.causes[causes] += 1
        where = {"tick": case.segment.start_tick, "step": first_difference(ours, theirs)}
        self.unequal.append(place | where | {"causes": causes, "windows": total - equal})

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.counts + other.counts,
            self.causes + other.causes,
            self.not_compared + other.not_compared,
            self.unequal + other.unequal,
        )


COLUMNS = (
    "files",
    "parts",
    "parts re-timed",
    "melodies",
    "equal",
    "unequal",
    UNEXPLAINED,
    "windows",
    "windows unequal",
    "in a cut bar",
)


def show(tallies: dict[str, Tally]) -> None:
    """Print the tables: by collection, by cause and by reason for not comparing."""
    total = sum(tallies.values(), Tally())
    rows = tallies | {"all": total}
    counts = [
        [name, *(f"{tally.counts[column]:,}" for column in COLUMNS)]
        for name, tally in rows.items()
    ]
    print_table(["collection", *COLUMNS], counts, "Melodies")
    causes = {name: tally.causes for name, tally in rows.items()}
    _print_crossed("Unequal melodies by cause", causes)
    reasons = {name: tally.not_compared for name, tally in rows.items()}
    _print_crossed("Not compared", reasons)
    for cause, _ in total.causes.most_common():
        first = next(entry for entry in total.unequal if entry["causes"] == cause)
        where = "{file}, part {part}, stretch from tick {tick}, step {step}".format(**first)
        click.echo(f"{cause}: {where}")


def _print_crossed(title: str, counters: dict[str, Counter[str]]) -> None:
    """A table with a row for each key and a column for each collection."""
    rows = [
        [key, *(str(counter[key] or "") for counter in counters.values())]
        for key, _ in counters["all"].most_common()
    ]
    print_table(["", *counters], rows, title)


def midi_files(folder: Path, limit: int | None) -> dict[str, list[Path]]:
    """The MIDI files of each sub-folder, in path order; with a limit, spread evenly over them."""
    files: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in MIDI_SUFFIXES:
            files[path.relative_to(folder).parts[0] if path.parent != folder else "."].append(path)
    if limit is None:
        return files
    return {name: paths[:: -(-len(paths) // limit)] for name, paths in files.items()}


@click.command()
@click.argument("midi_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--own-tempos", is_flag=True, help="Leave changes of tempo as they are.")
@click.option("--limit", type=click.IntRange(1), help="Most files of each sub-folder.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="For all results.")
def main(midi_dir: Path, own_tempos: bool, limit: int | None, json_file: Path | None) -> None:
    """Compare the melodies of every MIDI file below MIDI_DIR with note-seq's."""
    warnings.filterwarnings("ignore", module="pretty_midi")
    began = time.perf_counter()
    tallies: dict[str, Tally] = defaultdict(Tally)
    for collection, paths in midi_files(midi_dir, limit).items():
        for path in paths:
            name = path.relative_to(midi_dir).as_posix()
            tallies[collection].add_file(path, name, own_tempos)
        click.echo(f"{collection}: {time.perf_counter() - began:.0f} s", err=True)
    show(tallies)
    if json_file is not None:
        found = {name: vars(tally) for name, tally in tallies.items()}
        json_file.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
