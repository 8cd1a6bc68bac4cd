"""The ways to run a supernet's cells: ``reference`` is the definition, ``fused`` and ``batched`` agree to rounding."""

from collections.abc import Collection

from nas.core.errors import InputError

NETWORK_EXECUTIONS = ("fused", "reference")


def checked_execution(value: str, allowed: Collection[str]) -> str:
    """Return ``value``; raise :class:`InputError` unless it is ``allowed``."""
    if value not in allowed:
        raise InputError(f"execution={value}: must be {' or '.join(allowed)}")
    return value
