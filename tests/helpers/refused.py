"""Fixture for calls that must raise :class:`InputError`."""

from collections.abc import Callable
from typing import Any

import pytest

from nas.core.errors import InputError

Refused = Callable[..., None]


@pytest.fixture
def refused() -> Refused:
    """Call something that must raise InputError with one line holding all of ``parts``."""

    def check(parts: str | tuple[str, ...], call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        with pytest.raises(InputError) as info:
            call(*args, **kwargs)
        message = str(info.value)
        assert message.isprintable(), message
        assert len(message) < 1000
        for part in (parts,) if isinstance(parts, str) else parts:
            assert part in message

    return check
