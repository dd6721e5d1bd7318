//! Tests of the rules on real groups, judged by a hub's and by a member's view alike.

mod adds;
mod changes;
mod device;
mod joins;
mod leaves;
mod pending;
mod policies;
mod removes;
mod repeats;
mod table;
mod world;
