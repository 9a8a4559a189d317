"""The metrics of the monitor for Prometheus.

exposition.py  the metrics of one scrape, and the page that shows them
sagas.py       what is counted of each saga
families.py    families of metrics, from labels and numbers
"""
