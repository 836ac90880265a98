# SPDX-License-Identifier: MIT
"""Paired measurements: ours and the peer's in turn, the median of each, a table, and build/bench/SUITE.json."""
import dataclasses
import json
import os
import statistics

from tests.lab.util import ROOT

FIELDS = ["metric", "unit", "ours", "peer", "peer_name", "ratio", "runs"]


@dataclasses.dataclass
class Row:
    metric: str
    unit: str
    peer_name: str
    ours: list
    peer: list

    def median(self, side):
        return statistics.median(getattr(self, side))

    def ratio(self):
        return self.median("ours") / self.median("peer") if self.median("peer") else None

    def as_dict(self):
        return {"metric": self.metric, "unit": self.unit, "ours": self.median("ours"), "peer": self.median("peer"),
                "peer_name": self.peer_name, "ratio": self.ratio(), "runs": min(len(self.ours), len(self.peer))}


def figure(value):
    """Three digits that count."""
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:#.3g}"


class Suite:
    def __init__(self, name, runs):
        self.name = name
        self.runs = runs
        self.rows = []
        self.notes = []

    def note(self, text):
        """A line under the table: how something was measured."""
        self.notes.append(text)

    def bound(self, name, value, unit, most):
        """Says whether a figure is within what is promised."""
        self.note(f"{'met' if value <= most else 'MISSED'}: {name}: {figure(value)} {unit}, at most {most}")

    def row(self, metric, unit, peer_name, ours, peer):
        self.rows.append(Row(metric, unit, peer_name, list(ours), list(peer)))

    def pairs(self, metric, unit, peer_name, ours, peer):
        """Calls ours(run) and peer(run) in turn; both return the figure of that run."""
        found = [(ours(run), peer(run)) for run in range(self.runs)]
        self.row(metric, unit, peer_name, *zip(*found))

    def _cells(self, row):
        spread = [f"{figure(min(v))}…{figure(max(v))}" for v in (row.ours, row.peer)]
        ratio = row.ratio()
        return [row.metric, row.unit, figure(row.median("ours")), spread[0], figure(row.median("peer")), spread[1],
                "–" if ratio is None else f"{ratio:.3f}", row.peer_name]

    def table(self):
        head = ["metric", "unit", "ours", "min…max", "peer", "min…max", "ratio", "peer is"]
        cells = [head, *(self._cells(row) for row in self.rows)]
        widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
        left = {0, 1, len(head) - 1}
        lines = ["  ".join(c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))).rstrip()
                 for line in cells]
        lines.insert(1, "  ".join("-" * w for w in widths))
        runs = max((len(row.ours) for row in self.rows), default=self.runs)
        how = f"medians of {runs} paired runs, ours and the peer's in turn" if runs > 1 else "one run of each"
        return "\n".join([f"{self.name}: {how}", "", *lines, "",
                          *(f"  * {note}" for note in self.notes)])

    def save(self, folder):
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"{self.name}.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump([row.as_dict() for row in self.rows], f, indent=2, ensure_ascii=False)
            f.write("\n")
        return os.path.relpath(path, ROOT)


def check_form(document):
    """What is wrong with the contents of a SUITE.json, or None."""
    if not isinstance(document, list) or not document:
        return "not an array with at least one row"
    for row in document:
        if list(row) != FIELDS:
            return f"the members are {list(row)}, not {FIELDS}"
        numbers = [row["ours"], row["peer"], row["ratio"], row["runs"]]
        if not all(isinstance(row[k], str) and row[k] for k in ("metric", "unit", "peer_name")):
            return f"{row}: metric, unit and peer_name are words"
        if row["peer"] and not all(isinstance(n, (int, float)) and n >= 0 for n in numbers):
            return f"{row}: ours, peer, ratio and runs are numbers"
        if row["peer"] and abs(row["ratio"] - row["ours"] / row["peer"]) > 1e-9:
            return f"{row}: the ratio is not ours / peer"
        if row["runs"] < 1:
            return f"{row}: no runs"
    return None
