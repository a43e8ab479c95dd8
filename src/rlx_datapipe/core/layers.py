"""Settings of any kind in layers: defaults, then a TOML file, then the environment, then the command line."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.told_settings import read_toml, told_problem

Kind = TypeVar("Kind", bound=msgspec.Struct)
_NEAR = 0.8


def layered(
    kind: type[Kind],
    prefix: str,
    file: Path | None,
    environment: Mapping[str, str],
    given: Mapping[str, Any] | None = None,
    *,
    foreign: tuple[str, ...] = (),
    is_ours: bool = False,
) -> Kind:
    """Settings from defaults, then the file, then variables with the prefix, then what was given.

    Parameters
    ----------
    kind
        The struct; it forbids unknown fields.
    prefix
        Of the variables: ``prefix`` and the name in capitals.
    given
        Of the command line; None stands for what was not said.
    foreign
        Variables, or their beginnings, that have the prefix and are no settings.
    is_ours
        Whether nothing else may have the prefix; else only what is nearly named like a setting is refused.

    Raises
    ------
    OptionError
        For a file that can't be read, an unknown name, or a value that has no meaning.
    """
    merged: dict[str, Any] = {}
    if file is not None:
        merged.update(read_toml(file, "the settings"))
    names = sorted(field.name for field in msgspec.structs.fields(kind))
    variables = {f"{prefix}{name.upper()}": name for name in names}
    _refuse_slips(environment, variables, prefix, foreign, is_ours=is_ours)
    merged.update(_from_environment(kind, environment, variables))
    merged.update({name: value for name, value in (given or {}).items() if value is not None})
    try:
        return msgspec.convert(merged, kind, strict=False)
    except msgspec.ValidationError as error:
        raise OptionError(
            f"bad setting: {told_problem(error)}", remedy=f"Known settings: {', '.join(names)}"
        ) from error


def _refuse_slips(
    environment: Mapping[str, str],
    variables: Mapping[str, str],
    prefix: str,
    foreign: tuple[str, ...],
    *,
    is_ours: bool,
) -> None:
    """One that is nearly named like a setting is a slip of the pen."""
    for variable in sorted(environment):
        if variable in variables or not variable.startswith(prefix) or variable.startswith(foreign):
            continue
        near = difflib.get_close_matches(variable, variables, 1, _NEAR)
        if near or is_ours:
            remedy = f"Did you mean {near[0]}?" if near else ""
            raise OptionError("no such setting in the environment", found=variable, remedy=remedy)


def _from_environment(
    kind: type[msgspec.Struct], environment: Mapping[str, str], variables: Mapping[str, str]
) -> dict[str, str]:
    found = {name: environment[variable] for variable, name in variables.items() if variable in environment}
    for variable, name in variables.items():
        if name not in found:
            continue
        try:
            msgspec.convert({name: found[name]}, kind, strict=False)
        except msgspec.ValidationError as error:
            raise OptionError(
                f"bad setting: {told_problem(error)}", variable=variable, found=found[name]
            ) from error
    return found
