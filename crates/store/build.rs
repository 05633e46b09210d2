//! Makes a new file in `migrations/` rebuild the crate that embeds them.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
