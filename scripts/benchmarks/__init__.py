"""The benchmarks, one module each, with a name in `NAMES`, an `ABOUT`, an `add(parser)` and a `run(arguments)`.

`run` prints figures and returns the exit code: 0 when the promised values were reached. A module is imported only
when its name is asked for, so that each may need what the others do not.
"""

NAMES = ("monitor", "simulator")
