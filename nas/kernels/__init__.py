"""The operations of the fast executions as functions of tensors, with their own gradients.

On a CPU they call the C++ in ``csrc`` if a compiler is found, and stock torch otherwise; both agree to rounding.
"""
