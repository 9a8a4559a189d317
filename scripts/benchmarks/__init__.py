"""Named benchmarks. Each is a module of this folder with an `ABOUT`, an `add(parser)` and a `run(arguments)`.

`run` prints its figures and returns the exit code: 0 when the promised figures are met. The module is imported
only when its name is given, so that one may need packages that others do not.
"""

# The module of each, in this package.
MODULES = {
    "commits": "commits",
    "budget": "system.budget",
    "latency": "system.latency",
    "lanes": "lanes",
    "monitor": "monitor",
    "orders": "system.orders",
    "prover": "prover",
    "scaling": "scaling",
    "simulator": "simulator",
}
NAMES = tuple(MODULES)
