"""The computations of the fast executions, one file each: functions of tensors with gradients of their own.

On a CPU they call the C++ in ``csrc`` if a compiler is found, and stock torch otherwise; both agree to rounding.
"""
