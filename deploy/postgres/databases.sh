#!/bin/sh
# A database for each service, which only its own user may open. Runs once, in an empty server.
set -e # not -u: the entry of the image may run this in its own shell
for service in stock paiement commande notification; do
    # The password goes through psql's input: an argument could be seen by others.
    psql --quiet --no-psqlrc -v ON_ERROR_STOP=1 --username postgres --dbname postgres <<SQL
\\set password \`cat /run/secrets/postgres/$service\`
CREATE ROLE "$service" LOGIN PASSWORD :'password';
CREATE DATABASE "$service" OWNER "$service" ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE "$service" FROM PUBLIC;
SQL
done
