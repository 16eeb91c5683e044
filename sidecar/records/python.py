"""The Python interpreter of expression trees: straight-line code in which every distinct part is computed once (P4).

A row costs some microseconds instead of a hundred. The code is generated from the approved catalog's trees; constants,
tables and helpers are passed in by name and never written into it. Nothing in it can raise.

What a tree reads from one column of codes, dates or numbers is remembered by the column's raw text (there are some
thousands of days and some dozens of codes). Parts of texts are never remembered: a citizen's number stays in no table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sidecar.records import expr as e
from sidecar.records.memo import Memo

EvaluatePage = Callable[[Sequence[e.Leaves], e.Bound], list[tuple[Any, ...]]]
"""The values of all trees for each row of a page."""

_SYMBOLS: Mapping[str, str] = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "//",
    "mod": "%",
}


_REMEMBERED = (
    e.Literal, e.Text, e.IsNull, e.In, e.Lookup, e.IntegerOf, e.DateOf, e.Compare, e.Arithmetic, e.Case, e.And, e.Or, e.Not,
    e.Before, e.After, e.Contains, e.Joined, e.Replaced,
)  # fmt: skip
"""Nodes of a tree whose value may be remembered: neither parts of numbers nor what is bound for one fetch."""


def _is_text(tree: e.Compare) -> bool:
    """Whether texts are compared as they are: case numbers, authorities."""
    return isinstance(tree.left, e.Text) or isinstance(tree.right, e.Text)


def _walk(tree: e.Expr) -> list[e.Expr]:
    return [tree, *(part for child in e.children(tree) for part in _walk(child))]


class _Writer:
    """Writes one function. A part that is used more than once gets a variable; the others stand in place, and lazily."""

    def __init__(self, index: Mapping[str, int], trees: Sequence[e.Expr], *, remember: bool) -> None:
        self._index = index
        self._remember = remember
        self._uses: Counter[e.Expr] = Counter()
        self._names: dict[e.Expr, str] = {}
        self.lines: list[str] = []
        self._leaves = {tree: self._column(tree) for each in trees for tree in _walk(each)}
        self.namespace: dict[str, Any] = {
            "integer": e.integer_of,
            "date": e.date_of,
            "key": e.key_text,
            "replaced": e.replaced,
        }
        for tree in trees:
            self._count(tree)

    def _count(self, tree: e.Expr) -> None:
        self._uses[tree] += 1
        if self._uses[tree] == 1:
            for child in e.children(tree):
                self._count(child)

    def name(self, tree: e.Expr) -> str:
        """An expression with a tree's value."""
        if isinstance(tree, e.Literal):
            # Not shared with an equal number: False is no 0 in JSON.
            return self._constant(tree.value)
        column = self._leaves.get(tree)
        if column is None and self._uses[tree] <= 1 and not isinstance(tree, e.Text):
            return f"({self._code(tree)})"
        found = self._names.get(tree)
        if found is None:
            code = self._code(tree) if column is None else self._remembered(tree, column)
            found = self._names[tree] = f"v{len(self._names)}"
            self.lines.append(f"    {found} = {code}")
        return found

    def _column(self, tree: e.Expr) -> str | None:
        """The one column whose raw text gives the value of a tree that is worth remembering."""
        if (
            not self._remember
            or isinstance(tree, e.Text | e.IsNull | e.Literal)
            or not all(isinstance(part, _REMEMBERED) for part in _walk(tree))
        ):
            return None
        if any(isinstance(part, e.Compare) and _is_text(part) for part in _walk(tree)):
            return None
        columns = e.columns_of(tree)
        return next(iter(columns)) if len(columns) == 1 else None

    def _remembered(self, tree: e.Expr, column: str) -> str:
        compute = compile_one(tree, {column: 0}, remember=False)
        name = f"m{len(self.namespace)}"
        self.namespace[name] = Memo(lambda raw: compute((raw,), {}))
        return f"{name}[row[{self._index[column]}]]"

    def _constant(self, value: Any) -> str:
        if isinstance(value, int):
            return repr(value)
        name = f"c{len(self.namespace)}"
        self.namespace[name] = value
        return name

    def _code(self, tree: e.Expr) -> str:
        if isinstance(tree, e.Text | e.IsNull | e.KeyText):
            return self._leaf(tree)
        if isinstance(tree, e.Substring | e.AfterDigits | e.IntegerOf | e.DateOf):
            return self._text(tree)
        if isinstance(tree, e.Before | e.After | e.Contains | e.Joined | e.Replaced):
            return self._part(tree)
        if isinstance(tree, e.Arithmetic | e.Compare):
            return f"{self.name(tree.left)} {_SYMBOLS[tree.operator]} {self.name(tree.right)}"
        if isinstance(tree, e.In | e.InBound | e.Lookup | e.Literal):
            return self._member(tree)
        return self._logic(tree)

    def _leaf(self, tree: e.Text | e.IsNull | e.KeyText) -> str:
        if isinstance(tree, e.KeyText):
            return f"key(({''.join(self.name(e.Text(column)) + ',' for column in tree.columns)}))"
        raw = f"row[{self._index[tree.column]}]"
        if isinstance(tree, e.IsNull):
            return f"{raw} is None"
        # ``expr.leaf`` written out: a call a column would double the cost of a row.
        self.lines.append(f"    raw = {raw}")
        return "raw.strip(' ') if raw is not None and '\\0' not in raw else ''"

    def _text(self, tree: e.Substring | e.AfterDigits | e.IntegerOf | e.DateOf) -> str:
        inner = self.name(tree.text)
        if isinstance(tree, e.Substring):
            return f"{inner}[{tree.start - 1}:{tree.start - 1 + tree.length}]"
        if isinstance(tree, e.AfterDigits):
            return f"{inner}.lstrip({self._constant(e.DIGITS)})"
        return f"integer({inner})" if isinstance(tree, e.IntegerOf) else f"date({inner}, dashed={tree.dashed})"

    def _part(self, tree: e.Before | e.After | e.Contains | e.Joined | e.Replaced) -> str:
        if isinstance(tree, e.Joined):
            return " + ".join(map(self.name, tree.parts)) or "''"
        inner = self.name(tree.text)
        if isinstance(tree, e.Replaced):
            return f"replaced({inner}, {self._constant(tree.pairs)})"
        mark = self._constant(tree.mark)
        if isinstance(tree, e.Contains):
            return f"{mark} in {inner}"
        if isinstance(tree, e.After):
            return f"{inner}.partition({mark})[2]"
        return f"{inner}.partition({mark})[0] if {mark} in {inner} else ''"

    def _member(self, tree: e.In | e.InBound | e.Lookup | e.Literal) -> str:
        if isinstance(tree, e.Literal):
            return self._constant(tree.value)
        if isinstance(tree, e.InBound):
            keys = f"bound[{self._constant(tree.name)}]"
            # The key itself is only made where the set is not empty: for most fetches the register has nothing.
            return f"bool({keys}) and {self._code(tree.item)} in {keys}"
        item = self.name(tree.item)
        if isinstance(tree, e.In):
            return f"{item} in {self._constant(frozenset(tree.values))}"
        return f"{self._constant(dict(tree.map))}.get({item}, {self._constant(tree.otherwise)})"

    def _logic(self, tree: e.And | e.Or | e.Not | e.Case) -> str:
        if isinstance(tree, e.Not):
            return f"not {self.name(tree.part)}"
        if isinstance(tree, e.Case):
            pairs = [(self.name(value), self.name(condition)) for condition, value in tree.whens]
            return "".join(f"{value} if {condition} else " for value, condition in pairs) + self.name(tree.otherwise)
        parts = [self.name(part) for part in tree.parts]
        if isinstance(tree, e.And):
            return " and ".join(parts) or "True"
        return " or ".join(parts) or "False"


