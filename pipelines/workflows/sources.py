"""Find a class or function by its dotted name in the source of installed packages.

Nothing is imported: a package is located, its files are parsed, and re-exports are followed from
file to file. What has no Python source (extension modules, names made at run time) is opaque: it
exists as far as anyone can tell, and nothing is known about its arguments.
"""

import ast
import builtins
import functools
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pipelines.nearest import did_you_mean
from pipelines.workflows.modules import (
    Binding,
    Imported,
    Module,
    Opaque,
    submodule,
    top_level_module,
)


@dataclass(frozen=True, slots=True)
class Definition:
    """A class or function, and the module whose names its source uses."""

    node: ast.ClassDef | ast.FunctionDef
    module: Module
    owner: ast.ClassDef | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no such thing; the message says where the name ends and what is near."""

    message: str


Found: TypeAlias = Definition | Module | Opaque | Missing

_MOST_HOPS = 40
_SUGGESTED_PACKAGES = ("pipelines", "monai", "torch", "numpy", "ignite")
_TOP_LEVEL = re.compile(r"^(?:class|def) (\w+)|^(\w+)(?= = \w+(?: = \w+)*$)", re.MULTILINE)


class Sources:
    """The source of installed packages, parsed as needed and once.

    Attributes:
        signatures: What targets that were asked for can be called with, as `component_signature`
            has found it.
    """

    def __init__(self) -> None:
        self._modules: dict[str, Module | Opaque | None] = {}
        self.signatures: dict[str, Any] = {}

    def find(self, dotted: str, *, hops: int = 0) -> Found:
        """Find what a dotted name stands for.

        As in MONAI, the longest part that names a module is taken as the module.

        Args:
            dotted: Full name, for instance `monai.networks.nets.DenseNet121`.
            hops: How many imports were followed to get here; a guard against circles.
        """
        if hops > _MOST_HOPS:
            return Opaque.OPAQUE
        parts = dotted.split(".")
        module, depth = self._deepest_module(parts)
        if module is None:
            close = did_you_mean(parts[0], _SUGGESTED_PACKAGES)
            return Missing(f"no package '{parts[0]}' is installed{close}")
        if isinstance(module, Opaque) or depth == len(parts):
            return module
        found = self.name_in(module, parts[depth], hops=hops)
        if isinstance(found, Opaque) and parts[depth] not in module.bindings and parts[depth + 1 :]:
            # Extension modules hardly hold other modules: more likely a misspelt submodule.
            missing = self._missing(module, parts[depth])
            found = missing if missing.message.endswith("?") else found
        for part in parts[depth + 1 :]:
            found = self._attribute(found, part, hops=hops)
        return found

    def name_in(self, module: Module, name: str, *, hops: int = 0) -> Found:
        """Find what a name stands for at the top level of a module."""
        if hops > _MOST_HOPS:
            return Opaque.OPAQUE
        binding = module.bindings.get(name)
        if binding is not None:
            return self._follow(binding, module, hops=hops + 1)
        inside = self.module(f"{module.name}.{name}") if module.folder else None
        found = inside or self._name_in_stars(module, name, hops=hops + 1)
        if isinstance(found, Missing) and module.dynamic:
            return Opaque.OPAQUE
        return found

    def _name_in_stars(self, module: Module, name: str, *, hops: int) -> Found:
        for star in module.stars:
            source = self.module(star)
            if isinstance(source, Opaque):
                return Opaque.OPAQUE
            found = self.name_in(source, name, hops=hops) if source else Missing("")
            if not isinstance(found, Missing):
                return found
        return self._missing(module, name)

    def _missing(self, module: Module, name: str) -> Missing:
        close = did_you_mean(name, self._names(module))
        return Missing(f"{module.name} has no '{name}'{close}")

    def expression(self, node: ast.expr, module: Module, *, hops: int = 0) -> Found:
        """Find what a name or a chain of attributes stands for in the source of a module."""
        if isinstance(node, ast.Subscript):  # Generic[T], Dataset[int]
            return self.expression(node.value, module, hops=hops)
        if isinstance(node, ast.Name):
            if node.id in module.bindings or not hasattr(builtins, node.id):
                return self.name_in(module, node.id, hops=hops)
            return Opaque.OPAQUE
        if isinstance(node, ast.Attribute):
            inner = self.expression(node.value, module, hops=hops)
            return self._attribute(inner, node.attr, hops=hops)
        return Opaque.OPAQUE

    def module(self, dotted: str) -> Module | Opaque | None:
        """Locate and parse a module; None if there is none of this name."""
        if dotted not in self._modules:
            self._modules[dotted] = self._locate(dotted)
        return self._modules[dotted]

    def _locate(self, dotted: str) -> Module | Opaque | None:
        parent, _, name = dotted.rpartition(".")
        if not parent:
            return top_level_module(name)
        package = self.module(parent)
        if not isinstance(package, Module) or package.folder is None:
            return None
        return submodule(package.folder, name, dotted)

    def _deepest_module(self, parts: list[str]) -> tuple[Module | Opaque | None, int]:
        deepest: Module | Opaque | None = None
        for depth in range(1, len(parts) + 1):
            module = self.module(".".join(parts[:depth]))
            if module is None:
                return deepest, depth - 1
            if isinstance(module, Opaque):
                return module, depth
            deepest = module
        return deepest, len(parts)

    def _follow(self, binding: Binding, module: Module, *, hops: int) -> Found:
        if isinstance(binding, ast.ClassDef | ast.FunctionDef):
            return Definition(binding, module)
        if isinstance(binding, Imported):
            dotted = f"{binding.module}.{binding.name}" if binding.name else binding.module
            found = self.find(dotted, hops=hops)
            # An import that fails here is guarded by try, or depends on the platform.
            return Opaque.OPAQUE if isinstance(found, Missing) else found
        if isinstance(binding, ast.expr):
            found = self.expression(binding, module, hops=hops)
            return Opaque.OPAQUE if isinstance(found, Missing) else found
        return Opaque.OPAQUE

    def _attribute(self, found: Found, name: str, *, hops: int) -> Found:
        if isinstance(found, Module):
            return self.name_in(found, name, hops=hops)
        if not isinstance(found, Definition):
            return found
        if isinstance(found.node, ast.FunctionDef):
            return Missing(f"the function {found.node.name} has no '{name}'")
        methods = {each.name: each for each in found.node.body if isinstance(each, ast.FunctionDef)}
        if name in methods:
            return Definition(methods[name], found.module, owner=found.node)
        if found.node.bases:  # it may be inherited
            return Opaque.OPAQUE
        return Missing(f"the class {found.node.name} has no '{name}'{did_you_mean(name, methods)}")

    def _names(self, module: Module) -> Iterator[str]:
        yield from module.bindings
        if module.folder:
            for path in sorted(module.folder.iterdir()):
                yield path.stem
        for star in module.stars:
            source = self.module(star)
            if isinstance(source, Module):
                yield from source.bindings


@functools.cache
def monai_components() -> dict[str, str]:
    """Return the module of every class and function of MONAI by its bare name.

    A configuration may leave the module away for these. The sources are only skimmed.
    """
    found: dict[str, str] = {}
    spec = importlib.util.find_spec("monai")
    if spec is None or spec.origin is None:
        return found
    root = Path(spec.origin).parent
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        for match in _TOP_LEVEL.finditer(path.read_text(encoding="utf-8")):
            found.setdefault(match[1] or match[2], module)
    return found
