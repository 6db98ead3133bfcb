"""What is kept of compiled functions belongs to the sources that they were compiled from."""

from pathlib import Path

import numba
import numpy as np
import pytest

from melodyconstraints.melody import jit as module
from melodyconstraints.melody.jit import _cache_folder, jit


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two files, whose cache folder is asked for anew each time."""
    for room in ("melody", "datasets"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "loops.py").write_text("one")
    monkeypatch.setattr(module, "_PACKAGE", tmp_path)
    return tmp_path


def cache_folder() -> Path:
    return _cache_folder.__wrapped__()


@pytest.mark.parametrize("room", ["melody", "datasets"])
def test_a_change_in_any_file_leaves_the_old_code_behind(package, room):
    before = cache_folder()
    assert cache_folder() == before
    (package / room / "loops.py").write_text("two")
    assert cache_folder() != before
    (package / room / "loops.py").write_text("one")
    assert cache_folder() == before
    assert before.parent == package / "__pycache__"


def test_a_package_that_cannot_be_written_has_its_code_in_the_users_cache(package, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert cache_folder().parent == Path.home() / ".cache" / "melodyconstraints"


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


# Interpreted at first


@jit
def half_of(value):
    return value // 2


@jit
def sum_of_halves(values):
    total = 0
    for value in values:
        total += half_of(value)
    return total


@jit
def mixed_bits(value):
    return value * np.uint64(0xFF51AFD7ED558CCD), value > np.uint64(5)


@pytest.fixture
def fresh(monkeypatch):
    """A process in which nothing has run yet; and whether a function was compiled."""
    monkeypatch.setattr(module, "_spent", [0.0])
    for loops in (half_of, sum_of_halves, mixed_bits):
        vars(loops).pop("compiled", None)
    return lambda loops: "compiled" in vars(loops)


def test_a_short_function_is_interpreted(fresh):
    assert sum_of_halves(np.arange(5)) == 0 + 0 + 1 + 1 + 2
    assert not fresh(sum_of_halves)
    assert module._spent[0] > 0


def test_a_large_array_has_a_function_compiled_with_those_it_calls(fresh):
    values = np.arange(module.LARGE + 1)
    assert sum_of_halves(values) == (values // 2).sum()
    assert fresh(sum_of_halves)
    assert fresh(half_of)


def test_after_some_time_functions_are_compiled(fresh):
    module._spent[0] = module.INTERPRETED_SECONDS + 0.01
    assert half_of(7) == 3
    assert fresh(half_of)


def test_work_that_is_long_is_compiled_from_the_start(fresh):
    module.compile_from_now_on()
    assert half_of(7) == 3
    assert fresh(half_of)


def test_options_compile_at_once(fresh):
    def double(value):
        return 2 * value

    loops = jit(double, error_model="numpy")
    assert loops(3) == 6
    assert fresh(loops)


def test_both_modes_return_pythons_own_numbers_and_overflow_alike(fresh):
    value = np.uint64(3)
    interpreted = mixed_bits(value)
    assert not fresh(mixed_bits)
    module.compile_from_now_on()
    assert mixed_bits(value) == interpreted == (3 * 0xFF51AFD7ED558CCD % 2**64, False)
    assert [type(one) for one in interpreted] == [int, bool]


def test_a_function_keeps_its_name_and_docstring():
    def named():
        """What it does."""

    assert (jit(named).__name__, jit(named).__doc__) == ("named", "What it does.")
