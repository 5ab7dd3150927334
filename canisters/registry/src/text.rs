//! What callers may write: rules for slugs, names and reasons, each refused under the name of its field.
//!
//! Names are shown to people and put into terminals, so control characters and directional overrides are refused
//! (Unicode Technical Report 36, "Bidirectional Text Spoofing"); the joiners and marks that Urdu needs are not.

use indus_api::Error;

/// A slug: 1 to `max` bytes of `a`–`z`, `0`–`9` and single hyphens between them.
///
/// # Errors
/// [`Error::Invalid`] with `field`.
pub(crate) fn slug(field: &str, text: &str, max: usize) -> Result<(), Error> {
    length(field, text, 1, max)?;
    let word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    if !text.split('-').all(word) {
        return Err(invalid(
            field,
            "must be a-z, 0-9 and single hyphens between them",
        ));
    }
    Ok(())
}

/// A name: 1 to `max` bytes in one line, without white space at its ends.
///
/// # Errors
/// [`Error::Invalid`] with `field`.
pub(crate) fn name(field: &str, text: &str, max: usize) -> Result<(), Error> {
    length(field, text, 1, max)?;
    if text.trim() != text {
        return Err(invalid(field, "must not start or end with white space"));
    }
    if text
        .chars()
        .any(|c| c.is_control() || is_directional_override(c))
    {
        return Err(invalid(
            field,
            "must not hold control characters or directional overrides",
        ));
    }
    Ok(())
}

/// A name, or nothing.
///
/// # Errors
/// [`Error::Invalid`] with `field`.
pub(crate) fn optional_name(field: &str, text: &str, max: usize) -> Result<(), Error> {
    if text.is_empty() {
        Ok(())
    } else {
        name(field, text, max)
    }
}

/// The typed refusal of one field.
pub(crate) fn invalid(field: &str, reason: impl Into<String>) -> Error {
    Error::Invalid {
        field: field.into(),
        reason: reason.into(),
    }
}

fn length(field: &str, text: &str, min: usize, max: usize) -> Result<(), Error> {
    if (min..=max).contains(&text.len()) {
        return Ok(());
    }
    Err(invalid(field, format!("must be {min} to {max} bytes long")))
}

/// Embeddings, overrides and isolates: they reorder what stands around them.
fn is_directional_override(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_lower_case_words_joined_by_single_hyphens() {
        for good in ["a", "9", "nadra", "state-bank-2"] {
            assert_eq!(slug("slug", good, 64), Ok(()), "{good}");
        }
        for bad in ["", "-a", "a-", "a--b", "A", "a b", "a_b", "ن", "a\n"] {
            assert!(
                matches!(slug("slug", bad, 64), Err(Error::Invalid { field, .. }) if field == "slug"),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_slug_may_be_exactly_as_long_as_the_limit() {
        assert_eq!(slug("slug", &"a".repeat(64), 64), Ok(()));
        assert!(slug("slug", &"a".repeat(65), 64).is_err());
    }

    #[test]
    fn names_may_be_in_any_language_and_length_counts_bytes() {
        assert_eq!(name("name", "وزارتِ خزانہ", 100), Ok(()));
        assert_eq!(name("name", "می\u{200C}خواہم", 100), Ok(()));
        assert_eq!(name("name", &"ن".repeat(50), 100), Ok(()));
        assert!(name("name", &"ن".repeat(51), 100).is_err());
    }

    #[test]
    fn names_that_could_deceive_a_reader_are_refused() {
        for bad in [
            "",
            " a",
            "a ",
            "\u{3000}a",
            "a\nb",
            "a\u{0}b",
            "a\u{85}b",
            "\u{202E}kna",
            "a\u{2067}b",
        ] {
            assert!(name("name", bad, 100).is_err(), "{bad:?}");
        }
    }
}
