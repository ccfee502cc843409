//! Route selection and the dplane that programs the fast path.
