"""``make bench-table``: the newest row of each benchmark and machine in results.jsonl -> RESULTS.md."""

from __future__ import annotations

import json
from typing import Any

from _bench import RESULTS

HEAD = """# Benchmarks

Each figure comes from one run that measured both sides: `make bench NAME=<name>`; a commit with `+` had uncommitted
changes. Written by `make bench-table`.

| benchmark | value | bar | met | both sides | machine | commit |
|---|---|---|---|---|---|---|
"""


def main() -> None:
    rows = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()] if RESULTS.exists() else []
    newest = {(row["name"], row["machine"]): row for row in rows}
    table = RESULTS.with_name("RESULTS.md")
    table.write_text(HEAD + "".join(line(newest[key]) for key in sorted(newest)), encoding="utf-8")
    print(f"{table.name}: {len(newest)} rows")


def line(row: dict[str, Any]) -> str:
    sides = ", ".join(f"{name} {value}" for name, value in row["sides"].items())
    met = "yes" if row["ok"] else "no"
    cells = (row["name"], f"{row['value']} {row['unit']}", row["bar"], met, sides, row["machine"], row["commit"])
    return "| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |\n"


if __name__ == "__main__":
    main()
