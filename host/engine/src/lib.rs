//! engine

pub mod apple;
pub mod secrets;
