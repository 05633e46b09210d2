//! Hosts that lack something: room, an image, `runsc`, a `runsc` that is new enough or that answers, loop devices,
//! cgroups, namespaces, root. What is missing is named, nothing is half done, and the server goes on.

mod disk;
mod doctor;
mod room;
mod runsc;
mod serve;
mod unprivileged;
