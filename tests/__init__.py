"""The tests, under the names of the packages that they test.

architecture/   layers, public names and conventions, and the declared choreography
chaos/          the chaos tool and its checkers; short chaos runs on private nodes
e2e/            whole sagas on a real broker with real worker processes
support/        what the tests share: brokers, a foreign client, workers, sample services

`conftest.py` marks each test by what it needs: unit, broker, database, browser, terminal or chaos.
"""
