//! What callers get back: the shape of every failure, and what all answers have in common.

mod failure;
mod finish;
mod linger;

pub(crate) use failure::{Rejection, Reply, problem_bytes, status_of};
pub(crate) use finish::{RequestId, finish};
