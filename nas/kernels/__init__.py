"""Below the operators: the few computations that the fast execution of a supernet is made of.

Each stands in a file of its own, as a function of tensors with its own gradient. On a CPU they use the
``.cpp`` files where a C++ compiler is at hand, and stock torch elsewhere; both give the same to rounding.
"""
