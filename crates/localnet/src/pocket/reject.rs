//! Rejects, with the names of their codes.

use engine::Reject;
use pocket_ic::{ErrorCode, RejectCode, RejectResponse};

/// What a client reads of a reject. It is certified where a call came to it by execution.
pub(super) fn response(reject: Reject, certified: bool) -> RejectResponse {
    let reject_code = RejectCode::try_from(reject.code as u64);
    let error_code = reject
        .error_code
        .and_then(|code| ErrorCode::try_from(code as u64).ok());
    RejectResponse {
        reject_code: reject_code.unwrap_or(RejectCode::SysUnknown),
        reject_message: reject.message,
        // A canister's own reject has this code too.
        error_code: error_code.unwrap_or(ErrorCode::CanisterRejectedMessage),
        certified,
    }
}
