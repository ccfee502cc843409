//! Files of routes: a line is a prefix and the number of a nexthop; plain, or compressed by zstd.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use ipnet::IpNet;

/// Routes handed over at once.
const CHUNK: usize = 16_384;
/// Routes of a file at most: some table sizes beyond the internet's.
pub const ROUTES_MAX: usize = 1 << 24;
/// How a file begins that zstd has compressed (RFC 8878 §3.1.1).
const ZSTD_MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// A file that is no table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It can not be read.
    #[error("{file}: {error}")]
    Unreadable {
        /// Its name.
        file: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// A line makes no sense.
    #[error("{file}:{line}: {what}")]
    Line {
        /// Its name.
        file: String,
        /// From 1.
        line: usize,
        /// What is the matter.
        what: String,
    },
}

/// Reads a table, and hands over its routes in parts.
///
/// # Errors
/// When the file can not be read, or a line of it makes no sense; what came before has been handed over.
pub fn read(path: &Path, mut take: impl FnMut(&[(IpNet, u32)])) -> Result<usize, TableError> {
    let file = path.display().to_string();
    let unreadable = |error| TableError::Unreadable { file: file.clone(), error };
    let mut input = open(path).map_err(unreadable)?;
    let (mut text, mut routes, mut count) = (String::new(), Vec::with_capacity(CHUNK), 0);
    for line in 1.. {
        text.clear();
        if input.read_line(&mut text).map_err(unreadable)? == 0 {
            break;
        }
        let wrong = |what| TableError::Line { file: file.clone(), line, what };
        let Some(route) = parse(&text).map_err(wrong)? else { continue };
        count += 1;
        if count > ROUTES_MAX {
            return Err(wrong(format!("more than {ROUTES_MAX} routes")));
        }
        routes.push(route);
        if routes.len() == CHUNK {
            take(&routes);
            routes.clear();
        }
    }
    take(&routes);
    Ok(count)
}

fn open(path: &Path) -> std::io::Result<Box<dyn BufRead>> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    file.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut head)?;
    let is_zstd = head == ZSTD_MAGIC;
    let whole = std::io::Cursor::new(head).chain(file);
    if is_zstd {
        return Ok(Box::new(BufReader::with_capacity(1 << 16, zstd::stream::read::Decoder::new(whole)?)));
    }
    Ok(Box::new(BufReader::with_capacity(1 << 16, whole)))
}

/// A line: nothing for an empty one and a comment.
fn parse(line: &str) -> Result<Option<(IpNet, u32)>, String> {
    let mut words = line.split_ascii_whitespace();
    let prefix = match words.next() {
        None => return Ok(None),
        Some(word) if word.starts_with('#') => return Ok(None),
        Some(word) => word,
    };
    let net: IpNet = prefix.parse().map_err(|_| format!("\"{prefix}\" is no prefix like 192.0.2.0/24"))?;
    if net.trunc() != net {
        return Err(format!("{net} has host bits set; the prefix is {}", net.trunc()));
    }
    let number = words.next().ok_or("a prefix and the number of a nexthop are wanted")?;
    let number = number.parse().map_err(|_| format!("\"{number}\" is no number of a nexthop"))?;
    match words.next() {
        None => Ok(Some((net, number))),
        Some(word) => Err(format!("\"{word}\" after the number of the nexthop")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(bytes: &[u8]) -> Result<Vec<(String, u32)>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table");
        std::fs::write(&path, bytes).unwrap();
        let mut all = Vec::new();
        let read = read(&path, |part| all.extend(part.iter().map(|(net, n)| (net.to_string(), *n))));
        read.map(|count| assert_eq!(count, all.len())).map_err(|e| e.to_string())?;
        Ok(all)
    }

    #[test]
    fn plain_and_compressed_tables_are_read_alike() {
        let text = "# a table\n192.0.2.0/24 7\n\n2001:db8::/32 0\n";
        let wanted = vec![("192.0.2.0/24".to_owned(), 7), ("2001:db8::/32".to_owned(), 0)];
        assert_eq!(read_text(text.as_bytes()).unwrap(), wanted);
        assert_eq!(read_text(&zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap(), wanted);
        assert_eq!(read_text(b"").unwrap(), []);
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_line() {
        for (bad, words) in [
            ("192.0.2.0/24 7\n10.0.0.1/8 1", ":2: 10.0.0.1/8 has host bits set"),
            ("10.0.0.0/8", ":1: a prefix and the number"),
            ("10.0.0.0/8 x", "\"x\" is no number"),
            ("10.0.0.0/8 1 2", "\"2\" after the number"),
            ("10.0.0.0/33 1", "is no prefix"),
        ] {
            let error = read_text(bad.as_bytes()).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        let missing = read(Path::new("/nowhere/at/all"), |_| {}).unwrap_err().to_string();
        assert!(missing.starts_with("/nowhere/at/all: No such file"), "{missing}");
    }
}
