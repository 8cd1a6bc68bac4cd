"""Seeds for independent streams of randomness, all derived from the one seed that the user gives."""

import hashlib
import json


def derive_seed(seed: int, *parts: str | int) -> int:
    """The seed, ``0 <= s < 2**63``, of the stream that ``parts`` name: ``derive_seed(0, "train", "order", epoch)``.

    A hash of all arguments: the same on every machine, in every version and process, and independent of what was
    drawn before. What is seeded per step this way can be continued at any step without saved generator state.
    """
    text = json.dumps([seed, *parts])  # unambiguous: ("a", "b") and ("ab",), 1 and "1" differ
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
