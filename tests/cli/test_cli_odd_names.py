"""Files and folders whose names are no UTF-8: everything copes with them, or refuses in a line."""

import os
import sys

import pytest

import melodyconstraints as api

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names are of bytes on Linux only")

ODD = os.fsdecode(b"\xff")
"""A name of one byte that UTF-8 does not have, as Python holds it."""


@pytest.fixture
def tune(tmp_path):
    """A file in C major, so that nothing is searched for."""
    place = tmp_path / f"{ODD}.mid"
    notes = [(4 * beat, 4, 60 + (0, 2, 4, 5, 7, 5, 4, 2)[beat % 8]) for beat in range(64)]
    api.write_melody(api.Melody.from_notes(notes), place)
    return place


def test_a_melody_is_moved_into_a_file_of_any_name_with_its_picture(mc, tune, tmp_path):
    result = mc("transform", tune.name, "--scale", "C-major", "-o", f"{ODD}-new.mid")
    assert result.exit_code == 0, result.stderr
    written = {os.fsencode(path.name) for path in tmp_path.iterdir()}
    assert {b"\xff-new.mid", b"\xff-new-original.mid", b"\xff-new.png"} <= written


def test_a_rule_of_a_file_of_any_name_stands_in_the_picture(mc, tmp_path):
    (tmp_path / f"{ODD}.py").write_text("def mine(melody):\n    return 1.0\n")
    result = mc("generate", "-n", 1, "--rule", f"{ODD}.py:mine", "-o", ODD, "--plot")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / ODD / "melodies.png").is_file()


def test_a_rule_file_of_any_name_is_begun(mc, tmp_path):
    result = mc("rules", "new", f"{ODD}.py")
    assert result.exit_code == 0, result.stderr
    assert "mc rules check �.py" in (tmp_path / f"{ODD}.py").read_text(encoding="utf-8")
    assert result.stdout.startswith("�.py holds the rule my_rule")


def test_a_store_that_arrow_cannot_read_is_refused_before_it_is_written(mc, tune, tmp_path):
    message = r"Error: a store's path is of UTF-8, got \xff; choose another name"
    result = mc("extract-melodies", ".", "-o", ODD)
    assert (result.exit_code, result.stderr.strip()) == (1, message)
    assert not (tmp_path / ODD).exists()

    assert mc("extract-melodies", ".", "-o", "store").exit_code == 0
    (tmp_path / "store").rename(tmp_path / ODD)
    result = mc("evaluate", "--data", ODD)
    assert (result.exit_code, result.stderr.strip().splitlines()[-1]) == (1, message)


def test_images_are_written_under_any_name(mc, tmp_path):
    assert mc("images", "generate", "-n", 1, "-o", f"{ODD}.png").exit_code == 0
    assert (tmp_path / f"{ODD}.png").is_file()
