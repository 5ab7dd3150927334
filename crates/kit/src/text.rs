//! What callers may write ([`indus_api::text`]), each refusal under the name of its field.

use indus_api::{Error, text};

/// A slug of at most `max` bytes.
///
/// # Errors
/// [`Error::Invalid`] with `field`.
pub fn slug(field: &str, value: &str, max: usize) -> Result<(), Error> {
    text::slug(value, max).map_err(|fault| invalid(field, fault.to_string()))
}

/// A name of at most `max` bytes.
///
/// # Errors
/// [`Error::Invalid`] with `field`.
pub fn name(field: &str, value: &str, max: usize) -> Result<(), Error> {
    text::name(value, max).map_err(|fault| invalid(field, fault.to_string()))
}

/// A name, or nothing.
///
/// # Errors
/// [`Error::Invalid`] with `field`.
pub fn optional_name(field: &str, value: &str, max: usize) -> Result<(), Error> {
    if value.is_empty() {
        Ok(())
    } else {
        name(field, value, max)
    }
}

/// The typed refusal of one field.
pub fn invalid(field: &str, reason: impl Into<String>) -> Error {
    Error::Invalid {
        field: field.into(),
        reason: reason.into(),
    }
}
