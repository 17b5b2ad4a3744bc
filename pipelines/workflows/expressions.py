"""The short list of what a `$` expression may hold.

Names, attributes, one call, `+` and literals, at most 60 characters. Everything else is logic, and
logic belongs into a typed function that a `_target_` names, where tools and tests can see it.
"""

import ast
from collections.abc import Iterator

from pipelines.nearest import did_you_mean
from pipelines.workflows.modules import Module
from pipelines.workflows.references import without_references
from pipelines.workflows.signatures import signature_of
from pipelines.workflows.sources import Missing, Sources

MOST_CHARACTERS = 60
_MOST_PARSED = 500
"""Characters of what is looked into, to say more of it than that it is too long: Python's parser
calls itself for each bracket and sign."""

_MODULES = {"torch": "torch", "monai": "monai", "np": "numpy", "numpy": "numpy"}
_FUNCTIONS = frozenset({"int", "float", "str", "bool", "len", "list", "tuple", "dict"})
_REFERENCE = "reference"
_ALLOWED = (
    ast.Expression,
    ast.Name,
    ast.Attribute,
    ast.Call,
    ast.keyword,
    ast.BinOp,
    ast.Add,
    ast.Constant,
    ast.List,
    ast.Tuple,
    ast.UnaryOp,
    ast.USub,
    ast.Load,
)
_NAMED = {
    ast.Lambda: "a lambda",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.IfExp: "an if-expression",
    ast.Subscript: "a subscript",
    ast.Compare: "a comparison",
    ast.BoolOp: "and/or",
    ast.UnaryOp: "an operator",
    ast.BinOp: "an operator",
    ast.JoinedStr: "an f-string",
    ast.NamedExpr: "an assignment",
}
_REMEDY = "move it into a function and name that with _target_"


def check_expression(text: str, sources: Sources) -> str | None:
    """Say what an expression holds that it may not hold; None when it is fine.

    Args:
        text: The expression with its `$`.
        sources: Where names of MONAI and torch are looked up.

    Examples:
        >>> check_expression("$@network.parameters()", Sources()) is None
        True
        >>> check_expression("$[x for x in @data]", Sources()).partition(";")[0]
        'a $ expression may not hold a comprehension'
    """
    too_long = f"expected at most {MOST_CHARACTERS} characters, got {len(text)}; {_REMEDY}"
    if len(text) > _MOST_PARSED:
        return too_long
    code = without_references(text[1:], _REFERENCE).strip()
    try:
        tree = ast.parse(code, mode="eval")
    except (SyntaxError, ValueError):  # a ValueError for characters that no source may hold
        held = (
            "an import" if code.startswith(("import ", "from ")) else "anything but an expression"
        )
        return f"a $ expression may not hold {held}; {_REMEDY}"
    said = _forbidden(tree)
    if said:
        return f"a $ expression may not hold {said}; {_REMEDY}"
    if len(text) > MOST_CHARACTERS:
        return too_long
    return next(_unknown_names(tree, sources), None)


def _forbidden(tree: ast.Expression) -> str | None:
    calls = 0
    for node in ast.walk(tree):
        calls += isinstance(node, ast.Call)
        if not isinstance(node, _ALLOWED) and not isinstance(node, ast.operator | ast.unaryop):
            return _NAMED.get(type(node), type(node).__name__.lower())
        if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Add):
            return "an operator other than +"
        if isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):
            return "an operator other than +"
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            return f"the private name '{node.attr}'"
    return "more than one call" if calls > 1 else None


def _unknown_names(tree: ast.Expression, sources: Sources) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id != _REFERENCE:
            known = [*_MODULES, *sorted(_FUNCTIONS)]
            if node.id not in known:
                yield (
                    f"the name '{node.id}' is not known in a $ expression"
                    f"{did_you_mean(node.id, known) or f'; {_REMEDY}'}"
                )
        elif isinstance(node, ast.Attribute):
            found = sources.find(_dotted(node)) if _dotted(node) else None
            if isinstance(found, Missing):
                yield found.message
        elif isinstance(node, ast.Call):
            yield from _unknown_arguments(node, sources)


def _unknown_arguments(call: ast.Call, sources: Sources) -> Iterator[str]:
    found = sources.find(_dotted(call.func)) if _dotted(call.func) else None
    if found is None or isinstance(found, Missing | Module):
        return
    signature = signature_of(found, sources)
    for each in call.keywords:
        if each.arg and each.arg not in signature.names and not signature.is_open:
            close = did_you_mean(each.arg, signature.names)
            yield f"{_dotted(call.func)} takes no '{each.arg}'{close}"


def _dotted(node: ast.expr) -> str:
    """The full name of a chain of attributes that starts at a known module, else empty."""
    root, _, rest = ast.unparse(node).partition(".")
    return f"{_MODULES[root]}.{rest}" if root in _MODULES and rest else ""
