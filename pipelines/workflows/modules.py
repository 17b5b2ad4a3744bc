"""What a source file binds at its top level, read without importing it."""

import ast
import functools
import importlib.util
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TypeAlias


class Opaque(Enum):
    """Something that exists, or may exist, without source to read."""

    OPAQUE = "opaque"


@dataclass(frozen=True, slots=True)
class Imported:
    """A name bound by an import: a whole module, or a name from one."""

    module: str
    name: str | None


Binding: TypeAlias = ast.ClassDef | ast.FunctionDef | ast.expr | Imported | Opaque


@dataclass(slots=True, eq=False)
class Module:
    """What a source file binds at its top level.

    Attributes:
        name: Dotted name.
        folder: The folder of submodules, if it is a package.
        bindings: What each name stands for.
        stars: Modules whose names are all imported.
        dynamic: True if names may be made at run time.
        choices: Strings of each alias that stands for a `Literal`.
    """

    name: str
    folder: Path | None
    bindings: dict[str, Binding] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    dynamic: bool = False
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)


def top_level_module(name: str) -> Module | Opaque | None:
    """Locate and parse a top-level package or module; None if none of this name is installed."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    folders = [Path(each) for each in spec.submodule_search_locations or ()]
    if spec.origin is None or not spec.origin.endswith(".py"):
        return Module(name, folders[0]) if folders else Opaque.OPAQUE
    return _parsed(Path(spec.origin), name, folders[0] if folders else None)


def submodule(folder: Path, name: str, dotted: str) -> Module | Opaque | None:
    """Locate and parse the module `name` in the folder of a package; None if there is none."""
    if (folder / name / "__init__.py").is_file():
        return _parsed(folder / name / "__init__.py", dotted, folder / name)
    if (folder / f"{name}.py").is_file():
        return _parsed(folder / f"{name}.py", dotted, None)
    if any(folder.glob(f"{name}.*so")) or any(folder.glob(f"{name}.*pyd")):
        return Opaque.OPAQUE
    return Module(dotted, folder / name) if (folder / name).is_dir() else None


def _parsed(path: Path, name: str, folder: Path | None) -> Module | Opaque:
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return Opaque.OPAQUE
    return _parsed_once(path, name, folder, changed)


@functools.lru_cache(maxsize=1024)
def _parsed_once(path: Path, name: str, folder: Path | None, _changed: int) -> Module | Opaque:
    """Parse a file; parsed again only when it has changed, for several bundles share sources."""
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except (OSError, ValueError, SyntaxError):
        return Opaque.OPAQUE
    module = Module(name, folder)
    _bind_all(tree.body, module)
    module.dynamic = "__getattr__" in module.bindings or "globals()" in text
    return module


def _bind_all(body: list[ast.stmt], module: Module) -> None:
    for statement in body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            module.bindings[statement.name] = statement
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            _bind_import(statement, module)
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            _bind_assignment(statement, module)
        elif isinstance(statement, ast.If | ast.Try | ast.With | ast.For):
            for part in ("body", "orelse", "finalbody"):
                _bind_all(getattr(statement, part, []), module)
            for handler in getattr(statement, "handlers", []):
                _bind_all(handler.body, module)


def _bind_import(statement: ast.Import | ast.ImportFrom, module: Module) -> None:
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            whole = alias.name if alias.asname else alias.name.partition(".")[0]
            module.bindings[alias.asname or whole] = Imported(whole, None)
        return
    source = statement.module or ""
    if statement.level:
        parts = module.name.split(".")
        above = len(parts) - statement.level + (1 if module.folder else 0)
        source = ".".join([*parts[:above], *([source] if source else [])])
    for alias in statement.names:
        if alias.name == "*":
            module.stars.append(source)
        else:
            module.bindings[alias.asname or alias.name] = Imported(source, alias.name)


def _bind_assignment(statement: ast.Assign | ast.AnnAssign, module: Module) -> None:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    plain = isinstance(statement.value, ast.Name | ast.Attribute)
    choices = literal_strings(statement.value)
    for target in targets:
        for name in ast.walk(target):
            if isinstance(name, ast.Name) and statement.value is not None:
                if choices:
                    module.choices[name.id] = choices
                value = statement.value if plain and name is target else Opaque.OPAQUE
                # The import for type checkers says more than a call that imports at run time.
                if value is not Opaque.OPAQUE or name.id not in module.bindings:
                    module.bindings[name.id] = value


def literal_strings(annotation: ast.expr | None) -> tuple[str, ...]:
    """Return the strings that `Literal["a", "b"]` allows; nothing for any other expression."""
    if not isinstance(annotation, ast.Subscript):
        return ()
    if ast.unparse(annotation.value).rpartition(".")[2] != "Literal":
        return ()
    inside = annotation.slice
    listed = inside.elts if isinstance(inside, ast.Tuple) else [inside]
    values = [each.value for each in listed if isinstance(each, ast.Constant)]
    return tuple(value for value in values if isinstance(value, str))
