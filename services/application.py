"""The order saga as an application: choreography, services, scenario."""

from choregraphie.application import Application
from contracts.choreography import CHOREOGRAPHY
from services.commande import SERVICE as COMMANDE
from services.notification import SERVICE as NOTIFICATION
from services.paiement import SERVICE as PAIEMENT
from services.stock import SERVICE as STOCK

APP = Application(
    name="services",
    package="services",
    choreography=CHOREOGRAPHY,
    declared=(STOCK, PAIEMENT, COMMANDE, NOTIFICATION),
    scenario="services.scenario:SCENARIO",
)
SERVICES = APP.services
