"""The voyage saga: a flight, a hotel and a car booked side by side, paid together, undone together.

application.py   the application: choreography, services, starting data; `python -m voyage` runs it
events.py        what is said, by whom
choreography.py  the saga as data
vol/             seats on flights; a cancellation after the confirmation has a fee
hotel/           rooms
voiture/         cars
paiement/        waits for the three bookings, then debits the card
agence/          decides: confirms or cancels
scenario.py      what the simulator needs to know of the saga
demo.py          a voyage to every end, on a real broker
catalogue.toml   the starting data of a new database
"""
