//! Each test is a story: what happened on the left, what the supervisor did about it on the right.
//! Only `tell` knows the API, so a change of API changes one function and no story.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed")]

mod absence;
mod breach;
mod build;
mod changes;
mod crash;
mod delete;
mod departure;
mod depend;
mod effects;
mod exam;
mod fleet;
mod job;
mod load;
mod order;
mod reload;
mod restart;
mod scale;
mod site;
mod start;
mod stop;
mod tell;
mod trial;
mod versions;
