//! Results in files: one JSON object a line, appended; read back from that, from a single object, or from a list.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The largest file that is read: a decade of nightly runs.
const FILE_BYTES_MAX: u64 = 1 << 28;

/// Now, UTC, to the second, as RFC 3339 writes it.
#[must_use]
pub fn now() -> String {
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default()
}

/// Appends a result.
///
/// # Errors
/// When the file can not be written.
pub fn append(path: &Path, result: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(result)? + "\n";
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.and_then(|mut file| file.write_all(line.as_bytes()));
    file.with_context(|| format!("history {}", path.display()))
}

/// All results of a file, in their order.
///
/// # Errors
/// When it can not be read, or something in it is no result: which line.
pub fn read(path: &Path) -> Result<Vec<Value>> {
    read_all(path).with_context(|| path.display().to_string())
}

fn read_all(path: &Path) -> Result<Vec<Value>> {
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        bail!("is larger than {FILE_BYTES_MAX} bytes");
    }
    let text = fs::read_to_string(path)?;
    let mut results = Vec::new();
    for value in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
        match value.context("is not JSON")? {
            Value::Array(list) => results.extend(list),
            one => results.push(one),
        }
    }
    if results.is_empty() {
        bail!("has no results");
    }
    if let Some(at) = results.iter().position(|result| !result["kind"].is_string()) {
        bail!("object {} is no result of ze-perf: it has no \"kind\"", at + 1);
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_appended_is_read_back_in_order_from_every_form() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let (one, two) = (json!({ "kind": "pipeline", "n": 1 }), json!({ "kind": "compare", "n": 2 }));
        append(&path, &one).unwrap();
        append(&path, &two).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
        assert_eq!(read(&path).unwrap(), [one.clone(), two.clone()]);
        fs::write(&path, serde_json::to_string_pretty(&json!([one, two])).unwrap()).unwrap();
        assert_eq!(read(&path).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_result_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        for (text, reason) in
            [("", "has no results"), ("{\"a\":1}", "object 1 is no result"), ("{", "is not JSON")]
        {
            fs::write(&path, text).unwrap();
            let error = format!("{:#}", read(&path).unwrap_err());
            assert!(error.contains(reason) && error.contains("history"), "{text}: {error}");
        }
        assert!(read(&folder.path().join("none")).is_err());
    }

    #[test]
    fn a_time_is_written_as_rfc_3339() {
        let now = now();
        assert!(now.len() == 20 && now.ends_with('Z') && now.as_bytes()[10] == b'T', "{now}");
    }
}
