//! Reads pgbouncer.ini, userlist.txt and howdah.toml into checked settings, with file, line and column for every mistake.
