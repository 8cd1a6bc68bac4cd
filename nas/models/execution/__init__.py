"""The ways to run a supernet's cells: ``reference`` is the definition, ``fused`` and ``batched`` agree to rounding."""
