//! Deputy from its outside: the real program, real files, and Apple played by the simulator.
//!
//! What is decided is tested in `domain`, where it costs nothing. Here it is wiring, wording and
//! crashes: each test is a story of an operator, and its expectations are what they read.

mod certificates;
mod env;
mod hook;
mod net;
mod postbox;

mod approvals;
mod assign;
mod author;
mod boundaries;
mod by_hand;
mod channels;
mod check;
mod crash;
mod daemon;
mod device;
mod failing;
mod faults;
mod field;
mod files;
mod invalid;
mod languages;
mod lasting;
mod many;
mod memory;
mod moving_in;
mod network;
mod outbox;
mod pauses;
mod plan_files;
mod plugins;
mod policy;
mod profile_tools;
mod profiles;
mod reading;
mod reminders;
mod removal;
mod renewal;
mod rotate;
mod secrets;
mod shadow;
mod steps;
mod tenants;
mod token_life;
mod token_names;
mod tokens;
mod waiting;
mod zoo;