def compile_page(trees: Sequence[e.Expr], index: Mapping[str, int], *, remember: bool = True) -> EvaluatePage:
    """A function of a page's rows and the bound sets that gives the values of all trees for each row.

    Args:
        trees: the trees, in the order of the values.
        index: column → its place in the row.
        remember: whether values of single columns are remembered.
    """
    writer = _Writer(index, trees, remember=remember)
    names = [writer.name(tree) for tree in trees]
    source = "\n".join([
        "def evaluate(rows, bound):",
        "  page = []",
        "  for row in rows:",
        *writer.lines,
        f"    page.append(({''.join(n + ',' for n in names)}))",
        "  return page",
    ])  # fmt: skip
    exec(compile(source, "<expression trees>", "exec"), writer.namespace)  # noqa: S102  # our own code, see above
    evaluate: EvaluatePage = writer.namespace["evaluate"]
    return evaluate


def compile_all(trees: Sequence[e.Expr], index: Mapping[str, int]) -> e.Evaluate:
    """The same for a single row: a tuple."""
    evaluate = compile_page(trees, index)
    return lambda row, bound: evaluate((row,), bound)[0]


def compile_one(tree: e.Expr, index: Mapping[str, int], *, remember: bool = True) -> e.Evaluate:
    """The same for a single tree: the value itself."""
    evaluate = compile_page([tree], index, remember=remember)
    return lambda row, bound: evaluate((row,), bound)[0][0]
