"""The tools of ``python -m multiflow``, a file each.

Each ``add_parsers`` describes its tool's arguments and names the function that runs it; libraries that take seconds to
import are imported there.
"""
