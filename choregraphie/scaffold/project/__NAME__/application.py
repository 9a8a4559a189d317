"""The application: the saga, its services, its starting data. `choregraphie` finds it by pyproject.toml."""

from pathlib import Path

from choregraphie import Application

from __NAME__.choreography import CHOREOGRAPHY
from __NAME__.inscription import SERVICE as INSCRIPTION
from __NAME__.place import SERVICE as PLACE

CATALOGUE = Path(__file__).parent / "catalogue.toml"

APP = Application(
    name="__NAME__",
    sagas=(CHOREOGRAPHY,),
    services=(PLACE, INSCRIPTION),
    seed=CATALOGUE,
    scenario="__NAME__.scenario:SCENARIO",
)
