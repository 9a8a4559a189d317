"""The order saga on taskiq with taskiq-aio-pika."""
