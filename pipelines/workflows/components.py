"""Components of a configuration: every `_target_` exists and takes the arguments it is given."""

import builtins
from collections.abc import Iterator, Mapping

from pipelines.nearest import did_you_mean, nearest, right_names
from pipelines.workflows.merging import Placed, look_up
from pipelines.workflows.modules import Module
from pipelines.workflows.reading import SEPARATOR, normal_id
from pipelines.workflows.references import Complaint
from pipelines.workflows.signatures import ANYTHING, Signature, signature_of
from pipelines.workflows.sources import Missing, Sources, monai_components

TARGET = "_target_"
SPECIAL = (TARGET, "_requires_", "_disabled_", "_desc_", "_mode_", "_debug_")
_TOLERATED = ("_meta_", "_new_")
_MODES = ("default", "callable", "debug")
_MOST_NAMES_LISTED = 12


def is_component(value: object) -> bool:
    """Whether MONAI would make an object of this value."""
    return isinstance(value, Mapping) and TARGET in value


def component_signature(target: object, sources: Sources) -> Signature | Missing:
    """Return what the thing that a `_target_` names can be called with.

    Args:
        target: The value of `_target_`; a bare name is one of MONAI's.
        sources: Where names are looked up; they remember what is asked for again.
    """
    if not isinstance(target, str) or target.startswith(("$", "@", "%")):
        return ANYTHING
    if target not in sources.signatures:
        sources.signatures[target] = _signature(target, sources)
    known: Signature | Missing = sources.signatures[target]
    return known


def _signature(target: str, sources: Sources) -> Signature | Missing:
    if "." not in target:
        module = monai_components().get(target)
        if module is None:
            if hasattr(builtins, target):
                return ANYTHING
            close = did_you_mean(target, monai_components())
            return Missing(f"MONAI has no '{target}'{close or '; write the full dotted name'}")
        target = f"{module}.{target}"
    found = sources.find(target)
    if isinstance(found, Module):
        return Missing(f"expected a class or function, got the module '{target}'")
    return found if isinstance(found, Missing) else signature_of(found, sources)


def check_components(
    config: Mapping[str, object], inside: Placed, sources: Sources
) -> Iterator[Complaint]:
    """Find targets that do not exist, and arguments that are unknown or missing.

    A misspelt target is one complaint: nothing is said about its arguments.

    Args:
        config: A merged configuration.
        inside: Everything in it, from `walk`.
        sources: Where names are looked up.
    """
    for place, value in [("", config), *inside]:
        if not isinstance(value, Mapping):
            continue
        yield from _check_special_keys(place, value)
        if not is_component(value):
            continue
        signature = component_signature(value[TARGET], sources)
        if isinstance(signature, Missing):
            yield Complaint(f"{place}{SEPARATOR}{TARGET}", signature.message)
        else:
            yield from _check_arguments(place, value, signature)
            yield from _check_choices(place, value, signature, config)


def _check_special_keys(place: str, value: Mapping[str, object]) -> Iterator[Complaint]:
    for key in value:
        if key.startswith("_") and key not in (*SPECIAL, *_TOLERATED):
            close = nearest(key, (*SPECIAL, *_TOLERATED))
            if close:
                where = f"{place}{SEPARATOR}{key}" if place else key
                yield Complaint(where, f"MONAI knows no '{key}'; did you mean '{close}'?")
    mode = value.get("_mode_", "default")
    if is_component(value) and mode not in _MODES:
        known = ", ".join(_MODES)
        yield Complaint(f"{place}{SEPARATOR}_mode_", f"expected one of {known}, got '{mode}'")


def _check_arguments(
    place: str, value: Mapping[str, object], signature: Signature
) -> Iterator[Complaint]:
    given = [key for key in value if key not in SPECIAL and not nearest_special(key)]
    is_partial = value.get("_mode_") == "callable"
    missing = (
        [] if is_partial else [n for n in signature.names if n in signature.required - {*given}]
    )
    called = str(value[TARGET]).rpartition(".")[2]
    for key in given:
        if key in signature.names or signature.is_open:
            continue
        close = nearest(key, missing) or nearest(key, signature.names)
        meant = f"{place}{SEPARATOR}{close}" if close else None
        missing = [name for name in missing if name != close]
        hint = f"; did you mean '{close}'?" if close else _listed(signature)
        yield Complaint(f"{place}{SEPARATOR}{key}", f"{called} takes no '{key}'{hint}", meant)
    for name in missing:
        absent = f"{place}{SEPARATOR}{name}"
        yield Complaint(place, f"{called} needs the argument '{name}'", absent)


def _check_choices(
    place: str, value: Mapping[str, object], signature: Signature, config: Mapping[str, object]
) -> Iterator[Complaint]:
    """Find strings that are none of those that an argument may be, also where it is referred to."""
    for key, choices in signature.choices.items():
        given, where = value.get(key), f"{place}{SEPARATOR}{key}"
        if isinstance(given, str) and given.startswith("@"):
            where = normal_id(given[1:])
            given = look_up(config, where)
        if (
            isinstance(given, str)
            and given not in choices
            and not given.startswith(("$", "@", "%"))
        ):
            yield Complaint(where, f"{key} has no '{given}'{right_names(given, choices)}")


def nearest_special(key: str) -> str | None:
    """Return the special key that a key with an underscore in front was meant to be."""
    return nearest(key, SPECIAL) if key.startswith("_") else None


def _listed(signature: Signature) -> str:
    if not signature.names:
        return "; it takes no arguments"
    if len(signature.names) > _MOST_NAMES_LISTED:
        return ""
    return f"; it takes: {', '.join(signature.names)}"
