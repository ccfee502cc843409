//! Names and marks: how we find again what is ours.

use super::Error;

/// Names and marks of one daemon's representors.
#[derive(Debug)]
pub(super) struct Names {
    base: String,
    instance: String,
}

/// The alias of both ends of a pair starts so.
const PAIR_MARK: &str = "ze-representor:";
/// The alias of `lo` in a namespace that we made starts so.
const NETNS_MARK: &str = "ze-netns:";
/// IFNAMSIZ without the zero.
const DEVICE_NAME_MAX: usize = 15;
/// A file name is at most 255 bytes; the kernel takes aliases up to 255.
const NAME_MAX: usize = 64;

impl Names {
    pub(super) fn new(base: &str, instance: &str) -> Result<Self, Error> {
        check_word(base, "a namespace")?;
        check_word(instance, "an instance")?;
        Ok(Self { base: base.to_owned(), instance: instance.to_owned() })
    }

    pub(super) fn netns(&self, vrf: Option<&str>) -> Result<String, Error> {
        let Some(vrf) = vrf else { return Ok(self.base.clone()) };
        check_word(vrf, "a VRF")?;
        Ok(format!("{}-{vrf}", self.base))
    }

    /// Could we have made a namespace of this name?
    pub(super) fn may_be_netns(&self, name: &str) -> bool {
        name.strip_prefix(&self.base).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }

    pub(super) fn netns_mark(&self) -> String {
        format!("{NETNS_MARK}{}", self.instance)
    }

    /// The alias of a pair: names what it stands for. Interface names last across restarts, identifiers may not.
    pub(super) fn alias(&self, netns: &str, inner: &str) -> String {
        format!("{PAIR_MARK}{}:{netns}/{inner}", self.instance)
    }

    pub(super) fn is_our_alias(&self, alias: &str) -> bool {
        let rest = alias.strip_prefix(PAIR_MARK).and_then(|rest| rest.strip_prefix(&self.instance));
        rest.is_some_and(|rest| rest.starts_with(':'))
    }

    /// The outer end's name: a hash of the alias, for the alias does not fit into 15 bytes.
    pub(super) fn outer(&self, netns: &str, inner: &str) -> String {
        let hash = fnv1a(self.alias(netns, inner).as_bytes()) & 0xff_ffff_ffff;
        format!("zer{hash:010x}")
    }
}

pub(super) fn is_netns_mark(alias: &str) -> bool {
    alias.starts_with(NETNS_MARK)
}

/// The kernel's rules for device names (`dev_valid_name`), less `%`, which asks for a number.
pub(super) fn check_device(name: &str) -> Result<(), Error> {
    let reason = if name.is_empty() || name.len() > DEVICE_NAME_MAX {
        "1 to 15 bytes are needed"
    } else if matches!(name, "." | ".." | "lo" | "all" | "default") {
        "the kernel uses it itself"
    } else if name.contains(|c: char| c == '/' || c == ':' || c == '%' || c == '\0' || c.is_whitespace()) {
        "the kernel does not take such a character"
    } else {
        return Ok(());
    };
    Err(Error::Name { name: name.to_owned(), what: "a device", reason })
}

fn check_word(word: &str, what: &'static str) -> Result<(), Error> {
    let reason = if word.is_empty() || word.len() > NAME_MAX {
        "1 to 64 bytes are needed"
    } else if word.starts_with('.') || !word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        "letters, digits, '-', '_' and '.' are allowed, and no '.' in front"
    } else {
        return Ok(());
    };
    Err(Error::Name { name: word.to_owned(), what, reason })
}

/// FNV-1a, 64 bits (draft-eastlake-fnv): stable across builds, which std's hasher is not.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_names_fit_and_differ_by_instance_namespace_and_interface() {
        let (ze, other) = (Names::new("ze", "ze").unwrap(), Names::new("ze", "other").unwrap());
        let names = [
            ze.outer("ze", "lan0"),
            ze.outer("ze", "lan1"),
            ze.outer("ze-a", "lan0"),
            other.outer("ze", "lan0"),
        ];
        for (index, name) in names.iter().enumerate() {
            assert!(name.len() <= DEVICE_NAME_MAX && name.starts_with("zer"), "{name}");
            assert!(!names[..index].contains(name), "{name}");
        }
        assert_eq!(ze.outer("ze", "lan0"), names[0], "the same after a restart");
    }

    #[test]
    fn marks_are_told_from_those_of_an_instance_whose_name_begins_alike() {
        let (ze, ze2) = (Names::new("ze", "ze").unwrap(), Names::new("ze", "ze2").unwrap());
        assert!(ze.is_our_alias(&ze.alias("ze", "lan0")));
        assert!(!ze.is_our_alias(&ze2.alias("ze", "lan0")) && !ze2.is_our_alias(&ze.alias("ze", "lan0")));
        assert!(!ze.is_our_alias("uplink to Frankfurt"));
        assert!(ze.may_be_netns("ze") && ze.may_be_netns("ze-red") && !ze.may_be_netns("zebra"));
    }

    #[test]
    fn impossible_names_are_refused_with_the_reason() {
        for bad in ["", "a-name-too-long-", "..", "lo", "all", "a/b", "a b", "a:b", "eth%d"] {
            assert!(check_device(bad).is_err(), "{bad}");
        }
        for good in ["lan0", "lan0.100", "exactly15bytes_"] {
            check_device(good).unwrap();
        }
        for bad in ["", "../x", ".x", "a/b", "a b", &"x".repeat(65)] {
            assert!(Names::new(bad, "ze").is_err() && Names::new("ze", bad).is_err(), "{bad}");
            assert!(Names::new("ze", "ze").unwrap().netns(Some(bad)).is_err(), "{bad}");
        }
    }
}
