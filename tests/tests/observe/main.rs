//! What an operator sees of a server: traces, figures, log lines, and the dashboard and alerts that are made of them.

mod collector;
mod figures;
mod lines;
mod rules;
mod traces;
