"""``docs/python.md`` has every public name, and quick examples of the docs run."""

import re
from pathlib import Path

import pytest

import melodyconstraints as mc

DOCS = Path(__file__).parents[1] / "docs"
PAGE, FORMATS, RULES = (
    (DOCS / name).read_text(encoding="utf-8") for name in ("python.md", "formats.md", "rules.md")
)
SNIPPETS = re.findall(r"```python\n(.+?)```", PAGE + FORMATS + RULES, flags=re.DOTALL)
QUICK = [text for text in SNIPPETS if not re.search("train_actor|extract_melodies", text)]


def test_every_public_name_is_documented():
    table = PAGE.split("## All names")[1]
    assert set(mc.__all__) <= set(re.findall(r"`(\w+)`", table))


@pytest.mark.parametrize("snippet", QUICK, ids=["melodies", "rules", "formats", "combined"])
def test_the_quick_examples_run(snippet, tmp_path, monkeypatch, quick_search):
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "docs", "exec"), {})  # noqa: S102


def test_rules_are_combined_as_the_page_says():
    names: dict[str, object] = {}
    exec(next(snippet for snippet in SNIPPETS if "reward = either" in snippet), names)  # noqa: S102
    assert names["reward"] == names["rewards"] == 0.5


def test_the_long_example_compiles():
    (long,) = (snippet for snippet in SNIPPETS if "train_actor" in snippet)
    compile(long, "docs/python.md", "exec")


def test_the_extraction_runs(tiny_store, tmp_path, monkeypatch, capsys):
    (snippet,) = (snippet for snippet in SNIPPETS if "extract_melodies" in snippet)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "melodies").symlink_to(tiny_store)
    mc.write_melody(mc.Melody.from_notes([(0, 4, 60)]), tmp_path / "a.mid")
    found: dict[str, object] = {}
    exec(snippet, found)  # noqa: S102
    assert capsys.readouterr().out == "a.mid 0 shorter than 16 bars\nb.mid 0 unreadable\n"
    assert len(found["dataset"]) == found["table"].num_rows == 12
