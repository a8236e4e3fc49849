//! engine

pub mod secrets;
