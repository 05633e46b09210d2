//! From lines to instructions as they are written: comments go, and what ends with a backslash goes on.

/// An instruction as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// Where it begins, counted from 1.
    pub(crate) line: usize,
    /// On one line.
    pub(crate) text: String,
}

/// All of them, in order; or the line of the mistake and what it is.
pub(crate) fn written(text: &str) -> Result<Vec<Written>, (usize, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut all, mut open): (Vec<Written>, Option<Written>) = (Vec::new(), None);
    let mut is_head = true;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if is_comment(line) {
            if is_head {
                check_directive(line).map_err(|why| (at + 1, why))?;
            }
            continue;
        }
        is_head = false;
        let (part, goes_on) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        let mut instruction = match open.take() {
            Some(begun) => begun,
            None if line.trim().is_empty() => continue,
            None => Written { line: at + 1, text: String::new() },
        };
        // An empty line in the middle does not end it.
        let goes_on = goes_on || (line.trim().is_empty() && !instruction.text.is_empty());
        instruction.text.push_str(part);
        if goes_on {
            open = Some(instruction);
        } else {
            all.push(instruction);
        }
    }
    all.extend(open);
    for instruction in &mut all {
        instruction.text = instruction.text.trim().to_owned();
    }
    all.retain(|instruction| !instruction.text.is_empty());
    Ok(all)
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// A comment at the beginning may say how the rest is to be read.
fn check_directive(line: &str) -> Result<(), String> {
    let directive = line.trim_start().trim_start_matches('#').trim().split_once('=');
    match directive {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("escape") && value.trim() != "\\" => {
            Err("another escape character than the backslash is not read".to_owned())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(usize, &str)]) {
        let all = written(text).unwrap();
        let all: Vec<_> = all.iter().map(|written| (written.line, written.text.as_str())).collect();
        assert_eq!(all, expected, "{text:?}");
    }

    #[test]
    fn lines_become_instructions() {
        check("", &[]);
        check("\n# a comment\nFROM a\r\n\n  RUN b  \n", &[(3, "FROM a"), (5, "RUN b")]);
        check("RUN a \\\n  b \\\n# not this\n\n  c\nRUN d", &[(1, "RUN a   b   c"), (6, "RUN d")]);
        check("RUN a \\", &[(1, "RUN a")]);
        check("RUN echo '#'", &[(1, "RUN echo '#'")]);
        check("\u{feff}# syntax=x\n# escape=\\\nFROM a", &[(3, "FROM a")]);
        assert_eq!(written("# escape=`\nFROM a").unwrap_err().0, 1);
    }
}
