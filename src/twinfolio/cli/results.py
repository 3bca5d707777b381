"""A query's result in words, as JSON and as records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinfolio.reporting.query_page import as_percent
from twinfolio.serving.answers import Reply
from twinfolio.serving.certainty import Certainty


@dataclass(frozen=True)
class Result:
    """One query and what it found.

    Attributes:
        query: The image file.
        reply: What was found.
        files: The file of each answer; None where it is not known.
    """

    query: Path
    reply: Reply
    files: Sequence[Path | None]

    def verdict(self, certainty: Certainty) -> str:
        """Whether the query shows a known class, in words."""
        if certainty.unknown is None:
            return "not calibrated: whether its class is a known one cannot be said"
        more = "" if certainty.unknown.classes else "or more "  # no class was held out to tell
        rate = f"{100 * certainty.unknown.false_match_rate:g} % {more}of unknown images pass"
        if self.reply.known:
            return f"one of the known classes ({rate})"
        return (
            f"none of the known classes (best score before re-ranking below {certainty.unknown.threshold:.3f}; {rate})"
        )

    def promise(self, certainty: Certainty) -> str:
        """What is promised of the set of classes, in words; empty without a promise."""
        if certainty.conformal is None or not self.reply.classes:
            return ""
        n = len(self.reply.classes)
        which = "this one" if n == 1 else f"one of these {n}"
        condition = "if it is of a known class after all: " if self.reply.known is False else ""
        return f"{condition}{which}, {100 * certainty.conformal.coverage:g} %"

    def as_lines(self, certainty: Certainty) -> Iterator[str]:
        """For people."""
        yield f"  {self.verdict(certainty)}"
        if promise := self.promise(certainty):
            shares = (f"{name} ({as_percent(share)})" for name, share in self.reply.classes or ())
            yield f"  {promise}: {', '.join(shares)}"
        width = max((len(answer.label) for answer in self.reply.answers), default=0)
        for rank, (answer, file) in enumerate(zip(self.reply.answers, self.files, strict=True), start=1):
            certain = "" if answer.probability is None else f"{as_percent(answer.probability):>8}"
            missing = "  (file not found)" if file is not None and not file.is_file() else ""
            name = file if file is not None else answer.image_id
            yield f"{rank:>4}{certain}  {answer.score:8.3f}  {answer.label:<{width}}  {name}{missing}"

    def as_json(self, certainty: Certainty) -> dict[str, Any]:
        """For programs: verdict, set of classes, answers."""
        classes = self.reply.classes
        return {
            "query": str(self.query),
            "known": self.reply.known,
            "classes": None if classes is None else [{"label": n, "probability": round(p, 6)} for n, p in classes],
            "coverage": None if certainty.conformal is None else certainty.conformal.coverage,
            "answers": list(self._answers()),
        }

    def as_records(self) -> Iterator[dict[str, Any]]:
        """For tables: a record an answer."""
        classes = "; ".join(name for name, _ in self.reply.classes or ())
        for answer in self._answers():
            yield {"query": str(self.query), **answer, "known": self.reply.known, "classes": classes}

    def _answers(self) -> Iterator[dict[str, Any]]:
        for rank, (answer, file) in enumerate(zip(self.reply.answers, self.files, strict=True), start=1):
            probability = None if answer.probability is None else round(answer.probability, 6)
            yield {
                "rank": rank, "image_id": answer.image_id, "path": None if file is None else str(file),
                "label": answer.label, "score": round(answer.score, 6), "probability": probability,
            }  # fmt: skip
