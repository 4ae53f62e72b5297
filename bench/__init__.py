"""Measurements, printed and not asserted: see `bench.speed`."""
