"""The space of a search: any dotted key of params with its bounds, as ``search.space`` declares it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from optuna.distributions import (
    BaseDistribution,
    CategoricalChoiceType,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from twinfolio.errors import ParamsError

Kind = Literal["int", "float", "log", "categorical"]
KINDS: tuple[Kind, ...] = ("int", "float", "log", "categorical")


@dataclass(frozen=True)
class Dimension:
    """One key of the space.

    Attributes:
        key: Dotted key of params (``siamese.lr``).
        kind: ``int``, ``float``, ``log`` (a float on a logarithmic scale) or ``categorical``.
        values: Lowest and highest value, or the choices.
        step: Between neighbouring values of ``int`` and ``float``; None: 1, or any value between the bounds.
    """

    key: str
    kind: Kind
    values: tuple[Any, ...]
    step: float | None = None

    def __post_init__(self) -> None:
        where = f"search.space.{self.key}"
        if self.kind == "categorical":
            if not self.values or len(set(map(repr, self.values))) < len(self.values):
                raise ParamsError(f"{where}: {list(self.values)} must be different choices", "list each once")
            return
        low, high = self.values
        if low > high:
            raise ParamsError(f"{where}: bounds {low} and {high} are reversed", f"write [{high}, {low}]")
        if self.kind == "log" and low <= 0:
            raise ParamsError(f"{where}: a logarithmic scale starts above 0, not at {low}", "raise the lower bound")

    @property
    def distribution(self) -> BaseDistribution:
        """Optuna's name for it."""
        if self.kind == "categorical":
            return CategoricalDistribution(tuple(self._plain(value) for value in self.values))
        low, high = self.values
        if self.kind == "int":
            return IntDistribution(int(low), int(high), step=int(self.step or 1))
        return FloatDistribution(float(low), float(high), log=self.kind == "log", step=self.step)

    def suggest(self, trial: Trial) -> Any:
        """The trial's value, as params.yaml would hold it."""
        bounds: Any = self.distribution
        if isinstance(bounds, CategoricalDistribution):
            return self.value_of(trial.suggest_categorical(self.key, bounds.choices))
        if isinstance(bounds, IntDistribution):
            return trial.suggest_int(self.key, bounds.low, bounds.high, step=bounds.step)
        return trial.suggest_float(self.key, bounds.low, bounds.high, step=bounds.step, log=bounds.log)

    def value_of(self, chosen: Any) -> Any:
        """The value that Optuna's choice stands for."""
        if self.kind != "categorical":
            return chosen
        return next(value for value in self.values if self._plain(value) == chosen)

    def ends(self) -> tuple[Any, ...]:
        """The choices, or both bounds as they are drawn: a range's are floats unless it is of integers."""
        return tuple(map(float, self.values)) if self.kind in ("float", "log") else self.values

    def points(self) -> tuple[Any, ...]:
        """Every value, for a grid.

        Raises:
            ParamsError: There are infinitely many.
        """
        if self.kind == "categorical":
            return tuple(self._plain(value) for value in self.values)
        if self.kind == "log" or (self.kind == "float" and self.step is None):
            raise ParamsError(
                f"search.space.{self.key}: a grid needs finitely many values",
                "give a step, or list them as categorical",
            )
        low, high = self.values
        step = self.step or 1
        return tuple(low + step * i for i in range(int((high - low) / step + 1e-9) + 1))

    @staticmethod
    def _plain(value: Any) -> CategoricalChoiceType:
        """A choice as the storage can keep it: lists and mappings as text."""
        return value if value is None or isinstance(value, bool | int | float | str) else repr(value)


@dataclass(frozen=True)
class Space:
    """All keys that are searched.

    Attributes:
        dimensions: In the order of params.yaml.
    """

    dimensions: tuple[Dimension, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Their dotted keys."""
        return tuple(dimension.key for dimension in self.dimensions)

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """A trial's values by dotted key."""
        return {dimension.key: dimension.suggest(trial) for dimension in self.dimensions}

    def values_of(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What a finished trial's choices stand for."""
        return {one.key: one.value_of(params[one.key]) for one in self.dimensions if one.key in params}

    def grid(self) -> list[dict[str, Any]]:
        """Every combination, the last key changing fastest."""
        axes = [dimension.points() for dimension in self.dimensions]
        return [dict(zip(self.keys, point, strict=True)) for point in product(*axes)]

    def fingerprint(self) -> list[str]:
        """What a study must keep to: each key with its distribution."""
        return [f"{one.key}: {one.distribution}" for one in self.dimensions]


def parse_space(raw: Mapping[str, Mapping[str, Any]]) -> Space:
    """Read ``search.space``: ``key: {kind: [low, high], step: s}`` or ``key: {categorical: [a, b, ...]}``.

    Args:
        raw: As params.yaml has it.

    Raises:
        ParamsError: It is empty, or a key has no bounds, too many, or bounds of a wrong kind.
    """
    if not raw:
        raise ParamsError("search.space is empty", "name at least one key of params with its bounds")
    return Space(tuple(_dimension(key, bounds) for key, bounds in raw.items()))


def _dimension(key: str, bounds: Any) -> Dimension:
    where, mend = f"search.space.{key}", "write {int|float|log: [low, high]} or {categorical: [a, b]}"
    kinds = [kind for kind in KINDS if isinstance(bounds, Mapping) and kind in bounds]
    if len(kinds) != 1 or set(bounds) - {kinds[0], "step"}:
        raise ParamsError(f"{where} = {bounds!r}: not one kind of bounds", mend)
    kind, values, step = kinds[0], bounds[kinds[0]], bounds.get("step")
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise ParamsError(f"{where}.{kind} = {values!r}: must be a list", mend)
    if kind != "categorical":
        number = int if kind == "int" else (int, float)
        if len(values) != 2 or any(isinstance(v, bool) or not isinstance(v, number) for v in values):
            raise ParamsError(f"{where}.{kind} = {values!r}: must be two numbers, the lowest and the highest", mend)
    if step is not None and (kind not in ("int", "float") or not isinstance(step, int | float) or step <= 0):
        raise ParamsError(f"{where}.step = {step!r}: must be above 0, and only int and float have one", "take it out")
    return Dimension(key, kind, tuple(values), step)
