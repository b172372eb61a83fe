//! Scripted discovery, scripted hosts and a paused clock: who is in the set and healthy, to the second.

mod dns;
mod membership;
mod schedule;
mod world;
