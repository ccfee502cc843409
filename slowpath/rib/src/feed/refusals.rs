//! Refused routes as the log tells them: each by its name, or of a mass one for all.

use ze_proto::v1;

/// Refusals told one by one. A table that is full refuses by the thousand; one line says that.
const TOLD_MAX: usize = 10;

/// Refusals that are not told yet.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    first: Vec<v1::Refusal>,
    count: usize,
}

impl Refusals {
    pub(super) fn add(&mut self, refusals: Vec<v1::Refusal>) {
        self.count += refusals.len();
        let room = TOLD_MAX.saturating_sub(self.first.len());
        self.first.extend(refusals.into_iter().take(room));
    }

    /// Says all that has been refused since it was last said.
    pub(super) fn tell(&mut self) {
        for (refusal, more) in self.lines() {
            let (path, reason) = (&refusal.path, refusal.reason().as_str_name());
            match more {
                0 => tracing::warn!(path, reason, "refused by the fast path: {}", refusal.message),
                more => tracing::warn!(
                    path,
                    reason,
                    more,
                    "refused by the fast path, and more routes with it: {}",
                    refusal.message
                ),
            }
        }
    }

    /// What is told, and how many that are not told each stands for.
    fn lines(&mut self) -> Vec<(v1::Refusal, usize)> {
        let Self { mut first, count } = std::mem::take(self);
        if count <= TOLD_MAX {
            return first.into_iter().map(|refusal| (refusal, 0)).collect();
        }
        first.truncate(1);
        first.into_iter().map(|refusal| (refusal, count - 1)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusals(count: usize) -> Vec<v1::Refusal> {
        let refusal = |n| v1::Refusal { path: format!("/{n}"), ..v1::Refusal::default() };
        (0..count).map(refusal).collect()
    }

    #[test]
    fn a_few_refusals_are_told_one_by_one_and_a_mass_in_one_line() {
        let mut told = Refusals::default();
        told.add(refusals(4));
        told.add(refusals(TOLD_MAX - 4));
        let lines = told.lines();
        assert!(lines.len() == TOLD_MAX && lines.iter().all(|(_, more)| *more == 0), "{lines:?}");
        told.add(refusals(4));
        told.add(refusals(TOLD_MAX - 3));
        told.add(refusals(400_000));
        assert_eq!(told.lines(), [(refusals(1).remove(0), TOLD_MAX + 400_000)]);
        assert!(told.lines().is_empty());
    }
}
