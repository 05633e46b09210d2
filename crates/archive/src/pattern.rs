//! Which entries somebody means who does not write down every name.

/// Whether a pattern names this name: `*` is any number of bytes, `?` is one.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut name_at) = (0, 0);
    // Where to go back to: behind the last star, and which name's rest was tried there.
    let mut star: Option<(usize, usize)> = None;
    while name_at < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, name_at));
                at += 1;
            }
            Some(b'?') => (at, name_at) = (at + 1, name_at + 1),
            Some(byte) if *byte == name[name_at] => (at, name_at) = (at + 1, name_at + 1),
            Some(_) | None => {
                let Some((behind, tried)) = star else { return false };
                star = Some((behind, tried + 1));
                (at, name_at) = (behind, tried + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_what_they_say() {
        for (pattern, name, is_match) in [
            ("*", "", true),
            ("*.txt", "a.txt", true),
            ("*.txt", "a.txt.gz", false),
            ("a*b*c", "a__b_bc", true),
            ("a*b*c", "a__b_b", false),
            ("?", "a", true),
            ("?", "", false),
            ("a", "a", true),
            ("a", "ab", false),
            ("a**", "ab", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), is_match, "{pattern} {name}");
        }
        // In a time that does not explode.
        assert!(!matches("*a".repeat(100).as_bytes(), "b".repeat(200).as_bytes()));
    }
}
