"""All randomness of a simulated or a verified run, from one seed. Beside the clock nothing else imports `random`.

Every use has a stream of its own, named after what it decides. So a change in how often one part asks does not
change what the others get: a shrunk schedule keeps its delays, and a host's clock does not disturb the network.
"""

import random

Stream = random.Random


class Chance:
    """One seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def stream(self, *names: object) -> Stream:
        """The stream of that name; asked for twice, it begins anew."""
        return Stream("/".join(map(str, (self.seed, *names))))
