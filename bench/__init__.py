"""Measurements and long runs, printed and not asserted: `python -m bench` beside other registries, and single ones."""
