"""Bundles whose configurations are damaged on purpose: what `fuzz.py` gives to `check`.

Most changes are made to what a file holds, so that it still parses: types swapped, keys left out
or misnamed, references broken or in a circle, other targets, expressions that no list foresees,
numbers beyond any range, nesting beyond any depth. The others are made to its bytes, as JSON or as
YAML with what that adds: anchors, tags, merge keys.
"""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from mutations.changes import BYTES
from pipelines.workflows.bundle import CHECKOUT, Bundle

CONFIG = "config"
_OVERLAYS = 2
_FILES = ("LICENSE", "docs/README.md", "docs/data_license.txt")
_DEEP = "deep nesting goes here"

Tree = dict[str, Any] | list[Any]
_Place = tuple[Tree, Any]
"""What holds a value, and its key or index there."""

_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 0.5, 1e308, 2**63, 10**400, "", " ", "x", [], {}, [[]], [{}]),
    *({"": ""}, {"_target_": None}, {"_target_": []}, {"_target_": {}}, {"_target_": ""}),
    *({"_target_": "."}, {"_target_": ".."}, {"_target_": "os.system"}, {"_target_": "builtins"}),
    *({"_target_": "$1"}, {"_target_": "@device"}, {"_target_": "torch"}, {"_mode_": []}),
    *({"_target_": "torch.nn.Linear", "_mode_": []}, {"_target_": "a" * 3000, "_mode_": {}}),
    *("\0", "\ud800", "\u202e", "²", "x" * 50_000, "a::b::c", "#", "::", "@", "%", "$", _DEEP),
)
_TEXTS = (
    *("$", "$ ", "$1 +", "$(", "$)", "$[x for x in @a]", "$lambda: 0", "$import os", "$x := 1"),
    *("$__import__('os').system('true')", "$@network_def.parameters()", "$@", "$@#", "$%train"),
    *("$'" + "a" * 300, "$" + "(" * 300, "$" + "-" * 5000 + "1", "$" + "[" * 150 + "]" * 150),
    *("$" + "9" * 5000, "$\0", "$\ud800", "$f'{1}'", "$a.b.c.d.e", "$np.zeros(1)(2)(3)"),
    *("$" + "a." * 3000 + "b", "$" + "+".join("1" * 3000), "$print(*[])", "$(yield)", "$await x"),
    *("$torch.device(**{})", "$monai.nosuch.thing", "$numpy.random.rand(1)", "$ü", "$1if 1else 1"),
    *("@train", "@train::trainer", "@##", "@###########x", "@#", "@nosuch", "@a#b", "@a::²", "@²"),
    *(
        "@train::handlers::99",
        "@train::handlers::²",
        "@train::handlers::" + "9" * 5000,
        "@@",
        "@a b",
    ),
    *(
        "%train",
        "%train::trainer",
        "%other.json::key",
        "%nosuch",
        "%#",
        "%train::handlers::²",
        "%%",
    ),
    *("../../etc/passwd", "/etc/passwd", "s3://bucket/key", "~root", "C:\\x", "file:///x"),
)
_TARGETS = (
    *(
        "os.system",
        "builtins.eval",
        "torch.load",
        "monai",
        "monai.networks.nets",
        "torch.nn.Module",
    ),
    *("pipelines.nosuch", "pipelines.cli.main", "monai.networks.nets.DenseNte121", "DenseNet121"),
    *(
        "Compose",
        "numpy",
        "numpy.zeros",
        "torch.optim.AdamW",
        "a..b",
        "..",
        "1.2",
        "é.è",
        "x" * 9000,
    ),
    *("torch." + "nn." * 500 + "Linear", "collections.OrderedDict", "json.encoder.JSONEncoder"),
    *("pipelines.training.trainer.build_trainer.x.y", "torch.\0", "torch.\ud800", "a/b", "../x.y"),
)
_KEYS = (
    *("", "_target_", "_mode_", "_desc_", "_new_", "_meta_", "_disabled_", "_requires_", "_trget_"),
    *("+train", "a::b", "train::trainer::max_epochs", "train#trainer", "::", "#", "0", "²", "run"),
    *("train::handlers::²", "train::handlers::0", "+train::handlers", "\0", "\ud800", "x" * 9000),
    *("network_def::_target_", "@a", "$a", "%a", "dataset", "train::handlers::" + "9" * 5000),
)
_YAML = (
    *("&a [*a]", "&a {b: *a}", "!!python/object/apply:os.system [x]", "!!int x", "!!float x"),
    *("2020-99-99", "2020-13-45 99:99:99", "{<<: 1}", "? [a]\n: 1", "{[a]: 1}", "{{}: 1}", "0o9"),
    *("!!set {a, b}", "!!binary x", "!!timestamp x", "*nosuch", "| \n a", "1_000", "0b2", ".inf"),
    *("!!null x", "!!bool x", "!!omap [a]", "!!pairs [a]", "! x", "%TAG ! x", "--- 1", "..."),
    "[" * 2000,
    "&a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
    "d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\n"
    "f: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f]\n"
    "h: &h [*g,*g,*g,*g,*g,*g,*g,*g]\ni: [*h,*h,*h,*h,*h,*h,*h,*h]",
)
_DEPTHS = (5, 40, 150, 400, 900, 1100, 5000, 100_000)


