"""Named benchmarks. One is a module of this folder with a `ABOUT`, an `add(parser)` and a `run(arguments)`.

`run` prints its figures and returns the exit code: 0 when what is promised was kept. It is imported only when
its name is asked for, so that one may need what the others do not.
"""

NAMES = ("monitor", "simulator")
