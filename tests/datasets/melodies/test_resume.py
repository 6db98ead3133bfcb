"""Extractions that are killed, run out of disk or meet: the store comes out the same."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from melodyconstraints.datasets.melodies.extract_store import LocalEngine, Progress, extract_store
from melodyconstraints.datasets.melodies.extraction import FileLimits
from melodyconstraints.datasets.melodies.files import LocalFolder
from melodyconstraints.datasets.melodies.store import read_store
from melodyconstraints.errors import StoreError, UsageError
from melodyconstraints.melody.midi.windows import WindowSettings

pytestmark = pytest.mark.usefixtures("small_stages")

READING = [Progress("reading", files, 12) for files in (4, 8, 12)]
WRITING = [Progress("writing", part, 3) for part in (1, 2, 3)]


def extract(folder, output, settings=None, **options):
    return extract_store(folder, output, settings, **{"engine": LocalEngine(0)} | options)


def stop(folder, output, moment, **options):
    """Run until the callback hears of a moment."""

    def listen(progress):
        if progress == moment:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(folder, output, callback=listen, **options)


@pytest.fixture
def reads(monkeypatch):
    """The names of the files that are read from here on."""
    names, read = [], LocalFolder.read
    monkeypatch.setattr(
        LocalFolder, "read", lambda self, name, most: names.append(name) or read(self, name, most)
    )
    return names


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# Killed


KILLS = """
import json, os, shutil, signal, sys
from pathlib import Path

from melodyconstraints.datasets.melodies import extraction, parquet_parts, splits
from melodyconstraints.datasets.melodies.extract_store import LocalEngine, extract_store
from melodyconstraints.datasets.melodies.store import read_store
from melodyconstraints.errors import StoreError

extraction.FILES_PER_TASK = parquet_parts.FILES_PER_TASK = 4
parquet_parts.ROWS_PER_PART = 5
splits._PARTITION_BITS = 1

MUSIC, PLACE, OVERWRITE = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "overwrite"
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "open"}


def extract(output, **options):
    extract_store(MUSIC, output, engine=LocalEngine(0), overwrite=OVERWRITE, **options)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def is_change(event, arguments):
    if event != "open":  # Python may compile what is imported late, which is no change of ours
        return event in CHANGES and "__pycache__" not in str(arguments[0])
    path, _, flags = arguments
    return str(path).startswith(str(PLACE)) and flags & (os.O_WRONLY | os.O_RDWR)


def killed(output, moment):
    '''Whether there was a change of the disk of this number to be killed before.'''
    child = os.fork()
    if child:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, -signal.SIGKILL), code
        return code != 0
    changes = 0

    def kill(event, arguments):
        nonlocal changes
        if is_change(event, arguments):
            if changes == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            changes += 1

    sys.addaudithook(kill)
    try:
        extract(output)
        os._exit(0)
    finally:
        os._exit(1)


def state(output):
    if not output.exists():
        return "absent"
    try:
        read_store(output)
    except StoreError:
        return "refused"
    found = contents(output)
    return "new" if found == new else "old" if found == old else "mixed"


if OVERWRITE:
    extract_store(MUSIC / "deep", PLACE / "old", engine=LocalEngine(0))
    old = contents(PLACE / "old")
else:
    old = None
extract(PLACE / "new")
new = contents(PLACE / "new")
moment = 0
while True:
    folder = PLACE / str(moment)
    folder.mkdir()
    if OVERWRITE:
        shutil.copytree(PLACE / "old", folder / "store")
    if not killed(folder / "store", moment):
        break
    before = state(folder / "store")
    extract(folder / "store", resume=True)
    left = sorted(path.name for path in folder.iterdir())
    print(json.dumps([before, state(folder / "store"), left]))
    moment += 1
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("what", ["fresh", "overwrite"])
def test_a_run_killed_at_any_change_of_the_disk_is_taken_up(music, tmp_path, what):
    """Every opening, renaming and removing of a file or folder has its kill -9 just before it."""
    (tmp_path / "kills.py").write_text(KILLS)
    (tmp_path / "place").mkdir()
    run = subprocess.run(
        [
            *(sys.executable, "-W", "ignore::DeprecationWarning"),  # of forks, which it makes many
            *(str(tmp_path / "kills.py"), str(music), str(tmp_path / "place"), what),
        ],
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stderr) == (0, "")
    befores, afters, lefts = zip(*map(json.loads, run.stdout.splitlines()), strict=True)
    assert len(befores) > 30
    assert set(afters) == {"new"}
    assert [left for left in lefts if left != ["store"]] == []
    stages = list(dict.fromkeys(befores))
    assert stages == (["absent", "new"] if what == "fresh" else ["old", "absent", "new"])
    assert befores.count("absent") == 1 or what == "fresh"


