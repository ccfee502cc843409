//! Whether what is decided is in force: what the daemon says of those who program it.

use ze_proto::v1::{FibState, OwnerState};
use ze_tui::units::{count, plural};

use super::{Finding, Severity};

/// What the facts mean, owner by owner. An owner that has gone and left nothing is forgotten.
pub(super) fn findings(fib: &FibState) -> Vec<Finding> {
    let left_something = |owner: &&OwnerState| owner.connected || objects(owner) > 0;
    fib.owners.iter().filter(left_something).map(of_owner).collect()
}

fn of_owner(owner: &OwnerState) -> Finding {
    let name = &owner.name;
    if owner.refused_now > 0 {
        return Finding::new(
            Severity::Error,
            "programming",
            format!(
                "{} of '{name}' refused, and not in force as they should be: packets go another way, or none.",
                count(owner.refused_now)
            ),
            "The log of who programs them (ze-slowpath) names the first and says why; `ze show fib` shows the limits.",
        );
    }
    if !owner.connected {
        return Finding::new(
            Severity::Warning,
            "programming",
            format!(
                "'{name}' has gone and left {}: they stay in force, and nobody changes them when something happens.",
                plural(objects(owner), "object")
            ),
            "Is ze-slowpath running? `systemctl status ze-slowpath` shows it.",
        );
    }
    Finding::ok(
        "programming",
        format!("What '{name}' wants is in force: {}.", plural(objects(owner), "object")),
    )
}

fn objects(owner: &OwnerState) -> u64 {
    owner.routes + owner.nexthops + owner.groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(connected: bool, routes: u64, refused_now: u64) -> OwnerState {
        OwnerState { name: "table".to_owned(), connected, routes, refused_now, ..OwnerState::default() }
    }

    fn severities(owners: &[OwnerState]) -> Vec<Severity> {
        let fib = FibState { owners: owners.to_vec(), ..FibState::default() };
        findings(&fib).into_iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn what_is_refused_is_an_error_and_an_owner_that_left_routes_a_warning() {
        let (good, short, gone) = (owner(true, 3, 0), owner(true, 20_000, 273_269), owner(false, 3, 0));
        assert_eq!(severities(&[good, short, gone]), [Severity::Ok, Severity::Error, Severity::Warning]);
        assert_eq!(severities(&[owner(false, 0, 0)]), [], "it left nothing");
    }

    #[test]
    fn the_number_of_refused_is_told() {
        let fib = FibState { owners: vec![owner(true, 20_000, 273_269)], ..FibState::default() };
        let told = &findings(&fib)[0].message;
        assert!(told.starts_with("273,269 of 'table' refused"), "{told}");
    }
}
