"""MONAI and ignite load what is asked for, not all that they have, when they are first imported.

`import monai` loads every module that MONAI has and what those would like to have (ITK, nibabel,
scikit-image, transformers …): several times as long as the prediction of a film takes. Most of it
is for names that a package's `__init__` only hands on (`from .unet import UNet`). Here such a name
is fetched when it is first asked for (PEP 562), so that a process imports what it uses. Nothing of
MONAI is replaced or left out: every name is found under the same path, and is the same object.

Packages of other versions than those that this was tested with are imported as they are, and so is
what had been imported before.
"""

import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, wraps
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

TESTED = {"monai": ("monai", "1.6.1"), "ignite": ("pytorch-ignite", "0.5.5")}
"""Packages, the distributions that they come from, and the versions that this was tested with."""

_LOADS_EVERYTHING = "load_submodules"
_LOOKS_THROUGH_EVERYTHING = "monai.bundle.config_item"


def import_lazily() -> bool:
    """Let the packages load what is asked for, from now on and in this process.

    Returns:
        Whether MONAI will; not if it has been imported already, or is of another version.
    """
    if any(isinstance(each, LazyFinder) for each in sys.meta_path):
        return True
    packages = [name for name in TESTED if name not in sys.modules and _is_tested(name)]
    if "monai" not in packages:
        return False
    sys.meta_path.insert(0, LazyFinder(packages))
    return True


def _is_tested(package: str) -> bool:
    distribution, tested = TESTED[package]
    try:
        return version(distribution) == tested
    except PackageNotFoundError:
        return False


class LazyFinder(importlib.abc.MetaPathFinder):
    """Finds what Python's own finder finds, and loads packages in another way."""

    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = frozenset(packages)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module of these packages, None for any other."""
        if fullname.partition(".")[0] not in self._packages:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or type(spec.loader) is not importlib.machinery.SourceFileLoader:
            return spec
        if spec.submodule_search_locations is not None:
            spec.loader = _PackageLoader(spec.loader.name, spec.loader.path)
        elif fullname == _LOOKS_THROUGH_EVERYTHING:
            spec.loader = _LocatorLoader(spec.loader.name, spec.loader.path)
        return spec


class _PackageLoader(importlib.machinery.SourceFileLoader):
    """Executes an `__init__` without the names that it only hands on; those wait."""

    _rest: CodeType | None = None

    def exec_module(self, module: ModuleType) -> None:
        """Execute the rest, and let the module find what waits."""
        tree = ast.parse(self.get_data(self.path), self.path)
        waiting = _take_out(tree, module)
        vars(module).update(_lazy_attributes(module, waiting))
        self._rest = compile(tree, self.path, "exec", dont_inherit=True)
        super().exec_module(module)
        self._rest = None

    def get_code(self, fullname: str) -> CodeType | None:
        """Return what is executed, and to whoever else asks all that the file has."""
        return super().get_code(fullname) if self._rest is None else self._rest


class _LocatorLoader(importlib.machinery.SourceFileLoader):
    """Lets MONAI's search for a bare name, such as `UNet`, still look through all of MONAI."""

    def exec_module(self, module: ModuleType) -> None:
        """Execute it, and let its search load what it is going to look through."""
        super().exec_module(module)
        locator = module.ComponentLocator
        search = locator.get_component_module_name

        @wraps(search)
        def searching(self: object, name: str) -> object:
            if isinstance(name, str) and "." in name:
                return None  # a path, which no class and no function has for a name
            _load_everything()
            return search(self, name)

        locator.get_component_module_name = searching


@cache
def _load_everything() -> None:
    """Load what `import monai` would have loaded, in MONAI's own way."""
    monai = sys.modules["monai"]
    for each in (False, True):
        getattr(monai, _LOADS_EVERYTHING)(monai, each, exclude_pattern=monai.excludes)


def _take_out(tree: ast.Module, module: ModuleType) -> dict[str, tuple[str, str]]:
    """Take the statements out of an `__init__` that only hand names on.

    Args:
        tree: The `__init__`; changed.
        module: The package.

    Returns:
        Where to find each name: a module and the name that it has there.
    """
    handed_on: dict[ast.stmt, dict[str, tuple[str, str]]] = {}
    for statement in tree.body:
        found = _handed_on(statement, module.__name__)
        if found is not None:
            handed_on[statement] = found
    rest = [each for each in tree.body if each not in handed_on]
    # A module below the package takes the place of a name that is like its own when it is loaded.
    needed = {*_names_used(rest), *_modules_below(module)}
    waiting: dict[str, tuple[str, str]] = {}
    for statement, names in handed_on.items():
        if names.keys() & needed:
            rest.append(statement)
        else:
            waiting |= names
    kept = {*rest}
    tree.body = [each for each in tree.body if each in kept]
    return waiting


def _handed_on(statement: ast.stmt, package: str) -> dict[str, tuple[str, str]] | None:
    """Names that a statement hands on from modules of its package; None if it does other things."""
    if isinstance(statement, ast.ImportFrom) and statement.module:
        source = f"{package}.{statement.module}" if statement.level == 1 else statement.module
        outside = statement.level > 1 or not source.startswith(f"{package}.")
        if outside or any(each.name == "*" for each in statement.names):
            return None
        return {each.asname or each.name: (source, each.name) for each in statement.names}
    if isinstance(statement, ast.Import):
        inside = all(each.name.startswith(f"{package}.") for each in statement.names)
        return {} if inside and not any(each.asname for each in statement.names) else None
    return {} if _loads_everything(statement) else None


def _loads_everything(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(ast.Call(ast.Name(name))):
            return name == _LOADS_EVERYTHING
    return False


def _names_used(statements: Iterable[ast.stmt]) -> Iterator[str]:
    for statement in statements:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name):
                yield node.id


def _modules_below(module: ModuleType) -> Iterator[str]:
    for folder in module.__path__:
        yield from (each.name.partition(".")[0] for each in Path(folder).iterdir())


def _lazy_attributes(
    module: ModuleType, waiting: Mapping[str, tuple[str, str]]
) -> dict[str, Callable[..., Any]]:
    """Make the functions that Python asks for names that a module has not got (PEP 562)."""

    def find(name: str) -> Any:
        if name in waiting:
            source, original = waiting[name]
            value = getattr(importlib.import_module(source), original)
            vars(module)[name] = value
            return value
        if name == "__all__":  # what `from package import *` takes
            return [each for each in listed() if not each.startswith("_")]
        below = f"{module.__name__}.{name}"
        if not name.startswith("__") and importlib.util.find_spec(below) is not None:
            return importlib.import_module(below)
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

    def listed() -> list[str]:
        return sorted({*vars(module), *waiting})

    return {"__getattr__": find, "__dir__": listed}
