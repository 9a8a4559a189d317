"""The order saga: four services, each a package of its own, and the application that ties them together.

application.py   the application: choreography, services, scenario; `python -m services` runs it
orchestration.py the same services, commanded by an orchestrator
settings.py      the settings beside the engine's
stock/           holds and sells products
paiement/        takes and refunds money through a card gateway
commande/        decides: creates or cancels an order
notification/    tells the customer
orchestrateur/   the orchestrator, where there is one
scenario/        what the simulator needs to know of the saga
catalogue.toml   the starting data of a new database

The first page of a service, its `__init__`, says what it hears, says and owns. Then read its `reactions.py`.
"""
