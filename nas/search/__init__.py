"""The bilevel search: gradients, steps, state, loop, and what it writes."""
