#!/bin/sh
# Makes this node on its first start, starts it on every start.
#
#   NODE_NAME              its name, which is its application_name as a standby
#   NODE_ROLE              primary or standby: how the node begins; later its database folder knows
#   NODE_PREFIX            the first three numbers of the subnet; the nodes are .200, .201 and .202
#   REPLICATION_ROLE       the role with which this node follows another
#   REPLICATION_PASSWORD   the password of all replication roles
#   HOWDAH_PASSWORD        the password of Howdah's own role
#   APP_PASSWORD           the password of the application's role
set -eu

: "${NODE_NAME:?}" "${NODE_ROLE:?}" "${NODE_PREFIX:?}" "${REPLICATION_ROLE:?}"
: "${REPLICATION_PASSWORD:?}" "${HOWDAH_PASSWORD:?}" "${APP_PASSWORD:?}"

archive=/var/lib/postgresql/archive
primary=$NODE_PREFIX.200
# A base backup is tried for this long, in seconds: the primary may still be starting.
follow_limit=120

# The settings of the reference installation, with what a return to the cluster needs (wal_log_hints).
settings() {
    cat <<CONF
listen_addresses = '*'
wal_level = replica
hot_standby = on
wal_log_hints = on
archive_mode = on
archive_command = 'test ! -f $archive/%f && cp %p $archive/%f'
max_wal_senders = 10
max_replication_slots = 10
wal_keep_size = '256MB'
synchronous_standby_names = '*'
password_encryption = 'scram-sha-256'
# A standby that has nothing to read asks again soon.
wal_retrieve_retry_interval = '200ms'
CONF
}

# Who may come in: each replication role from the address of its node and from nowhere else.
hba() {
    cat <<HBA
local   all          all                            trust
host    all          postgres  127.0.0.1/32         trust
host    replication  repuser0  $NODE_PREFIX.200/32  scram-sha-256
host    replication  repuser1  $NODE_PREFIX.201/32  scram-sha-256
host    replication  repuser2  $NODE_PREFIX.202/32  scram-sha-256
host    all          howdah    $NODE_PREFIX.0/24    scram-sha-256
host    app          app       $NODE_PREFIX.0/24    scram-sha-256
HBA
}

# The roles: one for replication a node, Howdah's own, the application's.
roles() {
    for number in 0 1 2; do
        echo "CREATE ROLE repuser$number LOGIN REPLICATION CONNECTION LIMIT 5 PASSWORD '$REPLICATION_PASSWORD';"
    done
    # What `failover = manage` does needs much; `howdah setup-sql` prints the narrow grants for each version.
    echo "CREATE ROLE howdah LOGIN SUPERUSER PASSWORD '$HOWDAH_PASSWORD';"
    echo "CREATE ROLE app LOGIN PASSWORD '$APP_PASSWORD';"
    echo "CREATE DATABASE app OWNER app;"
}

make_primary() {
    echo "$NODE_NAME: making the primary"
    initdb --pgdata="$PGDATA.new" --username=postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 >/dev/null
    settings >>"$PGDATA.new/postgresql.conf"
    hba >"$PGDATA.new/pg_hba.conf"
    # Nobody outside sees the server before it is complete, and nobody is there yet to wait for.
    pg_ctl --pgdata="$PGDATA.new" --wait --silent --log=/dev/null \
        -o "-c listen_addresses= -c synchronous_standby_names= -c archive_mode=off" start
    roles | psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username=postgres postgres
    pg_ctl --pgdata="$PGDATA.new" --wait --silent --mode=fast stop
    mv "$PGDATA.new" "$PGDATA"
}

# How this node follows ADDRESS.
conninfo_to() {
    echo "host=$1 port=5432 user=$REPLICATION_ROLE password=$REPLICATION_PASSWORD application_name=$NODE_NAME"
}

# make_standby ADDRESS: copies that node over the network and follows it.
make_standby() {
    echo "$NODE_NAME: following $1"
    waited=0
    until pg_isready --quiet --host="$1" --username=howdah --dbname=postgres; do
        waited=$((waited + 1))
        if [ $waited -gt $follow_limit ]; then
            echo "$NODE_NAME: $1 does not answer" >&2
            exit 1
        fi
        sleep 1
    done
    rm -rf "$PGDATA.new"
    pg_basebackup -d "$(conninfo_to "$1")" -D "$PGDATA.new" -R -Fp -Xs -v -P -c fast
    mv "$PGDATA.new" "$PGDATA"
}

mkdir -p "$archive"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    rm -rf "$PGDATA.new"
    case $NODE_ROLE in
        primary) make_primary ;;
        standby) make_standby "$primary" ;;
        *) echo "NODE_ROLE is primary or standby, not $NODE_ROLE" >&2; exit 1 ;;
    esac
    chmod 700 "$PGDATA"
fi
# Starts the server, by whichever way the data need to follow the present primary, and again when it ends; stops it for
# a SWITCHOVER. What a replaced primary wrote after it was replaced was acknowledged to nobody.
nodes=$NODE_PREFIX.200,$NODE_PREFIX.201,$NODE_PREFIX.202
exec howdah rejoin --supervise --pgdata="$PGDATA" --name="$NODE_NAME" \
    --primary="host=$nodes port=5432 user=$REPLICATION_ROLE password=$REPLICATION_PASSWORD" \
    --rewind-as="user=howdah password=$HOWDAH_PASSWORD dbname=postgres"
