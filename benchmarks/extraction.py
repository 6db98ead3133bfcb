"""What the README claims of ``mc extract-melodies``, measured: ratios in one run, as a table.

::

    python benchmarks/extraction.py MIDI_DIR --hostile HOSTILE_DIR

``MIDI_DIR`` holds one folder a collection; the ``--song`` ones are read for the speeds (under many
names where there are more of them), all of it for the kills and the disturbances.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import click
import psutil

from melodyconstraints.cli._common import print_table
from melodyconstraints.datasets.melodies.extract_store import LocalEngine, extract_store
from melodyconstraints.datasets.melodies.extraction import Reject
from melodyconstraints.datasets.melodies.files import LocalFolder, find_midi_files
from melodyconstraints.storage.text import unicode_name

NOT_READ = {Reject.UNREADABLE, Reject.TOO_LARGE, Reject.TOO_MANY_NOTES, Reject.NO_NOTES}
FAULTS = {Reject.CRASHED, Reject.TIME, Reject.MEMORY}
MC = (Path(sys.executable).with_name("mc"), "extract-melodies")
PARTS = ["speed", "scale", "hostile", "kills", "disturbed"]
PATIENCE_SECONDS = 600
WORKER_KILLS, BUSY = 6, 6
REPEATS = 5
FEW, MANY, VERY_MANY = 5_000, 50_000, 200_000

_MAIN_PROCESS = """
import json, re, sys, time
from pathlib import Path
from melodyconstraints.datasets.melodies.extract_store import LocalEngine, extract_store

def hear(progress):
    if progress.stage == "reading":
        moments.append((time.perf_counter(), progress.done))

moments = []
extract_store(sys.argv[1], Path(sys.argv[2]), engine=LocalEngine(int(sys.argv[3])), callback=hear)
(first, before), (last, done) = moments[0], moments[-1]
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
print(json.dumps({"reading": (last - first) * done / (done - before), "peak": int(peak)}))
"""


@click.command()
@click.argument("midi_dir", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--hostile",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Files that are broken on purpose.",
)
@click.option(
    "--song",
    "songs",
    multiple=True,
    default=["pop909", "nottingham"],
    show_default=True,
    help="Folders in MIDI_DIR of which the speeds are.",
)
@click.option("--kills", default=20, show_default=True, help="How often it is killed.")
@click.option("--only", multiple=True, type=click.Choice(PARTS), help="Leave out the others.")
def main(
    midi_dir: Path, hostile: Path | None, songs: tuple[str, ...], kills: int, only: tuple[str, ...]
) -> None:
    """Measure mc extract-melodies on MIDI_DIR: speed, memory, kills, disturbances."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        parts: dict[str, Callable[[], Iterator[tuple[str, str, str]]]] = {
            "speed": lambda: speed([midi_dir / song for song in songs], scratch),
            "scale": lambda: scale([midi_dir / song for song in songs], scratch),
            "hostile": lambda: hostility(hostile, scratch) if hostile else iter(()),
            "kills": lambda: killings(midi_dir, kills, scratch),
            "disturbed": lambda: disturbances(midi_dir, kills, scratch),
        }
        for part in only or parts:
            for row in parts[part]():
                print(*row, sep=" | ", file=sys.stderr)
                rows.append(row)
    print_table(["what", "measured", "bar"], rows, text_columns=2)


def speed(folders: list[Path], scratch: Path) -> Iterator[tuple[str, str, str]]:
    """One process against note-seq's pipeline and against bare symusic, on the same files."""
    import symusic

    midi = scratch / "songs"
    for folder in folders:
        shutil.copytree(folder, midi / folder.name)
    paths = [f"{midi}/{name}" for name in find_midi_files(LocalFolder(str(midi))).names]

    def ours() -> None:
        extract_store(midi, scratch / "store", engine=LocalEngine(0), overwrite=True)

    def bare() -> None:
        for path in paths:
            with suppress(Exception):
                symusic.Score(path)

    ours()  # compiles
    rounds = [(seconds(bare), seconds(ours)) for _ in range(REPEATS)]
    bare_seconds, our_seconds = (median(column) for column in zip(*rounds, strict=True))
    note_seq_seconds = seconds(lambda: note_seq_pipeline(paths))
    yield (
        f"files a second, one process, {len(paths):,} files",
        f"{len(paths) / our_seconds:,.0f}; note-seq {len(paths) / note_seq_seconds:,.0f}",
        "",
    )
    yield "faster than note-seq's pipeline", f"{note_seq_seconds / our_seconds:.0f} times", "50"
    yield "time of bare symusic.Score", f"{our_seconds / bare_seconds:.1f} times", "at most 6"


