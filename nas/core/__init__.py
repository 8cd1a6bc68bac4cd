"""Floor 0: what every other floor stands on. Importing this package imports nothing heavy."""
