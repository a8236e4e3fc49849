//! Deputy from its outside: the real program, real files, and Apple played by the simulator.
//!
//! What is decided is tested in `domain`, where it costs nothing. Here it is wiring, wording and
//! crashes: each test is a story of an operator, and its expectations are what they read.

mod certificates;
mod env;
mod net;

mod assign;
mod author;
mod check;
mod crash;
mod daemon;
mod device;
mod faults;
mod field;
mod files;
mod network;
mod policy;
mod profile_tools;
mod profiles;
mod removal;
mod secrets;
mod tenants;
mod tokens;
