//! What the logic may know of the message that it answers.
//!
//! The shell builds a [`Context`] once per message. The logic never asks the system, so it runs the same natively.

use candid::Principal;
use indus_api::Error;

/// One message's caller and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Who sent the message, as the subnet authenticated them.
    pub caller: Principal,
    /// The subnet's time, in nanoseconds since 1970-01-01 UTC.
    pub time_ns: u64,
}

impl Context {
    /// The caller, if the subnet knows who they are.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] to an anonymous caller.
    pub fn authenticated(&self) -> Result<Principal, Error> {
        if self.caller == Principal::anonymous() {
            return Err(Error::Unauthorized {
                needs: "an authenticated caller".into(),
            });
        }
        Ok(self.caller)
    }
}
