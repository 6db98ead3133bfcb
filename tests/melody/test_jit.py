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
