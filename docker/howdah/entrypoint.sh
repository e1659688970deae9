#!/bin/sh
# Fills in the settings from the environment, then becomes Howdah.
set -eu
: "${NODE_PREFIX:?}" "${HOWDAH_PASSWORD:?}" "${APP_PASSWORD:?}"
for file in pgbouncer.ini userlist.txt; do
    sed -e "s|@NODE_PREFIX@|$NODE_PREFIX|g" -e "s|@HOWDAH_PASSWORD@|$HOWDAH_PASSWORD|g" \
        -e "s|@APP_PASSWORD@|$APP_PASSWORD|g" "/etc/howdah/$file" >"/tmp/$file"
done
exec howdah /tmp/pgbouncer.ini
