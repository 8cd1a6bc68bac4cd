"""Errors, validation, names and formatting that every package uses. Importing it imports nothing heavy."""
