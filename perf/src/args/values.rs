//! What options of several subcommands have in common: how their values are read.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::pipeline::routes::Family;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpVersion {
    /// IPv4
    Ip4,
    /// IPv6
    Ip6,
}

impl IpVersion {
    /// As the tables know it.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Ip4 => Family::V4,
            Self::Ip6 => Family::V6,
        }
    }
}

/// Reads a number from `least` to `most`: neither NaN nor infinite.
pub(super) fn within(
    least: f64,
    most: f64,
) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = number(text)?;
        if !(least..=most).contains(&number) {
            return Err(format!("{text} is not in {least} to {most}"));
        }
        Ok(number)
    }
}

/// Reads a share of less than all.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let share = number(text)?;
    if !(0.0..1.0).contains(&share) {
        return Err(format!("{text} is not a share: from 0 to less than 1"));
    }
    Ok(share)
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("'{text}' is not a number"))
}
