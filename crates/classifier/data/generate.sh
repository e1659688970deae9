#!/bin/sh
# Writes functions.txt, types.txt, operators.txt and catalogs.txt from a running PostgreSQL's own catalog.
# Usage: data/generate.sh CONNECTION-STRING   (a fresh cluster of the oldest version at hand, no extensions)
# functions.txt: built-ins marked immutable or stable that a query can call, without those of primary.txt.
set -eu
cd "$(dirname "$0")"
ask() { psql -XAtq -d "$1" -c "$2" | LC_ALL=C sort -u; }
listed=$(grep -v '^#' primary.txt | sed "s/.*/'&'/" | paste -sd, -)

ask "$1" "
select proname from pg_proc p
where pronamespace = 'pg_catalog'::regnamespace and provolatile in ('i', 's')
  and not exists (select from pg_proc v where v.proname = p.proname and v.provolatile = 'v')
  and prorettype <> all ('{trigger,event_trigger,internal,language_handler,fdw_handler,index_am_handler,tsm_handler,table_am_handler,pg_ddl_command}'::regtype[])
  and not proargtypes::oid[] && '{internal,cstring,pg_ddl_command}'::regtype[]::oid[]
  and proname not in ($listed)
  and proname !~ '^(pg_stat_get_|binary_upgrade_|pg_logical_|pg_replication_|pg_event_trigger_|pg_ls_)'" > functions.txt

ask "$1" "
select typname from pg_type
where typnamespace = 'pg_catalog'::regnamespace and typrelid = 0 and typcategory <> 'A'
  and (typtype in ('b', 'r', 'm') or typname = 'record')" > types.txt

ask "$1" "select oprname from pg_operator where oprnamespace = 'pg_catalog'::regnamespace" > operators.txt

ask "$1" "
select relname from pg_class
where relnamespace = 'pg_catalog'::regnamespace and relkind in ('r', 'v')
  and relname !~ '^pg_(stat_|statio_|replication_slots|replication_origin_status|prepared_|available_extension)'
  and relname <> all ('{pg_locks,pg_cursors,pg_settings,pg_file_settings,pg_hba_file_rules,pg_ident_file_mappings,pg_config,pg_shmem_allocations,pg_backend_memory_contexts,pg_sequences}')" > catalogs.txt
