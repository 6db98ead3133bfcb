"""What is kept of compiled functions belongs to the sources that they were compiled from."""

from pathlib import Path

import numba
import numpy as np
import pytest

from melodyconstraints.melody import jit as module
from melodyconstraints.melody.jit import (
    INTERPRETED_SECONDS,
    LARGE,
    _cache_folder,
    compile_from_now_on,
    jit,
)
from melodyconstraints.melody.midi import scores, windows


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two files, whose cache folder is asked for anew each time."""
    for room in ("melody", "datasets"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "loops.py").write_text("one")
    monkeypatch.setattr(module, "_PACKAGE", tmp_path)
    return tmp_path


def cache_folder() -> Path:
    return Path(_cache_folder.__wrapped__())


@pytest.mark.parametrize("room", ["melody", "datasets"])
def test_a_change_in_any_file_leaves_the_old_code_behind(package, room):
    before = cache_folder()
    assert cache_folder() == before
    (package / room / "loops.py").write_text("two")
    assert cache_folder() != before
    (package / room / "loops.py").write_text("one")
    assert cache_folder() == before
    assert before.parent == package / "__pycache__"


def test_the_code_is_kept_in_the_first_place_that_can_be_written(package, monkeypatch, tmp_path):
    (package / "__pycache__").write_text("a file, so no place")
    monkeypatch.setenv("MELODYCONSTRAINTS_CACHE", str(tmp_path / "cache"))
    assert cache_folder().parent == tmp_path / "cache"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "chosen"))
    assert cache_folder().parent == tmp_path / "chosen"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(package / "__pycache__"))
    assert _cache_folder.__wrapped__() is None
    monkeypatch.setattr(module, "_cache_folder", lambda: None)
    assert jit(lambda values: values.sum())(np.ones(LARGE + 1)) == LARGE + 1


def test_a_full_disk_costs_no_more_than_compiling_again(monkeypatch):
    def save(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.save", save)
    assert jit(lambda values: values.max())(np.ones(LARGE + 1)) == 1


def test_other_peoples_functions_are_kept_where_they_were():
    before = numba.config.CACHE_DIR

    def total(values):
        return values.sum()

    assert jit(total)(np.arange(4)) == 6
    assert before == numba.config.CACHE_DIR


def test_options_are_those_of_numba():
    def by_numpy(top, bottom):
        return top / bottom

    def by_python(top, bottom):
        return top / bottom

    assert jit(by_numpy, error_model="numpy")(1.0, 0.0) == np.inf
    with pytest.raises(ZeroDivisionError):
        jit(by_python)(1.0, 0.0)


# Functions that are interpreted first


@jit
def doubled(values):
    return values * 2


@jit
def total_doubled(values):
    return doubled(values).sum()


@pytest.fixture
def spent(monkeypatch):
    """No time is spent yet, and loops of this file are not compiled, by an earlier run neither."""
    seconds = [0.0]
    monkeypatch.setattr(module, "_spent", seconds)
    monkeypatch.setattr(module, "INTERPRETED_SECONDS", INTERPRETED_SECONDS)
    monkeypatch.setattr(module, "_cache_folder", lambda: None)
    for loops in (doubled, total_doubled):
        vars(loops).pop("compiled", None)
    return seconds


def is_compiled(loops) -> bool:
    return isinstance(vars(loops).get("compiled"), numba.core.dispatcher.Dispatcher)


def test_a_function_is_interpreted_until_time_is_spent(spent, monkeypatch):
    clock = iter([2.0, 2.25])
    monkeypatch.setattr(module, "perf_counter", lambda: next(clock))
    assert total_doubled(np.arange(4)) == 12
    assert not is_compiled(total_doubled)
    assert spent[0] == 0.25 < INTERPRETED_SECONDS
    spent[0] = INTERPRETED_SECONDS + 0.1
    assert total_doubled(np.arange(4)) == 12
    assert is_compiled(total_doubled)
    assert is_compiled(doubled)


@pytest.mark.usefixtures("spent")
def test_a_large_array_is_handled_by_compiled_code_at_once():
    assert total_doubled(np.ones(LARGE + 1, np.int64)) == 2 * LARGE + 2
    assert is_compiled(total_doubled)


@pytest.mark.usefixtures("spent")
def test_a_process_with_much_to_do_does_not_wait():
    compile_from_now_on()
    assert doubled(np.arange(2)).tolist() == [0, 2]
    assert is_compiled(doubled)


def test_interpreted_and_compiled_code_read_the_same(run_loops, make_midi, tmp_path):
    notes = [(beat / 2, beat / 2 + 1.3, 60 + beat * 7 % 24) for beat in range(200)]
    path = make_midi(tmp_path / "song.mid", [(0, "Lead", notes), (1, "Chords", notes[::3] * 2)])
    found = []
    for way in ("interpreted", "compiled"):
        run_loops(way)
        score = scores.read_score(path)
        events = [
            score.part_events(part, segment, polyphony)
            for part in score.parts
            for segment in score.timeline(part).segments
            for polyphony in ("skyline", "onset")
        ]
        causes = [windows.drop_causes(one, windows.WindowSettings()) for one in events]
        found.append((events, causes))
    (events, causes), (other_events, other_causes) = found
    assert any(len(one) for one in events)
    for one, other in zip(events, other_events, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    for one, other in zip(causes, other_causes, strict=True):
        for own, others in zip(one, other, strict=True):
            np.testing.assert_array_equal(own, others)
