//! What somebody may have meant who wrote a name that does not exist.

/// The one of `known` that is most like `name`, if one is so like it that it may have been meant.
pub fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let nearest = known.into_iter().map(|candidate| (distance(name, candidate), candidate)).min();
    nearest.filter(|(steps, candidate)| *steps <= 2 && *steps < candidate.len()).map(|(_, candidate)| candidate)
}

/// How many letters must be changed, added or removed to make `b` of `a` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_understood_and_another_word_is_not() {
        let known = ["listen", "data_dir"];
        assert_eq!(similar("lisen", known), Some("listen"));
        assert_eq!(similar("data-dir", known), Some("data_dir"));
        assert_eq!(similar("port", known), None);
    }
}
