"""Consent is to a file as it is, with what it imports from beside it."""

import pytest

from melodyconstraints.storage.consents import consent, is_consented


@pytest.fixture
def code(tmp_path, monkeypatch):
    """A file that imports ``helper`` and, in a function, a package; ``other`` is not imported."""
    monkeypatch.setenv("MELODYCONSTRAINTS_DATA", str(tmp_path / "data"))
    folder = tmp_path / "mine"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "rules.py").write_text("import helper\ndef f():\n    from deep.er import x\n")
    (folder / "helper.py").write_text("from further import y\n")
    for name in ("further.py", "other.py", "inner.py", "deep/__init__.py"):
        (folder / name).write_text("y = 1\n")
    (folder / "deep" / "er" / "x.py").write_text("import inner\n")
    consent(folder / "rules.py")
    return folder / "rules.py"


def test_a_file_as_it_was_is_consented_to(code):
    assert is_consented(code)
    (code.parent / "other.py").write_text("y = 2\n")
    assert is_consented(code)


@pytest.mark.parametrize(
    "name", ["rules.py", "helper.py", "further.py", "deep/er/x.py", "inner.py"]
)
def test_what_was_edited_is_asked_about_again(code, name):
    file = code.parent / name
    file.write_text(file.read_text() + "z = 1\n")
    assert not is_consented(code)
    consent(code)
    assert is_consented(code)


def test_a_new_neighbour_that_would_be_imported_is_asked_about(code):
    (code.parent / "deep.py").write_text("x = 1\n")
    assert not is_consented(code)


def test_what_is_no_python_is_a_file_alone(code):
    code.write_text("def (:\n")
    assert not is_consented(code)
    consent(code)
    assert is_consented(code)
