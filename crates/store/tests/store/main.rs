//! The store from outside: one suite for every store, then what only the one on a disk has.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod disk_full;
#[cfg(test)]
mod records;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod sqlite;
#[cfg(test)]
mod webhooks;
