"""A rule file to start from."""

from __future__ import annotations

import pytest

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Melody
from melodyconstraints.rules import find_rule
from melodyconstraints.workflows.new_rule import write_new_rule


def test_the_new_rule_rewards_a_last_note_that_is_near_c(tmp_path):
    write_new_rule(tmp_path / "mine.py")
    rule = find_rule(f"{tmp_path / 'mine.py'}:my_rule")
    rewards = [rule(Melody.from_notes([(0, 4, 64), (4, 8, last)])) for last in (60, 62, 66, 71)]
    assert rewards == pytest.approx([1, 1 - 2 / 6, 0, 1 - 1 / 6])
    assert rule(Melody.from_notes([])) == 0


def test_its_text_names_the_file(tmp_path):
    path = tmp_path / "mine.py"
    write_new_rule(str(path))
    text = path.read_text(encoding="utf-8")
    assert f"mc rules check {path.as_posix()}" in text
    assert "FILE" not in text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine.txt", "a rule file is called NAME.py, got "),
        ("there.py", "there.py exists; choose another name"),
        ("nowhere/mine.py", "nowhere; make it first"),
    ],
)
def test_a_file_that_cannot_be_made_is_refused(tmp_path, name, message):
    (tmp_path / "there.py").write_text("my own")
    with pytest.raises(UsageError) as caught:
        write_new_rule(tmp_path / name)
    assert message in str(caught.value)
    assert (tmp_path / "there.py").read_text() == "my own"
