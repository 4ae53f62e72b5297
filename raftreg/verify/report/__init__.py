"""The report page: one HTML file with everything in it, drawn as SVG by the modules beside this one.

Nothing is loaded from anywhere, so it can be kept, mailed and opened without a network. Times on it are seconds from
the beginning of the load.
"""

from raftreg.verify.report.page import page

__all__ = ["page"]
