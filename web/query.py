"""The names in a query: a mistyped one is refused, because its report would not be the one that was meant."""

from collections.abc import Collection
from difflib import get_close_matches

from django.http import QueryDict
from rest_framework.exceptions import ErrorDetail, ValidationError

from web.links import FORMAT

# Names of parameters are shorter. A longer name resembles none, and takes long to compare.
MOST_CHARACTERS = 40


def is_well_named(query: QueryDict, *, known: Collection[str] = ()) -> bool:
    """Return whether the query has nothing but ``known`` parameters and ``format``, each once."""
    return all((name in known or name == FORMAT) and len(values) == 1 for name, values in query.lists())


def refuse_other_parameters(query: QueryDict, *, known: Collection[str] = ()) -> None:
    """Raise ValidationError, which names each parameter that is wrong, unless the query is well named."""
    if is_well_named(query, known=known):
        return
    errors = {}
    for name, values in query.lists():
        if name not in known and name != FORMAT:
            errors[name] = [unknown_parameter(name, known)]
        elif len(values) > 1:
            errors[name] = [ErrorDetail(f"Send {name} once; it is here {len(values)} times.", code="repeated")]
    raise ValidationError(errors)


def unknown_parameter(name: str, known: Collection[str]) -> ErrorDetail:
    """Return the error of a parameter that is not among the ``known`` ones of an address."""
    names = sorted([*known, FORMAT])
    near = get_close_matches(name.lower(), names, n=1) if len(name) <= MOST_CHARACTERS else []
    hint = f"Did you mean {near[0]}? " if near else ""
    return ErrorDetail(
        f"This address does not know this parameter. {hint}It knows {', '.join(names)}.", code="unknown_parameter"
    )
