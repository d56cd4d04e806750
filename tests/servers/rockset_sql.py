"""Room: the part of Rockset's SQL that histories are read with, over rows that are dicts; parsed by sqlglot.

Invariants:
* SELECT of fields, stars, literals, MAX and aliases, from a collection or UNNEST of a subquery, with WHERE, GROUP BY,
  ORDER BY and LIMIT. Whatever else a query says is refused, never passed over.
* A field that a row lacks is null; a comparison with null holds for no row.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sqlglot
from sqlglot import exp

Row = Any
Rows = Callable[[str, str, Mapping[str, Any]], Iterable[Row]]
"""Workspace, collection, what fields must equal -> rows, which may be more than those."""

_BINARY: dict[type[Any], Callable[[Any, Any], bool]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
    exp.And: lambda left, right: left and right,
    exp.StartsWith: str.startswith,
}
_KNOWN = {"kind", "expressions", "from_", "where", "group", "order", "limit"}


class BadQuery(Exception):
    """A query that the server does not take, with its own words for it."""


def run(sql: str, parameters: Mapping[str, Any], rows_of: Rows) -> list[Row]:
    """Give the rows of a query."""
    try:
        select = sqlglot.parse_one(sql)
    except sqlglot.ParseError as error:
        raise BadQuery(str(error)) from error
    return _Query(parameters, rows_of).select(select)


class _Query:
    def __init__(self, parameters: Mapping[str, Any], rows_of: Rows) -> None:
        self._parameters, self._rows_of = parameters, rows_of

    def select(self, select: Any) -> list[Row]:
        unknown = {name for name, value in select.args.items() if value} - _KNOWN
        if not isinstance(select, exp.Select) or unknown:
            raise BadQuery(f"not understood: {type(select).__name__} {sorted(unknown)}")
        where = select.args.get("where")
        condition = where.this if where else None
        alias, rows = self._source(select.args["from_"].this, condition)
        chosen = [row for row in rows if condition is None or self._value(condition, row, alias) is True]
        if select.args.get("group"):
            shown = self._grouped(select, chosen, alias)
        else:
            chosen = self._ordered(select, chosen, alias)
            shown = [self._shown(select, [row], alias) for row in chosen]
        return self._limited(select, shown)

    def _source(self, source: Any, condition: Any) -> tuple[str, Iterable[Row]]:
        alias = source.alias
        if isinstance(source, exp.Table):
            return alias, self._rows_of(source.db or "commons", source.name, dict(self._equalities(condition)))
        if isinstance(source, exp.Unnest):
            inner = self.select(source.expressions[0].this)
            if len(inner) > 1:
                raise BadQuery("a scalar subquery returned more than one row")
            return alias, [element for row in inner for element in next(iter(row.values())) or ()]
        raise BadQuery(f"not understood: FROM {type(source).__name__}")

    def _equalities(self, condition: Any) -> Iterable[tuple[str, Any]]:
        """Give what a row must have, as far as that is plain to see."""
        for part in condition.flatten() if isinstance(condition, exp.And) else [condition]:
            if isinstance(part, exp.EQ) and isinstance(part.this, exp.Column) and len(part.this.parts) == 1:
                yield part.this.name, self._value(part.expression, None, "")

    def _grouped(self, select: exp.Select, rows: Iterable[Row], alias: str) -> list[Row]:
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for row in rows:
            key = tuple(self._value(part, row, alias) for part in select.args["group"].expressions)
            groups.setdefault(key, []).append(row)
        return self._ordered(select, [self._shown(select, group, alias) for group in groups.values()], "")

    def _ordered(self, select: exp.Select, rows: list[Row], alias: str) -> list[Row]:
        order = select.args.get("order")
        for part in reversed(order.expressions) if order else ():
            keys = [self._value(part.this, row, alias) for row in rows]
            places = sorted(range(len(rows)), key=keys.__getitem__, reverse=bool(part.args.get("desc")))
            rows = [rows[place] for place in places]
        return rows

    def _limited(self, select: exp.Select, rows: list[Row]) -> list[Row]:
        limit = select.args.get("limit")
        return rows[: int(self._value(limit.expression, None, ""))] if limit else rows

    def _shown(self, select: exp.Select, group: list[Row], alias: str) -> Row:
        if isinstance(select.expressions[0], exp.Star):
            return group[0]
        return {
            part.alias_or_name or f"?{number}": self._shown_value(part.unalias(), group, alias)
            for number, part in enumerate(select.expressions)
        }

    def _shown_value(self, part: Any, group: list[Row], alias: str) -> Any:
        if isinstance(part, exp.Max):
            return max(self._value(part.this, row, alias) for row in group)
        return self._value(part, group[0], alias)

    def _value(self, part: Any, row: Row, alias: str) -> Any:
        """Give what an expression is for a row."""
        if isinstance(part, exp.Placeholder):
            return self._parameter(part.name)
        if isinstance(part, exp.Literal):
            return part.this if part.is_string else float(part.this)
        if isinstance(part, exp.Column):
            return _field(row, [name.name for name in part.parts], alias)
        if isinstance(part, exp.In):
            return self._value(part.this, row, alias) in [self._value(one, row, alias) for one in part.expressions]
        combine = _BINARY.get(type(part))
        if combine is None:
            raise BadQuery(f"not understood: {type(part).__name__}")
        left, right = self._value(part.this, row, alias), self._value(part.expression, row, alias)
        return None if left is None or right is None else combine(left, right)

    def _parameter(self, name: str) -> Any:
        if name not in self._parameters:
            raise BadQuery(f"no parameter of the name {name}")
        return self._parameters[name]


def _field(row: Row, path: list[str], alias: str) -> Any:
    for name in path[1:] if alias and path[0] == alias else path:
        row = row.get(name) if isinstance(row, dict) else None
    return row
