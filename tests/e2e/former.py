"""`python -m tests.e2e.former`: raftreg as it would be if it knew no feature level but the first, or one more.

The former one tells nothing of levels and protocol versions in its hello, as the first release did.
"""

import os
from typing import Any

from raftreg import versions
from raftreg.cli import main
from raftreg.consensus.hello import FEATURES, PROTOCOL, Hello

_encode = Hello.encode


def _encode_former(self: Hello) -> list[Any]:
    *fields, advertise = _encode(self)
    return [*fields, {key: text for key, text in advertise.items() if key not in (FEATURES, PROTOCOL)}]


if __name__ == "__main__":
    if os.environ["RELEASE"] == "former":
        versions.LEVEL_MAX = 1
        Hello.encode = _encode_former  # type: ignore[method-assign]
    else:
        versions.LEVEL_MAX = int(os.environ["RELEASE"])
    main()
