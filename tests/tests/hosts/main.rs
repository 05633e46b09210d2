//! Hosts that lack something: room on the disk, an image, `runsc`, a `runsc` that is new enough or that answers. What is
//! missing is named, nothing is half done, and the server goes on.

mod disk;
mod runsc;
