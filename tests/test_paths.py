"""Paths are strings or :class:`~pathlib.Path`, wherever a public function takes one."""

import inspect
import re

import melodyconstraints as mc


def test_every_public_function_that_takes_a_path_takes_a_string():
    for name in mc.__all__:
        public = getattr(mc, name)
        if not inspect.isfunction(public) and not inspect.isclass(public):
            continue
        signature = inspect.signature(public)
        for parameter in signature.parameters.values():
            annotation = str(parameter.annotation)
            if re.search(r"\bPath\b", annotation):
                assert re.search(r"\bstr\b", annotation), f"{name}({parameter})"
