"""The arguments that a class or function takes, read from its source."""

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.workflows.modules import Module, Opaque, literal_strings
from pipelines.workflows.sources import Definition, Sources

_MOST_BASES = 20
_NO_CONSTRUCTOR = frozenset({"object", "ABC", "Generic", "Protocol"})


@dataclass(frozen=True, slots=True)
class Signature:
    """Arguments by keyword.

    Attributes:
        names: Every argument, in order.
        required: Those without a default.
        is_open: True if any other keyword is accepted too, or may be.
        choices: The strings that an argument may be, for those of type `Literal`.
    """

    names: tuple[str, ...] = ()
    required: frozenset[str] = frozenset()
    is_open: bool = False
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


ANYTHING = Signature(is_open=True)


def signature_of(found: Definition | Opaque, sources: Sources, *, depth: int = 0) -> Signature:
    """Return the arguments with which a class or function is called.

    Args:
        found: What a `_target_` stands for.
        sources: Where base classes are looked up.
        depth: How many classes were climbed to get here.
    """
    if isinstance(found, Opaque) or depth > _MOST_BASES:
        return ANYTHING
    if isinstance(found.node, ast.FunctionDef):
        skipped = 1 if found.owner and not _is_decorated(found.node, "staticmethod") else 0
        return _arguments(found.node, skipped, found.module)
    return _constructor(found, found.node, sources, depth)


def _constructor(found: Definition, node: ast.ClassDef, sources: Sources, depth: int) -> Signature:
    methods = {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}
    init = methods.get("__init__") or methods.get("__new__")
    if init is not None:
        own = _arguments(init, 1, found.module)
        if init.args.kwarg is None:
            return own
        return _with_base_arguments(own, init, lambda: _inherited(found, node, sources, depth))
    inherited = _inherited(found, node, sources, depth)
    if not _is_decorated(node, "dataclass"):
        return inherited
    fields = list(_fields(node))
    names = [*inherited.names, *(name for name, _ in fields if name not in inherited.names)]
    required = (inherited.required - {name for name, _ in fields}) | {
        name for name, has_default in fields if not has_default
    }
    return Signature(tuple(names), frozenset(required), inherited.is_open)


def _inherited(found: Definition, node: ast.ClassDef, sources: Sources, depth: int) -> Signature:
    """The constructor of the first base class that has one."""
    for base in node.bases:
        root = base.value if isinstance(base, ast.Subscript) else base
        if ast.unparse(root).rpartition(".")[2] in _NO_CONSTRUCTOR:
            continue
        above = sources.expression(root, found.module)
        if not isinstance(above, Definition):
            return ANYTHING
        signature = signature_of(above, sources, depth=depth + 1)
        if signature != Signature():
            return signature
    return Signature()


def _with_base_arguments(
    own: Signature, init: ast.FunctionDef, inherited: Callable[[], Signature]
) -> Signature:
    """Resolve `**kwargs` of a constructor that hands them on to that of its base class."""
    kwargs = init.args.kwarg.arg if init.args.kwarg else ""
    passed_on, read, has_other_use = _uses(init, kwargs)
    if has_other_use or len(passed_on) != 1:
        return own
    base = inherited()
    given = {each.arg for each in passed_on[0].keywords if each.arg}
    positional = passed_on[0].args
    if any(isinstance(each, ast.Starred) for each in positional):
        return own
    given |= set(base.names[: len(positional)])
    left = [name for name in base.names if name not in given]
    names = [*own.names, *(name for name in (*left, *sorted(read)) if name not in own.names)]
    required = own.required | (base.required - given - read - set(own.names))
    return Signature(tuple(dict.fromkeys(names)), required, base.is_open, own.choices)


def _uses(init: ast.FunctionDef, kwargs: str) -> tuple[list[ast.Call], set[str], bool]:
    """How a constructor uses its `**kwargs`: calls of the base's, names read, anything else."""
    calls = [
        node
        for node in ast.walk(init)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "__init__"
        and any(_is_name(each.value, kwargs) for each in node.keywords if each.arg is None)
    ]
    read: set[str] = set()
    understood = len(calls)
    for node in ast.walk(init):
        name = _name_read(node, kwargs)
        if name is not None:
            read.add(name)
            understood += 1
    mentions = sum(_is_name(node, kwargs) for node in ast.walk(init))
    return calls, read, mentions > understood


def _name_read(node: ast.AST, kwargs: str) -> str | None:
    """The literal name in `kwargs["x"]`, `kwargs.get("x")`, `kwargs.pop("x")`, `"x" in kwargs`."""
    key: ast.AST | None = None
    if isinstance(node, ast.Subscript) and _is_name(node.value, kwargs):
        key = node.slice
    elif isinstance(node, ast.Compare) and _is_name(node.comparators[0], kwargs):
        key = node.left
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and _is_name(node.func.value, kwargs)
        and node.func.attr in {"get", "pop", "setdefault"}
        and node.args
    ):
        key = node.args[0]
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None


def _is_name(node: ast.AST | None, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _arguments(function: ast.FunctionDef, skipped: int, module: Module) -> Signature:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    without_default = positional[: len(positional) - len(arguments.defaults)]
    required = {each.arg for each in without_default[skipped:]}
    required |= {
        each.arg
        for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    }
    taken = (*positional[skipped:], *arguments.kwonlyargs)
    allowed = {each.arg: _choices(each.annotation, module) for each in taken}
    return Signature(
        tuple(allowed),
        frozenset(required),
        arguments.kwarg is not None,
        {name: choices for name, choices in allowed.items() if choices},
    )


def _choices(annotation: ast.expr | None, module: Module) -> tuple[str, ...]:
    """Strings that an annotation allows, written out or by an alias of the same module."""
    if isinstance(annotation, ast.BinOp) and ast.unparse(annotation.right) == "None":
        annotation = annotation.left
    if isinstance(annotation, ast.Name):
        return module.choices.get(annotation.id, ())
    return literal_strings(annotation)


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, bool]]:
    """Names of a dataclass's fields, and whether each has a default."""
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            annotation = ast.unparse(statement.annotation)
            if "ClassVar" not in annotation and not _is_no_argument(statement.value):
                yield statement.target.id, _has_default(statement.value)


def _is_no_argument(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and any(
        each.arg == "init" and isinstance(each.value, ast.Constant) and not each.value.value
        for each in value.keywords
    )


def _has_default(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call) and ast.unparse(value.func).endswith("field"):
        return any(each.arg in {"default", "default_factory"} for each in value.keywords)
    return value is not None


def _is_decorated(node: ast.ClassDef | ast.FunctionDef, name: str) -> bool:
    decorators: Sequence[ast.expr] = [
        each.func if isinstance(each, ast.Call) else each for each in node.decorator_list
    ]
    return any(ast.unparse(each).rpartition(".")[2] == name for each in decorators)
