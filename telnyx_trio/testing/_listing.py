"""Lists as Telnyx's replies have them: filtered, sorted, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from ._fields import Record
from ._refusals import Refusal

Query: TypeAlias = Mapping[str, str]
"""Parameters of a request's query, decoded."""

PAGE_SIZE: Final = 20
"""Entries of a page unless ``page[size]`` says otherwise (Telnyx's SDK, its list methods)."""

MAX_PAGE_SIZE: Final = 250
"""The most that ``page[size]`` may ask for, by the same source."""


def contains(field_name: str, *, least: int = 1) -> Callable[[Record, str], bool]:
    """Return a filter: the field has the text somewhere in it, in whatever case.

    Args:
        field_name: of the record.
        least: characters that the text must have; less is refused when the filter is used.
    """

    def matches(record: Record, wanted: str) -> bool:
        if len(wanted) < least:
            raise Refusal(422, "10015", f"the filter needs at least {least} characters")
        return wanted.casefold() in str(record[field_name] or "").casefold()

    return matches


def equals(*path: str) -> Callable[[Record, str], bool]:
    """Return a filter: the field, down the path, is this text; "" and "null" are no value."""

    def matches(record: Record, wanted: str) -> bool:
        value: Any = record
        for name in path:
            value = value[name]
        return (value or "") == ("" if wanted == "null" else wanted)

    return matches


def includes(field_name: str) -> Callable[[Record, str], bool]:
    """Return a filter: the list in the field has this text."""
    return lambda record, wanted: wanted in record[field_name]


def list_page(
    records: Iterable[Record],
    query: Query,
    *,
    filters: Mapping[str, Callable[[Record, str], bool]],
    sort_fields: Mapping[str, str],
) -> dict[str, Any]:
    """Return the body of a list reply; filters that are not known are ignored, as Telnyx does.

    Args:
        records: the oldest first, as they stay without ``sort``: newest first.
        query: of the request.
        filters: by parameter, such as "filter[status]".
        sort_fields: field of a record by the name that ``sort`` has for it.

    Raises:
        Refusal: ``sort`` (10032) or the page (10033) will not do; 422.
    """
    number = _page_number(query, "page[number]", 1, 10**9)
    size = _page_number(query, "page[size]", PAGE_SIZE, MAX_PAGE_SIZE)
    chosen = [
        record
        for record in records
        if all(matches(record, query[name]) for name, matches in filters.items() if name in query)
    ]
    ordered = _sorted(chosen, query.get("sort"), sort_fields)
    start = (number - 1) * size
    return {
        "data": ordered[start : start + size],
        "meta": {
            "page_number": number,
            "page_size": size,
            "total_pages": -(-len(ordered) // size),
            "total_results": len(ordered),
        },
    }


def _sorted(
    records: Sequence[Record], sort: str | None, sort_fields: Mapping[str, str]
) -> list[Record]:
    if sort is None:
        return list(reversed(records))
    name = sort.removeprefix("-")
    if name not in sort_fields:
        listed = ", ".join(sort_fields)
        raise Refusal(422, "10032", f"'sort' must be one of: {listed}", parameter="sort")
    field_name = sort_fields[name]
    return sorted(
        records, key=lambda record: str(record[field_name] or ""), reverse=sort.startswith("-")
    )


def _page_number(query: Query, name: str, default: int, most: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:10]) <= most):
        raise Refusal(422, "10033", f"'{name}' must be from 1 to {most}", parameter=name)
    return int(text)
