//! Paths of hash trees as people read them.

use std::fmt::Write;

/// `path` with a slash before each label; labels that aren't plain ASCII words are in hexadecimal.
pub(crate) fn text<P: AsRef<[u8]>>(path: &[P]) -> String {
    let mut text = String::new();
    for part in path {
        text.push('/');
        text.push_str(&label(part.as_ref()));
    }
    if text.is_empty() {
        String::from("/")
    } else {
        text
    }
}

/// One label of a path.
pub(crate) fn label(label: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'/';
    if !label.is_empty() && label.iter().all(plain) {
        return label.iter().map(|byte| char::from(*byte)).collect();
    }
    let mut text = String::from("0x");
    for byte in label {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_shown_as_they_are_and_the_rest_in_hexadecimal() {
        assert_eq!(
            text(&[b"data".as_slice(), &[0, 1], b"", b"a/b"]),
            "/data/0x0001/0x/0x612f62"
        );
        assert_eq!(text::<&[u8]>(&[]), "/");
    }
}
