#!/usr/bin/env bash
# Makes sure that cargo can build this repository, and its agent as one static binary.
set -euo pipefail
# shellcheck source=scripts/prelude.sh
. "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"
cd "$ROOT"

readonly TARGET=x86_64-unknown-linux-musl

main() {
    has cargo || no_cargo
    if has rustup; then with_rustup; else without_rustup; fi
}

no_cargo() {
    if is_root && [ -n "${SUDO_USER:-}" ]; then
        fail "cargo is not in root's path. Build as $SUDO_USER, then start as root:" \
            '  make build' '  sudo scripts/run.sh run'
    fi
    fail 'cargo is missing. Install rustup (https://rustup.rs), which reads rust-toolchain.toml, and run this again.'
}

# Asking cargo for its version makes rustup install the toolchain of rust-toolchain.toml.
with_rustup() {
    local installed
    cargo --version >/dev/null || fail "rustup could not install the toolchain of rust-toolchain.toml; its words are above"
    installed=$(rustup target list --installed)
    if ! grep -qx "$TARGET" <<<"$installed"; then
        say "installing the Rust target $TARGET (the agent is one static binary)"
        rustup target add "$TARGET" || fail "rustup could not add $TARGET; its words are above"
    fi
    for component in clippy rustfmt; do
        if ! cargo "${component/rust/}" --version >/dev/null 2>&1; then
            say "installing $component"
            rustup component add "$component" || fail "rustup could not add $component; its words are above"
        fi
    done
}

without_rustup() {
    local wanted found
    wanted=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
    found=$(rustc --version | cut -d' ' -f2)
    if [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n1)" != "$wanted" ]; then
        fail "this cargo is not rustup's and its Rust is $found; $wanted is needed." \
            'Install rustup (https://rustup.rs), which reads rust-toolchain.toml, and run this again.'
    fi
    if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$TARGET" ]; then
        fail "this cargo is not rustup's and has no target $TARGET, which the agent needs." \
            'Install your distribution'\''s package with it, or rustup (https://rustup.rs), and run this again.'
    fi
}

main "$@"
