"""``mc cache``: what commands have kept is listed and emptied."""

import json

from melodyconstraints.workflows.bank import load_bank
from melodyconstraints.workflows.models import load_model


def test_a_bank_that_was_decoded_is_kept_and_listed(mc, quick_recipe, tiny_model_folder):
    load_bank(load_model(tiny_model_folder))
    listed = json.loads(mc("cache", "--json").stdout)
    assert [entry["kind"] for entry in listed["entries"]] == ["bank"]
    assert listed["entries"][0]["folder"] in mc("cache").stdout
    cleared = mc("cache", "--clear")
    assert cleared.exit_code == 0
    assert cleared.stdout.startswith("1 artifacts, ")
    assert mc("cache").stdout == f"0 artifacts, 0.0 MB, in {listed['folder']}\n"
