//! Lines of a bounded length out of a file that may hold anything. A line that is longer is passed over without being
//! in memory, so that a file without ends of lines costs no more than one line.

use std::io::{self, BufRead, Read};

/// Reads the next line, without its end. The inner `None` stands for one of more than `most` bytes.
///
/// # Errors
/// When the file can't be read.
pub fn next(reader: &mut impl BufRead, most: usize) -> io::Result<Option<Option<Vec<u8>>>> {
    let mut line = Vec::new();
    // One more for the end of the line, and one to see that it is too long.
    let bound = most as u64 + 2;
    if reader.by_ref().take(bound).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > most {
        reader.skip_until(b'\n')?;
    }
    Ok(Some((line.len() <= most).then_some(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_passed_over() {
        let text = b"four\n\nfives\nlonger than that\n1234\ncut";
        let mut reader = io::BufReader::with_capacity(3, &text[..]);
        let mut lines = Vec::new();
        while let Some(line) = next(&mut reader, 4).unwrap() {
            lines.push(line.map(|line| String::from_utf8(line).unwrap()));
        }
        let wanted = [
            Some("four"),
            Some(""),
            None,
            None,
            Some("1234"),
            Some("cut"),
        ];
        assert_eq!(lines, wanted.map(|line| line.map(str::to_owned)));
    }
}