class MutatedBundle:
    """A folder that holds one mutated bundle after the other.

    Args:
        folder: For it; made as needed.

    Attributes:
        bundle: The bundle.
    """

    def __init__(self, folder: Path) -> None:
        self.bundle = Bundle("mutated", folder / "mutated")
        for name in ("configs", "docs"):
            (self.bundle.root / name).mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            (self.bundle.root / name).write_text("x\n")
        roots = sorted((CHECKOUT / "bundles").glob("*/configs"))
        self._texts = [{path.name: path.read_text("utf-8") for path in r.glob("*")} for r in roots]

    def mutate(self, random: Random) -> None:
        """Write another bundle there, of which one or two files are changed."""
        texts = random.choice(self._texts)
        named = ("train.json", "inference.json", "metadata.json", "logging.conf")
        overlays = sorted({*texts} - {*named})
        chosen = [*named, *random.sample(overlays, min(_OVERLAYS, len(overlays)))]
        for path in self.bundle.configs.iterdir():
            path.unlink()
        written = {name: texts[name].encode() for name in chosen}
        for name in random.sample(chosen, random.choice((1, 1, 2))):
            changed, content = _changed(name, texts[name], random)
            del written[name]
            written[changed] = content
        for name, content in written.items():
            (self.bundle.configs / name).write_bytes(content)


def _changed(name: str, text: str, random: Random) -> tuple[str, bytes]:
    """Return the name and the content of a changed file."""
    if name.endswith(".conf"):
        return name, random.choice(BYTES)(text.encode(), random)
    for _ in range(random.choice((0, 1, 1, 2, 4))):
        text = _tree_changed(text, random)
    content = text.encode("utf-8", "surrogatepass")
    if random.random() < 0.2:
        content = random.choice(BYTES)(content, random)
    if name != "metadata.json" and random.random() < 0.1:
        return name.replace(".json", ".yaml"), _as_yaml(content, random)
    return name, content


def _as_yaml(content: bytes, random: Random) -> bytes:
    """Write it as YAML, which JSON nearly is, with something of YAML's own at some place."""
    snippet = random.choice(_YAML).encode()
    places = [at for at, byte in enumerate(content) if byte in b",\n"] or [0]
    at = random.choice(places)
    if random.random() < 0.5:
        return b"z: " + snippet + b"\n" + random.choice((b"", content))
    return content[: at + 1] + b' "z": ' + snippet + b"," + content[at + 1 :]


def _tree_changed(text: str, random: Random) -> str:
    """Change what a JSON file holds; one that holds nothing any more stays as it is."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return text
    places = [*_places(tree)]
    if not places:
        return text
    random.choice(_TREE_CHANGES)(random.choice(places), places, random)
    written = json.dumps(tree, indent=4, ensure_ascii=random.random() < 0.5)
    depth = random.choice(_DEPTHS)
    opening, closing = random.choice((("[", "]"), ('{"a":', "}")))
    deep = opening * depth + "1" + closing * depth
    number = random.choice(("1e999", "-" + "9" * 5000, "NaN", "1.0e-999"))
    return written.replace(f'"{_DEEP}"', random.choice((deep, deep, number)))


def _places(tree: Tree) -> Iterator[_Place]:
    """Find every value of a tree."""
    items = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree))
    for key, value in items:
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _revalued(place: _Place, _places: list[_Place], random: Random) -> None:
    holder, key = place
    holder[key] = copy.deepcopy(random.choice(_VALUES))


def _reworded(place: _Place, _places: list[_Place], random: Random) -> None:
    holder, key = place
    holder[key] = random.choice(_TEXTS)


def _retargeted(place: _Place, places: list[_Place], random: Random) -> None:
    targets = [each for each in places if each[1] == "_target_"] or [place]
    holder, key = random.choice(targets)
    holder[key] = random.choice(_TARGETS)


def _referred(place: _Place, places: list[_Place], random: Random) -> None:
    """Let a value refer to some key of the file: it may be its own, or one that needs it."""
    holder, key = place
    names = [str(name) for _, name in places if isinstance(name, str)]
    sign = random.choice(("@", "@", "$@", "%", "@#", "@##"))
    holder[key] = sign + "::".join(random.choices(names, k=random.choice((1, 1, 2, 3))))


def _removed(place: _Place, _places: list[_Place], random: Random) -> None:
    del place[0][place[1]]


def _renamed(place: _Place, _places: list[_Place], random: Random) -> None:
    holder, key = place
    if isinstance(holder, dict):
        new = random.choice((random.choice(_KEYS), key[::-1], key[1:], key + key[-1:]))
        holder[new] = holder.pop(key)
    else:
        holder.insert(0, holder.pop(key))


def _added(place: _Place, _places: list[_Place], random: Random) -> None:
    holder, _ = place
    value = copy.deepcopy(random.choice((*_VALUES, *_TEXTS)))
    if isinstance(holder, dict):
        holder[random.choice(_KEYS)] = value
    else:
        holder.extend([value] * random.choice((1, 300)))


def _moved(place: _Place, places: list[_Place], random: Random) -> None:
    """Put a copy of one part of the file in the place of another."""
    holder, key = random.choice(places)
    value = copy.deepcopy(holder[key])
    place[0][place[1]] = value


def _widened(place: _Place, _places: list[_Place], random: Random) -> None:
    """Add many keys, each of which needs the next one; the last may need the first."""
    holder, key = place
    count = random.choice((30, 30, 30, 300, 300, 3000))
    sign = random.choice(("", "@", "$@"))
    added = {f"k{n}": f"{sign}k{n + 1}" for n in range(count)} | {f"k{count}": f"{sign}k0"}
    if random.random() < 0.5:
        added[f"k{count}"] = "0"
    if isinstance(holder, dict):
        holder |= added
    else:
        holder[key] = added


_TREE_CHANGES: tuple[Callable[[_Place, list[_Place], Random], None], ...] = (
    *(_revalued, _revalued, _reworded, _reworded, _retargeted),
    *(_referred, _removed, _renamed, _added, _moved, _widened),
)
