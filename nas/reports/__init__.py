"""Run folders read back into tables and plots."""