def note_seq_pipeline(paths: list[str]) -> set[tuple[int, ...]]:
    """Load, split at changes, quantise, extract a melody a part, cut windows of 16 bars."""
    import note_seq
    from note_seq import midi_io, sequences_lib

    found = set()
    for path in paths:
        with suppress(Exception):
            sequence = midi_io.midi_file_to_note_sequence(path)
            for section in sequences_lib.split_note_sequence_on_time_changes(sequence):
                quantized = sequences_lib.quantize_note_sequence(section, steps_per_quarter=4)
                for part in {note.instrument for note in quantized.notes if not note.is_drum}:
                    melody = note_seq.Melody()
                    melody.from_quantized_sequence(
                        quantized, instrument=part, gap_bars=16, ignore_polyphonic_notes=True
                    )
                    events = list(melody)
                    for start in range(0, len(events) - 255, 16):
                        found.add(tuple(events[start : start + 256]))
    return found


def scale(folders: list[Path], scratch: Path) -> Iterator[tuple[str, str, str]]:
    """Two workers against one, and the main process's memory for ten times as many files."""
    few, many, very_many = (
        under_other_names(folders, scratch / f"{n}", n) for n in (FEW, MANY, VERY_MANY)
    )
    one, two = (main_process(very_many, scratch / "out", jobs) for jobs in (1, 2))
    for key, what in (
        ("whole", "all set-up and the store included"),
        ("reading", "while reading, start of the processes and the store aside"),
    ):
        yield (
            f"files a second, {VERY_MANY:,} files, one worker and two; {what}",
            f"{VERY_MANY / one[key]:,.0f}, {VERY_MANY / two[key]:,.0f}: "
            f"{one[key] / two[key]:.2f} times",
            "at least 1.7",
        )
    small, large = (main_process(f, scratch / "out", 2)["peak"] for f in (few, many))
    yield (
        f"peak memory of the main process, {FEW:,} files, {MANY:,}",
        f"{small / 1024:.0f} MB, {large / 1024:.0f} MB: {large / small:.2f} times",
        "at most 1.2",
    )


def under_other_names(folders: list[Path], target: Path, count: int) -> Path:
    """So many files: those of some folders, again and again, under other names."""
    files = [path for folder in folders for path in sorted(folder.iterdir())]
    for number in range(count):
        copy, index = divmod(number, len(files))
        link = target / f"copy-{copy}" / files[index].name
        link.parent.mkdir(parents=True, exist_ok=True)
        try:
            link.hardlink_to(files[index])
        except OSError:  # another disk
            shutil.copy(files[index], link)
    return target


def main_process(midi: Path, output: Path, jobs: int) -> dict[str, float]:
    """Extract in a process of its own: seconds, and its own peak memory in kilobytes."""
    command = [sys.executable, "-c", _MAIN_PROCESS, str(midi), str(output), str(jobs)]
    whole = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    whole = time.perf_counter() - whole
    shutil.rmtree(output)
    return {"whole": whole, **json.loads(done.stdout)}


