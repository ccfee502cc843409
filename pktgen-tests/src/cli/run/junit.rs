//! A report as CI systems read it: JUnit's XML, as far as it is agreed upon.

use std::fmt::Write as _;
use std::time::Duration;

use super::Played;

/// One test suite a file, one test case a scenario.
pub(super) fn report(all: &[Played<'_>], took: Duration) -> String {
    let failed = |played: &[&Played<'_>]| played.iter().filter(|played| played.failure.is_some()).count();
    let mut files: Vec<_> = all.iter().map(|played| &played.scenario.file).collect();
    files.dedup();
    let everything: Vec<_> = all.iter().collect();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (tests, failures) = (all.len(), failed(&everything));
    let _ = writeln!(
        xml,
        "<testsuites name=\"ze-pktgen\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"{:.3}\">",
        took.as_secs_f64()
    );
    for file in files {
        let of_file: Vec<_> = all.iter().filter(|played| played.scenario.file == *file).collect();
        let name = escaped(&file.display().to_string());
        let (tests, failures) = (of_file.len(), failed(&of_file));
        let _ = writeln!(xml, "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\">");
        of_file.iter().for_each(|played| case(&mut xml, &name, played));
        xml += "  </testsuite>\n";
    }
    xml + "</testsuites>\n"
}

fn case(xml: &mut String, class: &str, played: &Played<'_>) {
    let (name, line) = (escaped(&played.scenario.name), played.scenario.line);
    let seconds = played.took.as_secs_f64();
    let head =
        format!("<testcase classname=\"{class}\" name=\"{name}\" line=\"{line}\" time=\"{seconds:.3}\"");
    match &played.failure {
        None => {
            let _ = writeln!(xml, "    {head}/>");
        }
        Some(failure) => {
            let first = escaped(failure.what.lines().next().unwrap_or_default());
            let whole = escaped(&failure.to_string());
            let _ = writeln!(
                xml,
                "    {head}>\n      <failure message=\"{first}\">{whole}</failure>\n    </testcase>"
            );
        }
    }
}

/// XML 1.0 §2.4; control characters, which XML can not hold at all, become spaces.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' => out += "&#10;",
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_can_not_hold_is_escaped() {
        assert_eq!(escaped("a<b>&\"c\"\n\u{1}"), "a&lt;b&gt;&amp;&quot;c&quot;&#10; ");
    }
}
