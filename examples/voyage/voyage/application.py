"""The voyage as an application: its saga, its services, its starting data, its scenario."""

from pathlib import Path

from choregraphie import Application
from voyage.agence import SERVICE as AGENCE
from voyage.choreography import CHOREOGRAPHY
from voyage.hotel import SERVICE as HOTEL
from voyage.paiement import SERVICE as PAIEMENT
from voyage.voiture import SERVICE as VOITURE
from voyage.vol import SERVICE as VOL

CATALOGUE = Path(__file__).parent / "catalogue.toml"

APP = Application(
    name="voyage",
    sagas=(CHOREOGRAPHY,),
    services=(VOL, HOTEL, VOITURE, PAIEMENT, AGENCE),
    seed=CATALOGUE,
    scenario="voyage.scenario:SCENARIO",
    orchestrated="voyage.orchestrated:ORCHESTRATED",
    command="python -m voyage",
)
