//! The command line as somebody at a shell meets it, against a real server.

mod caller;
mod carry;
mod interrupt;
mod key;
mod output;
mod status;
mod terminal;
mod transcript;
mod webhook;
