#!/bin/sh
# Healthy is a primary that answers, or a standby that streams.
set -eu
sql="SELECT NOT pg_is_in_recovery() OR EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')"
[ "$(psql --no-psqlrc -qAt --username=postgres --command="$sql" postgres)" = t ]
