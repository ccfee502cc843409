//! Static routes as an engine.
