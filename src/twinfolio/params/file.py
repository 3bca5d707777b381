"""Reading and writing ``params.yaml``: the first bad key is one line, and nothing is left to a silent default."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from twinfolio.errors import ParamsError
from twinfolio.params import Params


class _Loader(yaml.SafeLoader):
    """YAML whose numbers may be written ``1e-05``, as DVC writes them: YAML 1.1 would take them for text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check a params file.

    Args:
        path: The YAML file.

    Raises:
        ParamsError: One line for the first bad key, with its value and what is allowed.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _Loader) or {}
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file", "run in a folder with a params.yaml") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not YAML ({error})", "mend the syntax") from None
    return parse_params(raw, source=str(path))


def write_params(params: Params, path: Path) -> None:
    """Write every key with its value: DVC compares what stands in the file, and knows no defaults."""
    path.write_text(yaml.safe_dump(params.model_dump(mode="json"), sort_keys=False), encoding="utf-8")


def parse_params(raw: Any, source: str = "params.yaml") -> Params:
    """Check a nested dict as a whole params file; ``source`` is named in errors (see ``load_params``)."""
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        raise _explain(first["loc"], first, source) from None


def patched(params: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested params with some dotted keys set; mappings on the way are copied, and made where one is missing.

    Args:
        params: Nested, as ``params.yaml``.
        values: By dotted key.
    """
    out = dict(params)
    for key, value in values.items():
        *sections, last = key.split(".")
        here = out
        for name in sections:
            inner = here.get(name)
            here[name] = dict(inner) if isinstance(inner, Mapping) else {}
            here = here[name]
        here[last] = value
    return out


def check_value(raw: Any, key: str, source: str) -> None:
    """Refuse a value that its key takes in no params file; what other keys do not go with is left alone.

    Args:
        raw: As for ``parse_params``, with the value in it.
        key: Its dotted key.
        source: Named in errors.

    Raises:
        ParamsError: One line with the value and what is allowed.
    """
    try:
        Params.model_validate(raw)
    except ValidationError as error:
        for one in error.errors():
            if one["type"] != "value_error" and f"{_dotted(one['loc'])}.".startswith(f"{key}."):
                raise _explain(one["loc"], one, source) from None


def _explain(loc: tuple[int | str, ...], error: Any, source: str) -> ParamsError:
    """Turn pydantic's first complaint into one line with the key, its value and what is allowed."""
    key = _dotted(loc)
    if error["type"] == "extra_forbidden":
        return ParamsError(f"{source}: {key}: unknown key", f"known here: {', '.join(_known_keys(loc[:-1]))}")
    reason = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if error["type"] == "value_error":
        return ParamsError(f"{source}: {f'{key}: ' if key else ''}{reason}", "change one of them")
    return ParamsError(f"{source}: {key} = {error['input']!r}: must be {reason}", "change the value")


def _dotted(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc if not str(part).startswith(("function-", "tuple", "int", "literal")))


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    """The keys allowed in the section at ``loc``."""
    section: Any = Params
    for part in loc:
        section = section.model_fields[str(part)].annotation
    return sorted(section.model_fields)