def hostility(hostile: Path, scratch: Path) -> Iterator[tuple[str, str, str]]:
    """What becomes of the files that other readers die of."""
    store = scratch / "hostile"
    done = subprocess.run(  # noqa: S603
        [*MC, hostile, "-o", store, "--json"], capture_output=True, timeout=PATIENCE_SECONDS
    )
    crashed = done.returncode != 0
    counts = json.loads(done.stdout)
    lines = (store / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    reasons = {entry["file"]: entry["reason"] for entry in map(json.loads, lines)}
    lost = (
        len(find_midi_files(LocalFolder(str(hostile))).names) - counts["accepted"] - len(reasons)
    )
    faults = sum(reason in FAULTS for reason in reasons.values())
    yield (
        f"{counts['files']} hostile files: crashes of the command, files that cost a worker, lost",
        f"{crashed:d}, {faults}, {lost}; {counts['recovered']} recovered by mido",
        "0, 0, 0",
    )
    names = find_midi_files(LocalFolder(str(hostile))).names
    readable = [name for name in names if any_reader_finds_notes(hostile / name)]
    read = sum(reasons.get(unicode_name(name)) not in NOT_READ | FAULTS for name in readable)
    yield (
        f"read, of the {len(readable)} that symusic, mido or pretty_midi reads with notes",
        f"{read} ({read / len(readable):.1%})",
        "at least 95%",
    )


def any_reader_finds_notes(path: Path) -> bool:
    """Ask each in a process that may die."""
    readers = (with_symusic, with_mido, with_pretty_midi)
    return any(in_a_fork(partial(reader, path)) for reader in readers)


def with_symusic(path: Path) -> bool:
    """Whether ``symusic.Score`` finds a note."""
    import symusic

    score = symusic.Score.from_midi(path.read_bytes() + bytes(4))
    return any(len(track.notes) for track in score.tracks)


def with_mido(path: Path) -> bool:
    """Whether mido, which clips what is too large, finds a note that starts."""
    import mido

    messages = (message for track in mido.MidiFile(path, clip=True).tracks for message in track)
    return any(message.type == "note_on" and message.velocity for message in messages)


def with_pretty_midi(path: Path) -> bool:
    """Whether ``pretty_midi.PrettyMIDI`` finds a note."""
    import pretty_midi

    return any(part.notes for part in pretty_midi.PrettyMIDI(str(path)).instruments)


def in_a_fork(question: Callable[[], bool], patience_seconds: float = 60.0) -> bool:
    """The answer of a process that may die or hang; no answer is a no."""
    process = get_context("fork").Process(target=lambda: os._exit(0 if _safely(question) else 1))
    process.start()
    process.join(patience_seconds)
    process.kill()
    process.join()
    return process.exitcode == 0


def _safely(question: Callable[[], bool]) -> bool:
    with suppress(Exception):
        return question()
    return False


def killings(midi_dir: Path, kills: int, scratch: Path) -> Iterator[tuple[str, str, str]]:
    """``kill -9`` at random moments, ``--resume``, and the bytes of the store."""
    run = partial(extraction, midi_dir)
    whole = scratch / "undisturbed"
    duration = seconds(lambda: run(whole).wait())
    generator = random.Random(0)  # noqa: S311
    same = done = 0
    while done < kills:
        output = scratch / "killed"
        process = run(output)
        time.sleep(generator.uniform(0, duration))
        process.send_signal(signal.SIGKILL)
        if process.wait() == -signal.SIGKILL:  # and not finished before
            done += 1
            run(output, "--resume").wait()
            same += contents(output) == contents(whole)
        shutil.rmtree(output)
    yield f"byte-identical stores after {kills} kills", f"{same}", f"{kills}"


def extraction(midi_dir: Path, output: Path, *options: str, **environment: str) -> Any:
    """A running ``mc extract-melodies``."""
    command = [*MC, midi_dir, "-o", output, *options]
    return subprocess.Popen(  # noqa: S603
        list(map(str, command)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | environment,
    )


def disturbances(midi_dir: Path, runs: int, scratch: Path) -> Iterator[tuple[str, str, str]]:
    """Workers killed by others, and a first run on a busy machine: the bytes of the store."""
    whole, output = scratch / "undisturbed", scratch / "disturbed"
    extraction(midi_dir, whole).wait()
    generator, killed, same = random.Random(0), 0, 0  # noqa: S311
    for _ in range(runs):
        process = extraction(midi_dir, output, "--jobs", "2")
        killed += kill_workers(process, WORKER_KILLS, generator)
        same += contents(output) == contents(whole)
        shutil.rmtree(output)
    yield f"byte-identical stores of {runs} runs, {killed} workers killed", f"{same}", f"{runs}"
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY)]
    try:
        cache = str(scratch / "cold")
        extraction(midi_dir, output, "--jobs", "4", NUMBA_CACHE_DIR=cache).wait()
    finally:
        for process in busy:
            process.kill()
    yield (
        f"nothing compiled, four workers beside {BUSY} busy processes: the same bytes",
        "yes" if contents(output) == contents(whole) else "no",
        "yes",
    )


def kill_workers(process: Any, most: int, generator: random.Random) -> int:
    """Kill children of a process, at random moments, until it ends; how many."""
    parent, killed = psutil.Process(process.pid), 0
    while process.poll() is None:
        time.sleep(generator.uniform(0.05, 0.5))
        with suppress(psutil.Error):
            workers = [w for w in parent.children() if w.status() != psutil.STATUS_ZOMBIE]
            if workers and killed < most:
                generator.choice(workers).kill()
                killed += 1
    return killed


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def seconds(work: Callable[[], Any]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
