"""The order saga on Celery."""