@pytest.mark.parametrize("moment", [*READING, *WRITING], ids=lambda m: f"{m.stage}-{m.done}")
def test_what_was_read_is_not_read_again(music, tmp_path, contents, plain, reads, moment):
    output = tmp_path / "store"
    stop(music, output, moment)
    with pytest.raises(StoreError, match="store is not a finished melody store"):
        read_store(output)
    done = moment.done if moment.stage == "reading" else 12
    assert len(reads) == done
    heard = []
    summary = extract(music, output, resume=True, callback=heard.append)
    assert len(reads) == 12
    assert [progress.done for progress in heard] == [4, 8, 12, 1, 2, 3]
    assert {progress.resumed for progress in heard[:3]} == {done}
    assert contents(output) == plain
    assert names(tmp_path) == ["store"]
    assert summary.files == 12


def test_workers_take_up_what_this_process_left_and_the_other_way_round(
    music, tmp_path, contents, plain
):
    output = tmp_path / "store"
    stop(music, output, READING[0])
    one = LocalEngine(1)
    stop(music, output, Progress("reading", 8, 12, resumed=4), engine=one, resume=True)
    extract(music, output, resume=True)
    assert contents(output) == plain


@pytest.mark.parametrize("damage", ["gone", "emptied", "cut", "garbage", "half"])
def test_damaged_results_are_made_again(music, tmp_path, contents, plain, reads, damage):
    stop(music, tmp_path / "store", WRITING[0])
    result = tmp_path / "store.unfinished" / "spool" / "task-0000001"
    whole = result.read_bytes()
    if damage == "gone":
        result.unlink()
    else:
        lengths = {"emptied": 0, "half": len(whole) // 2, "cut": len(whole) - 100}
        result.write_bytes(whole[: lengths[damage]] if damage in lengths else b"no Arrow stream")
    reads.clear()
    extract(music, tmp_path / "store", resume=True)
    assert len(reads) == 4
    assert contents(tmp_path / "store") == plain


def test_resume_with_nothing_to_resume_is_a_plain_run(music, tmp_path, contents, plain):
    extract(music, tmp_path / "store", resume=True)
    assert contents(tmp_path / "store") == plain
    assert names(tmp_path) == ["store"]


def test_resume_of_a_finished_store_tells_its_counters(music, tmp_path, contents, plain, reads):
    summary = extract(music, tmp_path / "store")
    reads.clear()
    again = extract(music, tmp_path / "store", resume=True)
    assert again == summary
    assert again.as_dict() == summary.as_dict()
    assert (reads, contents(tmp_path / "store")) == ([], plain)


def test_a_finished_store_of_another_plan_is_refused(music, tmp_path, contents, plain):
    extract(music, tmp_path / "store")
    text = (
        f"{tmp_path}/store holds a finished store of other files or settings; pass --overwrite to "
        "replace it, or choose another folder"
    )
    for other in ({"unique": "none"}, {"exclude": ["0.mid"]}, {"limits": FileLimits(max_notes=9)}):
        with pytest.raises(UsageError, match=re.escape(text)):
            extract(music, tmp_path / "store", resume=True, **other)
    assert contents(tmp_path / "store") == plain


@pytest.mark.parametrize(
    ("options", "other"),
    [
        ({"settings": WindowSettings(min_notes=20)}, "settings"),
        ({"unique": "transposed"}, "unique"),
        ({"limits": FileLimits(seconds=1.0)}, "limits"),
        ({"exclude": ["0.mid"]}, "exclude, names"),
    ],
)
def test_work_with_other_files_or_settings_is_refused(music, tmp_path, options, other):
    stop(music, tmp_path / "store", READING[1])
    with pytest.raises(
        UsageError, match=f"was begun with other {other}; go on with the same, or pass --overwr"
    ):
        extract(music, tmp_path / "store", resume=True, **options)
    assert names(tmp_path) == ["store.unfinished"]


def test_a_damaged_plan_is_one_line(music, tmp_path):
    stop(music, tmp_path / "store", READING[0])
    for damage in ("", "{", "[]", "\udc80", 9999 * "["):
        plan = tmp_path / "store.unfinished" / "plan"
        plan.write_bytes(damage.encode("utf-8", "surrogateescape"))
        with pytest.raises(StoreError, match=r"plan is damaged; pass --overwrite to begin anew"):
            extract(music, tmp_path / "store", resume=True)


def test_a_damaged_summary_is_one_line(music, tmp_path):
    extract(music, tmp_path / "store")
    path = tmp_path / "store" / "extraction.json"
    summary = json.loads(path.read_text())
    counts = (None, [], 1, {"fils": 3}, {"files": "x"}, {"splits": {"train": []}}, {"reasons": 1})
    for damage in counts:
        path.write_text(json.dumps(summary | {"counts": damage}))
        with pytest.raises(StoreError, match=r"extraction.json is damaged; pass --overwrite to"):
            extract(music, tmp_path / "store", resume=True)


def test_a_finished_store_with_a_damaged_part_is_not_called_finished(music, tmp_path):
    extract(music, tmp_path / "store")
    part = next((tmp_path / "store").glob("part-*.parquet"))
    part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
    with pytest.raises(StoreError, match=r"is damaged, extract it again.*; pass --overwrite"):
        extract(music, tmp_path / "store", resume=True)


def test_unfinished_work_is_not_taken_up_unasked(music, tmp_path, contents, plain, reads):
    stop(music, tmp_path / "store", WRITING[1])
    with pytest.raises(UsageError, match="holds an unfinished extraction; pass --resume to go on"):
        extract(music, tmp_path / "store")
    reads.clear()
    extract(music, tmp_path / "store", overwrite=True)
    assert (len(reads), contents(tmp_path / "store")) == (12, plain)


def test_a_replacement_is_taken_up_with_resume_and_overwrite(music, tmp_path, contents, plain):
    output = tmp_path / "store"
    extract(music, output, unique="none")
    old = contents(output)
    stop(music, output, WRITING[0], overwrite=True)
    assert contents(output) == old
    extract(music, output, resume=True, overwrite=True)
    assert (contents(output), names(tmp_path)) == (plain, ["store"])


def test_a_replacement_of_the_same_names_is_taken_up_too(tmp_path, write_tune, tune, contents):
    for number in range(12):
        write_tune(tmp_path / "midi" / f"{number}.mid", tune(number))
    output = tmp_path / "store"
    extract(tmp_path / "midi", output)
    write_tune(tmp_path / "midi" / "5.mid", tune(50))
    stop(tmp_path / "midi", output, WRITING[0], overwrite=True)
    extract(tmp_path / "midi", output, resume=True, overwrite=True)
    extract(tmp_path / "midi", tmp_path / "undisturbed")
    assert contents(output) == contents(tmp_path / "undisturbed")
    assert not (tmp_path / "store.unfinished").exists()


def test_asking_for_a_finished_store_leaves_the_work_on_its_replacement_alone(
    music, tmp_path, contents, plain, reads
):
    output = tmp_path / "store"
    summary = extract(music, output, unique="none")

    def ask(progress):
        assert extract(music, output, unique="none", resume=True) == summary

    stop(music, output, WRITING[0], overwrite=True)
    ask(None)
    reads.clear()
    extract(music, output, resume=True, overwrite=True, callback=ask)
    assert reads == []
    assert (contents(output), names(tmp_path)) == (plain, ["store"])


def test_of_two_runs_at_once_the_second_is_refused(music, tmp_path, contents, plain):
    refused = []

    def meet(progress):
        for options in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(StoreError, match=r"another process is at work in .*unfinished"):
                extract(music, tmp_path / "store", **options)
            refused.append(progress.stage)

    extract(music, tmp_path / "store", callback=meet)
    assert refused == ["reading"] * 9 + ["writing"] * 9
    assert contents(tmp_path / "store") == plain


# Full disks


class FullDisk:
    """A file on a disk that is full after ten more characters."""

    def __init__(self, file):
        self.file = file

    def write(self, data):
        self.file.write(data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def flush(self):
        self.file.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


class FullOnClosing(FullDisk):
    """The disk takes no more of what Python had kept for itself."""

    def write(self, data):
        return len(data)

    def __exit__(self, *error):
        super().__exit__()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fill(monkeypatch, pattern, kind):
    opened, original = [], Path.open

    def open_(path, mode="r", *arguments, **options):
        file = original(path, mode, *arguments, **options)
        if "r" in mode or not re.search(pattern, path.as_posix()):
            return file
        opened.append(path)
        return kind(file)

    monkeypatch.setattr(Path, "open", open_)
    return opened


@pytest.mark.parametrize("kind", [FullDisk, FullOnClosing])
@pytest.mark.parametrize(
    "pattern",
    [
        "unfinished/plan",
        "task-0000001",
        "sequences",
        r"rejected\.jsonl",
        "part-00001",
        r"extraction\.json",
    ],
)
def test_a_full_disk_is_told_and_costs_nothing_but_time(
    music, tmp_path, monkeypatch, contents, plain, pattern, kind
):
    output = tmp_path / "store"
    # A file that is written whole is named, of others the store.
    place = rf"{re.escape(str(output))}(\.unfinished/[^:]*{pattern.split('/')[-1]}[^:]*)?"
    rest = f": No space left on device; what was done is in {output}.unfinished, go on with --res"
    with monkeypatch.context() as patch:
        opened = fill(patch, pattern, kind)
        with pytest.raises(StoreError, match=f"^{place}{re.escape(rest)}ume$"):
            extract(music, output)
    assert len(opened) > 0
    assert names(tmp_path) == ["store.unfinished"]
    assert list(tmp_path.rglob("*.partial")) == []
    extract(music, output, resume=True)
    assert (contents(output), names(tmp_path)) == (plain, ["store"])


def test_a_place_that_cannot_be_written_is_one_error(music, tmp_path):
    (tmp_path / "file").touch()
    text = f"{tmp_path}/file/store.unfinished: Not a directory"
    with pytest.raises(StoreError, match=f"^{re.escape(text)}$"):
        extract(music, tmp_path / "file" / "store")
    assert names(tmp_path) == ["file"]


def test_a_foreign_folder_in_the_way_is_refused(music, tmp_path):
    mine = tmp_path / "store.unfinished"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="is in the way and holds other files; move it away"):
        extract(music, tmp_path / "store", overwrite=True)
    assert (names(tmp_path), names(mine)) == (["store.unfinished"], ["thesis.tex"])
