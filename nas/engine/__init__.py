"""The parts that search and training share: the loop, recovery from non-finite steps, optimizers, evaluation."""
