"""The monitor's database: the history written into tables, and the queries over them."""
