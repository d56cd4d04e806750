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
Value = Callable[[Row], Any]
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
    """A query with its parameters; expressions are compiled to functions of a row before rows are looked at."""

    def __init__(self, parameters: Mapping[str, Any], rows_of: Rows) -> None:
        self._parameters, self._rows_of = parameters, rows_of

    def select(self, select: Any) -> list[Row]:
        unknown = {name for name, value in select.args.items() if value} - _KNOWN
        if not isinstance(select, exp.Select) or unknown:
            raise BadQuery(f"not understood: {type(select).__name__} {sorted(unknown)}")
        where = select.args.get("where")
        alias, rows = self._source(select.args["from_"].this, where.this if where else None)
        holds = self._compiled(where.this, alias) if where else _always
        chosen = [row for row in rows if holds(row) is True]
        if select.args.get("group"):
            return self._limited(select, self._ordered(select, self._grouped(select, chosen, alias), ""))
        return self._shown(select, self._limited(select, self._ordered(select, chosen, alias)), alias)

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
                yield part.this.name, self._compiled(part.expression, "")(None)

    def _grouped(self, select: exp.Select, rows: Iterable[Row], alias: str) -> list[Row]:
        by = [self._compiled(part, alias) for part in select.args["group"].expressions]
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for row in rows:
            groups.setdefault(tuple(value(row) for value in by), []).append(row)
        return [self._summed_up(select, group, alias) for group in groups.values()]

    def _summed_up(self, select: exp.Select, group: list[Row], alias: str) -> Row:
        row = {}
        for part in select.expressions:
            inner = part.unalias()
            value = self._compiled(inner.this if isinstance(inner, exp.Max) else inner, alias)
            row[part.alias_or_name] = max(map(value, group)) if isinstance(inner, exp.Max) else value(group[0])
        return row

    def _ordered(self, select: exp.Select, rows: list[Row], alias: str) -> list[Row]:
        order = select.args.get("order")
        for part in reversed(order.expressions) if order else ():
            rows = sorted(rows, key=self._compiled(part.this, alias), reverse=bool(part.args.get("desc")))
        return rows

    def _limited(self, select: exp.Select, rows: list[Row]) -> list[Row]:
        limit = select.args.get("limit")
        return rows[: int(self._compiled(limit.expression, "")(None))] if limit else rows

    def _shown(self, select: exp.Select, rows: list[Row], alias: str) -> list[Row]:
        if isinstance(select.expressions[0], exp.Star):
            return rows
        fields = [
            (part.alias_or_name or f"?{number}", self._compiled(part.unalias(), alias))
            for number, part in enumerate(select.expressions)
        ]
        return [{name: value(row) for name, value in fields} for row in rows]

    def _compiled(self, part: Any, alias: str) -> Value:
        """Give what an expression is, as a function of a row."""
        if isinstance(part, exp.Column):
            return _field([name.name for name in part.parts], alias)
        if isinstance(part, exp.In):
            return self._compiled_in(part, alias)
        combine = _BINARY.get(type(part))
        if combine is None:
            constant = self._constant(part)
            return lambda _: constant
        left = self._compiled(part.this, alias)
        if isinstance(part.expression, (exp.Literal, exp.Placeholder)):
            return _with_constant(combine, left, self._constant(part.expression))
        right = self._compiled(part.expression, alias)

        def combined(row: Row) -> Any:
            first, second = left(row), right(row)
            return None if first is None or second is None else combine(first, second)

        return combined

    def _compiled_in(self, part: Any, alias: str) -> Value:
        left = self._compiled(part.this, alias)
        wanted = {self._constant(one) for one in part.expressions}
        return lambda row: left(row) in wanted

    def _constant(self, part: Any) -> Any:
        if isinstance(part, exp.Literal):
            return part.this if part.is_string else float(part.this)
        if not isinstance(part, exp.Placeholder):
            raise BadQuery(f"not understood: {type(part).__name__}")
        if part.name not in self._parameters:
            raise BadQuery(f"no parameter of the name {part.name}")
        return self._parameters[part.name]


def _with_constant(combine: Callable[[Any, Any], Any], left: Value, right: Any) -> Value:
    def combined(row: Row) -> Any:
        first = left(row)
        return None if first is None or right is None else combine(first, right)

    return combined


def _always(_: Row) -> bool:
    return True


def _field(path: list[str], alias: str) -> Value:
    names = path[1:] if alias and path[0] == alias else path
    if len(names) == 1:
        [only] = names
        return lambda row: row.get(only)

    def value(row: Row) -> Any:
        for name in names:
            row = row.get(name) if isinstance(row, dict) else None
        return row

    return value
