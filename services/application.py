"""The order saga as an application: choreography, services, settings, starting data, scenario."""

from pathlib import Path

from choregraphie import Application
from contracts.choreography import CHOREOGRAPHY
from services.commande import SERVICE as COMMANDE
from services.notification import SERVICE as NOTIFICATION
from services.paiement import SERVICE as PAIEMENT
from services.settings import OrderSettings
from services.stock import SERVICE as STOCK

APP = Application(
    name="services",
    sagas=(CHOREOGRAPHY,),
    services=(STOCK, PAIEMENT, COMMANDE, NOTIFICATION),
    settings=OrderSettings,
    seed=Path(__file__).parent / "catalogue.toml",
    scenario="services.scenario:SCENARIO",
    orchestrated="services.orchestration:ORCHESTRATED",
    command="python -m services",
)
