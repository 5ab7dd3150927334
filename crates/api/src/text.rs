//! What may be written into texts: the rules for slugs and names, for canisters that check and clients that want to
//! know before they ask.
//!
//! Names are shown to people and put into terminals, so control characters and directional overrides are refused
//! (Unicode Technical Report 36, "Bidirectional Text Spoofing"); the joiners and marks that Urdu needs are not.

use thiserror::Error;

/// Why a text is not acceptable; reads as what follows the name of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TextFault {
    #[error("must be 1 to {max} bytes long")]
    Length { max: usize },
    #[error("must be a-z, 0-9 and single hyphens between them")]
    NotASlug,
    #[error("must not start or end with white space")]
    OuterSpace,
    #[error("must not hold control characters or directional overrides")]
    Deceptive,
}

/// Checks a slug: 1 to `max` bytes of `a`–`z`, `0`–`9` and single hyphens between them.
///
/// # Errors
/// The first rule that it breaks.
pub fn slug(text: &str, max: usize) -> Result<(), TextFault> {
    length(text, max)?;
    let word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    if text.split('-').all(word) {
        Ok(())
    } else {
        Err(TextFault::NotASlug)
    }
}

/// Checks a name: 1 to `max` bytes in one line, without white space at its ends.
///
/// # Errors
/// The first rule that it breaks.
pub fn name(text: &str, max: usize) -> Result<(), TextFault> {
    length(text, max)?;
    if text.trim() != text {
        return Err(TextFault::OuterSpace);
    }
    if text
        .chars()
        .any(|c| c.is_control() || is_directional_override(c))
    {
        return Err(TextFault::Deceptive);
    }
    Ok(())
}

fn length(text: &str, max: usize) -> Result<(), TextFault> {
    if (1..=max).contains(&text.len()) {
        Ok(())
    } else {
        Err(TextFault::Length { max })
    }
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
            assert_eq!(slug(good, 64), Ok(()), "{good}");
        }
        for bad in ["", "-a", "a-", "a--b", "A", "a b", "a_b", "ن", "a\n"] {
            assert!(slug(bad, 64).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_slug_may_be_exactly_as_long_as_the_limit() {
        assert_eq!(slug(&"a".repeat(64), 64), Ok(()));
        assert!(slug(&"a".repeat(65), 64).is_err());
    }

    #[test]
    fn names_may_be_in_any_language_and_length_counts_bytes() {
        assert_eq!(name("وزارتِ خزانہ", 100), Ok(()));
        assert_eq!(name("می\u{200C}خواہم", 100), Ok(()));
        assert_eq!(name(&"ن".repeat(50), 100), Ok(()));
        assert!(name(&"ن".repeat(51), 100).is_err());
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
            assert!(name(bad, 100).is_err(), "{bad:?}");
        }
    }
}
