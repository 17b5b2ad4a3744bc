"""`$` strings hold names, attributes, one call, `+` and literals; all else is refused."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.workflows.expressions import MOST_CHARACTERS, check_expression
from pipelines.workflows.sources import Sources


@pytest.fixture(scope="module")
def sources() -> Sources:
    return Sources()


@pytest.mark.parametrize(
    "text",
    [
        "$@network_def.to(@device)",
        "$@network.parameters()",
        "$@bundle_root + '/models'",
        "$monai.utils.set_determinism(seed=@seed)",
        "$@train::trainer.run()",
        "$@train#trainer.run()",
        "$@data.split('train')",
        "$torch.device('cpu')",
        "$torch.bfloat16",
        "$np.float32",
        "$-1",
        "$[1, 2] + (3,)",
        "$len(@data)",
        "$None",
    ],
)
def test_what_is_allowed(sources, text):
    assert check_expression(text, sources) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("$import glob", "an import"),
        ("$from a import b", "an import"),
        ("$lambda x: x", "a lambda"),
        ("$[x for x in @a]", "a comprehension"),
        ("${x: 1 for x in @a}", "a comprehension"),
        ("$1 if @a else 2", "an if-expression"),
        ("$@a[0]", "a subscript"),
        ("$@a > 1", "a comparison"),
        ("$@a and @b", "and/or"),
        ("$not @a", "an operator"),
        ("$@a * 2", "other than +"),
        ("$@a.b().c()", "more than one call"),
        ("$setattr(@a, 'b', 1)", "'setattr' is not known"),
        ("$open('x')", "'open' is not known"),
        ("$__import__('os')", "'__import__' is not known"),
        ("$@a.__class__", "'__class__'"),
        ("$f'{@a}'", "an f-string"),
        ("$(x := 1)", "an assignment"),
        ("$pipelines.labels.X", "'pipelines' is not known"),
        ("$tocrh.device('cpu')", "did you mean 'torch'?"),
        ("$monai.utils.set_determinsm()", "did you mean 'set_determinism'?"),
        ("$monai.utils.set_determinism(sed=1)", "did you mean 'seed'?"),
        ("$@a +", "anything but an expression"),
        ("$", "anything but an expression"),
        ("$@a + '" + "x" * MOST_CHARACTERS + "'", "at most 60 characters"),
    ],
)
def test_what_is_refused(sources, text, said):
    message = check_expression(text, sources)
    assert message is not None
    assert said in message
    assert len(message.splitlines()) == 1


@given(text=st.text(max_size=40))
def test_any_text_gets_an_answer(text):
    message = check_expression("$" + text, Sources())
    if message is None:
        tree = ast.parse(text.replace("@", "").replace("#", "").replace("::", "_").strip() or "0")
        assert sum(isinstance(node, ast.Call) for node in ast.walk(tree)) <= 1


@pytest.mark.parametrize(
    "text", ["$\0", "$\ud800", "$" + "-" * 400 + "1", "$" + "-" * 90_000 + "1", "$" + "a." * 9000]
)
def test_what_no_parser_takes_gets_an_answer(sources, text):
    assert check_expression(text, sources)
