"""``docs/python.md`` has every public name, and its quick examples run."""

import re
from pathlib import Path

import pytest

import melodyconstraints as mc

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.+?)```", PAGE, flags=re.DOTALL)
QUICK = [snippet for snippet in SNIPPETS if "train_actor" not in snippet]


def test_every_public_name_is_documented():
    table = PAGE.split("## All names")[1]
    assert set(mc.__all__) <= set(re.findall(r"`(\w+)`", table))


@pytest.mark.parametrize("snippet", QUICK, ids=["melodies", "rules"])
def test_the_quick_examples_run(snippet, tmp_path, monkeypatch, quick_search):
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "docs/python.md", "exec"), {})  # noqa: S102


def test_the_long_example_compiles():
    (long,) = (snippet for snippet in SNIPPETS if "train_actor" in snippet)
    compile(long, "docs/python.md", "exec")
