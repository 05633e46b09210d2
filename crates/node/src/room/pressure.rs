//! `/proc/pressure/memory` (PSI): how much programs wait for memory.

use std::{fs, io};

use sentinal_node_protocol::MemoryPressure;

/// `None` where the kernel does not measure it: built without `CONFIG_PSI`, or started with `psi=0`.
pub(super) fn measure() -> io::Result<Option<MemoryPressure>> {
    match fs::read_to_string("/proc/pressure/memory") {
        Ok(text) => Ok(parse(&text)),
        Err(error) if is_not_measured(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// With `psi=0` the file is there and cannot be opened.
fn is_not_measured(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(rustix::io::Errno::OPNOTSUPP.raw_os_error())
}

fn parse(text: &str) -> Option<MemoryPressure> {
    Some(MemoryPressure { some_percent: average(text, "some")?, full_percent: average(text, "full")? })
}

/// `some avg10=0.12 avg60=0.00 avg300=0.00 total=1024086`: whole percent, rounded up.
fn average(text: &str, whose: &str) -> Option<u32> {
    let line = text.lines().find_map(|line| line.strip_prefix(whose)?.strip_prefix(' '))?;
    let percent = line.split(' ').find_map(|word| word.strip_prefix("avg10="))?;
    let (whole, part) = percent.split_once('.').unwrap_or((percent, ""));
    let whole: u32 = whole.parse().ok()?;
    Some(whole + u32::from(part.bytes().any(|digit| digit != b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(u32, u32)>) {
        let expected = expected.map(|(some_percent, full_percent)| MemoryPressure { some_percent, full_percent });
        assert_eq!(parse(text), expected, "{text}");
    }

    #[test]
    fn the_average_of_ten_seconds_is_what_counts() {
        let text = "some avg10=12.30 avg60=99.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=1.00 avg300=0.00 total=1\n";
        check(text, Some((13, 0)));
        check(&text.replace("0.00 avg60=1", "100.00 avg60=1"), Some((13, 100)));
    }

    #[test]
    fn what_is_not_said_is_not_guessed() {
        check("", None);
        check("some avg10=1.00 avg60=0.00\n", None);
        check("some avg10=much\nfull avg10=1.00\n", None);
    }

    #[test]
    fn this_machine_says_something_or_nothing() {
        if let Some(pressure) = measure().unwrap() {
            assert!(pressure.full_percent <= 100 && pressure.some_percent <= 100, "{pressure:?}");
        }
    }
}
