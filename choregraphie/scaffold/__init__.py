"""Writes a new project: two services and their saga, ready to be checked, tested and run.

`project/` is that project, as files. In their names and their text `__NAME__` stands for its name, and a name that
begins with `dot.` for one that begins with a dot, which packaging would leave out.
"""

from choregraphie.scaffold.names import BadName, check_name
from choregraphie.scaffold.writing import CannotWrite, write_project

__all__ = [
    "BadName",
    "CannotWrite",
    "check_name",
    "write_project",
]
