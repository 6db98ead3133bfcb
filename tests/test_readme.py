"""What the README shows must be there: its first commands and its Python run."""

import json
import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from melodyconstraints import Melodies, Melody, find_rule, read_melody
from melodyconstraints.cli.main import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"^mc .+?(?=\s{2,}#|$)", README, flags=re.MULTILINE)))
SNIPPETS = re.findall(r"```python\n(.+?)```", README, flags=re.DOTALL)


def test_the_readme_shows_commands_and_python() -> None:
    assert len(COMMANDS) >= 8
    assert len(SNIPPETS) >= 2


def test_the_first_command_of_the_readme_writes_melodies_that_satisfy_its_rules(
    tmp_path: Path, monkeypatch
) -> None:
    [first, *_] = re.findall(r"^mc .+", README, flags=re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, shlex.split(first)[1:], catch_exceptions=False)
    assert done.exit_code == 0
    melodies = json.loads((tmp_path / "out" / "manifest.json").read_text())["melodies"]
    assert [melody["satisfied"] for melody in melodies] == [True] * 4
    assert (tmp_path / "out" / "melodies.png").exists()


def test_the_rule_commands_of_the_readme_run_in_their_order(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "my_rules.py").write_text(SNIPPETS[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for line in re.findall(r"mc rules (?:check|new) [^`\n]+?(?=`|\s{2,}#)", README):
        done = CliRunner().invoke(main, shlex.split(line)[1:], catch_exceptions=False)
        assert done.exit_code == 0, line
    assert (tmp_path / "another_rule.py").exists()


def test_the_rule_of_the_readme_rewards_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "my_rules.py"
    path.write_text(SNIPPETS[0], encoding="utf-8")
    rule = find_rule(f"{path}:ends_on_c")
    on_c, on_f_sharp = (Melody.from_notes([(0, 4, 64), (4, 4, last)]) for last in (72, 66))
    assert rule(Melodies.stack([on_c, on_f_sharp, Melody.from_notes([])])).tolist() == [1, 0, 0]


def test_the_python_of_the_readme_writes_a_melody_under_its_rules(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(SNIPPETS[1], "README.md", "exec"), names)  # noqa: S102
    assert len(names["melodies"]) == 16
    assert read_melody(tmp_path / "idea.mid").melody == names["melodies"][0]
