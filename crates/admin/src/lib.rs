//! What an operator sees: the console's commands, HTTP health, metrics and the dashboard.
