//! One client's protocol life without sockets: transaction state, prepared statements, parameters, routing.
