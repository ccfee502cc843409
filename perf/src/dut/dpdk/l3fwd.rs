//! What l3fwd is told, over whichever devices it runs.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ipnet::IpNet;

/// Routes that it is given at most: `rte_lpm` looks for each new rule among all of its length, and a full table would
/// take minutes.
const ROUTES_MAX: usize = 100_000;

/// Why so many routes are too many for it.
pub(crate) fn refuses(routes: usize) -> Option<String> {
    (routes > ROUTES_MAX).then(|| {
        format!("its table takes minutes to fill with {routes} routes; {ROUTES_MAX} is the limit here")
    })
}

/// Its options: two ports, which core has which queue (`config`), and the routes, in files of this folder.
///
/// # Errors
/// When a file can not be written.
pub(crate) fn options(config: &str, folder: &Path, routes: &[IpNet]) -> Result<Vec<String>> {
    let [four, six] = rule_files(folder, routes)?;
    let fixed = ["-p", "0x3", "-P", "--parse-ptype", "--lookup=lpm"].map(str::to_owned);
    let mut all = Vec::from(fixed);
    all.push(format!("--config={config}"));
    all.push(format!("--rule_ipv4={}", four.display()));
    all.push(format!("--rule_ipv6={}", six.display()));
    Ok(all)
}

/// The routes as it reads them, all to port 1; it wants at least one of each family.
fn rule_files(folder: &Path, routes: &[IpNet]) -> Result<[PathBuf; 2]> {
    let mut texts = ["R192.0.2.0/24 0\n".to_owned(), "R2001:db8:1::/64 0\n".to_owned()];
    for net in routes {
        let _ = writeln!(texts[usize::from(net.addr().is_ipv6())], "R{net} 1");
    }
    let paths = ["l3fwd.v4", "l3fwd.v6"].map(|name| folder.join(name));
    for (path, text) in paths.iter().zip(&texts) {
        fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_routes_holds_from_both_sides() {
        assert_eq!(refuses(ROUTES_MAX), None);
        assert!(refuses(ROUTES_MAX + 1).is_some_and(|why| why.contains("100001 routes")));
    }

    #[test]
    fn routes_are_written_by_family_and_named_by_the_options() {
        let folder = tempfile::tempdir().unwrap();
        let routes = ["198.51.100.0/24", "2001:db8:2::/48"].map(|net| net.parse().unwrap());
        let options = options("(0,0,0)", folder.path(), &routes).unwrap();
        assert!(options.contains(&"--config=(0,0,0)".to_owned()), "{options:?}");
        for (option, route) in
            [("--rule_ipv4=", "R198.51.100.0/24 1"), ("--rule_ipv6=", "R2001:db8:2::/48 1")]
        {
            let path = options.iter().find_map(|one| one.strip_prefix(option)).unwrap();
            let text = fs::read_to_string(path).unwrap();
            assert_eq!((text.lines().count(), text.lines().last()), (2, Some(route)));
        }
    }
}
