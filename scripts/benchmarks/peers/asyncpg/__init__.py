"""The order saga in a careful loop written by hand on aio-pika, with asyncpg on PostgreSQL."""
