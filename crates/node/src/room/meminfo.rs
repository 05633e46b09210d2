//! `/proc/meminfo`.

use super::Memory;

/// What the kernel says of the whole machine; zero where it says nothing.
pub(super) fn parse(text: &str) -> Memory {
    Memory { total: field(text, "MemTotal:"), available: field(text, "MemAvailable:") }
}

fn field(text: &str, name: &str) -> u64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let kib: u64 = rest.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    kib.saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_lines_that_matter_are_read() {
        let text = "MemTotal:       16 kB\nMemFree:  1 kB\nMemAvailable:    8 kB\n";
        assert_eq!(parse(text), Memory { total: 16 << 10, available: 8 << 10 });
        assert_eq!(parse("MemTotal: many"), Memory::default());
    }
}
