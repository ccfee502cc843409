//! The curly-brace configuration: text, YANG validation, difference.
