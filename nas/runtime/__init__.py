"""A run's process: lock, signals, deadline, memory of the machine, environment record, progress, metrics log."""
