"""Plain tables for terminals."""

from collections.abc import Sequence

import click


def show(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows below a header, in columns as wide as their widest cell; None is shown as a hyphen."""
    texts = [list(header)] + [[_shown(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in texts) for column in range(len(header))]
    for row in texts:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _shown(cell: object) -> str:
    """The text of a cell. Names are what clients chose: what would move the cursor is shown as a question mark."""
    text = "-" if cell is None or cell == "" else str(cell)
    return "".join(char if char.isprintable() else "?" for char in text)
