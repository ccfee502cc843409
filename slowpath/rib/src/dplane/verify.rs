//! Asks the fast path whether it would take a whole state.

use std::time::Duration;

use ze_proto::v1;

use super::{Options, connect_reason};
use crate::plan::Step;
use crate::reconcile::Refused;
use crate::state::State;
use crate::wire;

/// How long the fast path may take to verify.
const VERIFY_TIME_MAX: Duration = Duration::from_secs(10);

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The fast path can not be reached.
    #[error("{0}")]
    Unreachable(String),
    /// It does not answer, or not in time.
    #[error("the fast path gives no verdict: {0}")]
    NoVerdict(String),
}

/// What the fast path would refuse if `state` were all that we have; nothing is changed.
///
/// # Errors
/// When the fast path can not be asked.
pub async fn verify(options: &Options, state: &State) -> Result<Vec<Refused>, VerifyError> {
    let steps = state.iter().map(|(key, value)| Step::Put(key.clone(), value.clone())).collect();
    let (operations, layout) = wire::operations(steps);
    let request = v1::VerifyRequest { owner: options.owner.clone(), operations };
    let asked = async {
        let mut client = ze_proto::endpoint::connect(&options.socket)
            .await
            .map_err(|e| VerifyError::Unreachable(connect_reason(options, &e)))?;
        let reply = client.verify(request).await;
        reply.map_err(|status| VerifyError::NoVerdict(format!("{} ({:?})", status.message(), status.code())))
    };
    let in_time = tokio::time::timeout(VERIFY_TIME_MAX, asked).await;
    let reply = in_time
        .map_err(|_| VerifyError::NoVerdict(format!("no answer within {} s", VERIFY_TIME_MAX.as_secs())))??
        .into_inner();
    Ok(reply.refusals.into_iter().filter_map(|refusal| refused(&layout, refusal)).collect())
}

fn refused(layout: &[Vec<Step>], refusal: v1::Refusal) -> Option<Refused> {
    let steps = layout.get(refusal.operation as usize)?;
    let step = steps.get(refusal.element as usize).or_else(|| steps.first())?.clone();
    let reason = refusal.reason();
    Some(Refused { step, path: refusal.path, reason, message: refusal.message })
}
