//! The command line as somebody at a shell meets it, against a real server.

mod caller;
mod carry;
mod image;
mod interrupt;
mod key;
mod output;
mod retry;
mod status;
mod terminal;
mod transcript;
mod webhook;
