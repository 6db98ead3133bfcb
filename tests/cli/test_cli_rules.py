"""``mc rules``."""

import pytest

from melodyconstraints.rules import library


def test_list_has_a_row_for_every_rule_of_the_library(mc, table):
    result = mc("rules", "list")
    rows = table(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    for row in library():
        assert [f"{row.name}:{row.argument}", row.example, row.summary] in rows
    assert rows[-1] == ["FILE.py:NAME", "my_rules.py:my_rule", "a function of your own"]


def test_show_explains_a_rule_of_the_library(mc):
    result = mc("rules", "show", "density")
    assert result.exit_code == 0
    assert result.stdout == (
        "density:NOTES\n"
        "at least so many notes in the 16 bars\n"
        "\n"
        "min(1, notes / NOTES), NOTES in [0, 256]. Paper, equation 4.\n"
        "\n"
        "for example: mc train-actor --rule density:192\n"
    )


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (
            "scale:D-dorian",
            "scale:D-dorian\nshare of notes in {0, 2, 4, 5, 7, 9, 11}\nkey signature: C\n",
        ),
        ("density:9", "density:9\nat least 9 notes in 16 bars\n"),
    ],
)
def test_show_explains_a_whole_specification(mc, spec, told):
    result = mc("rules", "show", spec)
    assert (result.exit_code, result.stdout) == (0, told)


def test_show_explains_a_rule_of_a_file_by_its_docstring(mc, tmp_path):
    (tmp_path / "mine.py").write_text(
        'def high(melody):\n    """Ends high."""\n\ndef low(melody):\n    pass\n'
    )
    assert mc("rules", "show", "mine.py:high").stdout == "mine.py:high\nEnds high.\n"
    assert mc("rules", "show", "mine.py:low").stdout == "mine.py:low\nno description\n"


def test_show_of_an_unknown_rule_is_wrong_usage(mc):
    result = mc("rules", "show", "densty")
    assert result.exit_code == 2
    assert "Error: there is no rule 'densty'; did you mean density?" in result.stderr


def test_show_of_an_argument_that_makes_no_sense_is_wrong_usage(mc):
    result = mc("rules", "show", "density:many")
    assert result.exit_code == 2
    assert "density takes a whole number of notes, got 'many'" in result.stderr
