"""Modules of a user's folder: imported by plain names there, and by nobody else.

A rule file imports its neighbours as a script does. They get names of their own in
``sys.modules``, a package for each folder, so that two folders may have a ``helpers.py`` each, and
none of them stands in the way of an installed module or of one that the program has imported.
The standard library goes before neighbours.
"""

from __future__ import annotations

import builtins
import hashlib
import sys
from collections.abc import Collection
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

_PACKAGE = "melodyconstraints_user_rules_"
_NEVER_NEIGHBOURS = sys.stdlib_module_names | {__name__.partition(".")[0]}


def import_file(path: Path) -> ModuleType:
    """The module of a Python file; the same one again as long as the file is unchanged.

    Args:
        path: absolute path of the file.

    Raises:
        ImportError: it is not called NAME.py.
        BaseException: what its code raises.
    """
    package = _package_of(path.parent)
    name = f"{package}.{path.stem.replace('.', '_')}"
    known = sys.modules.get(name)
    if known and known.__dict__.get("__source__") == path.read_bytes():
        return known
    spec = spec_from_file_location(name, path)
    if spec is None or not isinstance(spec.loader, SourceFileLoader):
        raise ImportError(f"{path.name} is not a Python file")
    spec.loader = _Loader(name, str(path))
    if known:  # the file has changed, and its neighbours perhaps as well
        _forget(package)
    before = set(sys.modules)
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        _forget(package, before)
        raise
    return module


def _forget(package: str, but: Collection[str] = ()) -> None:
    """Remove the modules of a folder, but for some, so that they are imported anew."""
    for name in [one for one in sys.modules if one.startswith(f"{package}.") and one not in but]:
        del sys.modules[name]
    _is_neighbour.cache_clear()


def _package_of(folder: Path) -> str:
    """Name of the package of a folder, which is made where there is none yet."""
    name = _PACKAGE + hashlib.sha1(str(folder).encode(), usedforsecurity=False).hexdigest()[:12]
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
        if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
            sys.meta_path.insert(0, _Finder())
    return name


class _Finder(MetaPathFinder):
    """Finds modules in the packages of users' folders, and loads them by :class:`_Loader`."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if not fullname.startswith(_PACKAGE):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Compiles a file, leaves no cache beside it, and lets it import its neighbours.

    An import statement calls the ``__import__`` of its module's builtins.
    """

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)

    def exec_module(self, module: ModuleType) -> None:
        package = self.name.partition(".")[0]

        def load(
            name: str, scope: Any = None, local: Any = None, names: Any = (), level: int = 0
        ) -> Any:
            if level or not _is_neighbour(package, name.partition(".")[0]):
                return builtins.__import__(name, scope, local, names, level)
            imported = builtins.__import__(f"{package}.{name}", scope, local, names, 0)
            return imported if names else getattr(imported, name.partition(".")[0])

        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": load}
        module.__dict__["__source__"] = self.get_data(self.path)
        super().exec_module(module)


@cache
def _is_neighbour(package: str, name: str) -> bool:
    """Whether a folder has the module, and the program would not find the same file itself."""
    if name in _NEVER_NEIGHBOURS:
        return False
    own = PathFinder.find_spec(f"{package}.{name}", sys.modules[package].__path__)
    if own is None:
        return False
    try:
        elsewhere = find_spec(name)
    except ValueError:  # the program made it by hand
        return True
    return elsewhere is None or (own.origin is not None and own.origin != elsewhere.origin)
