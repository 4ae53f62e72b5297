"""Filter expressions: which rows of an answer a client wants to see.

    Meta.env == prod and ("web" in Tags or Port != 80) and not Checks.Status == critical

What is guaranteed
    * `compile_filter` takes any text and either gives a `Filter` or raises `FilterError`, nothing else.
    * Evaluation takes time linear in the size of the row for any expression, regular expressions included.
What is not
    * Nothing here knows an endpoint: the caller says by a `Struct` which selectors there are and what kind each is.

One data flow: text -> tree (`syntax`) -> checked against the schema (`compiler`) -> predicate on a JSON-shaped row.
Spec: https://developer.hashicorp.com/consul/api-docs/features/filtering; regular expressions are RE2's
(https://github.com/google/re2/wiki/Syntax, without Unicode scripts).
"""

from raftreg.api.filter.compiler import Filter, compile_filter
from raftreg.api.filter.schema import BOOL, INT, STRING, Kind, ListOf, MapOf, Struct
from raftreg.api.filter.syntax import FILTER_REFUSED, FilterError, FilterSyntaxError

__all__ = [
    "BOOL",
    "FILTER_REFUSED",
    "INT",
    "STRING",
    "Filter",
    "FilterError",
    "FilterSyntaxError",
    "Kind",
    "ListOf",
    "MapOf",
    "Struct",
    "compile_filter",
]
