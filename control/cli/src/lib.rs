//! ze: the operator's command.
