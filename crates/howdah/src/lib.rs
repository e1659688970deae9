//! A PostgreSQL pooler as a library: builder, listener, client task, relay, gate and shutdown.
