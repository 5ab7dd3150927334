//! Arguments of calls: Candid from anybody, decoded with bounded work.
//!
//! A few bytes of Candid can ask for a great deal of work ("space bombs": a million values of no size, types nested in
//! types, fields to be skipped). Candid's quotas bound it; what goes beyond is refused as a whole.

use candid::{CandidType, DecoderConfig, de::IDLDeserialize};
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::encoding;

/// Work that decoding the arguments of one call may cost, in candid's units (about one a byte, three an element, four a
/// byte of types): more than twice what the largest `certified_read` within its limits takes.
const DECODING_QUOTA: usize = 400_000;
/// Part of that work which may go into skipping what the method doesn't know.
const SKIPPING_QUOTA: usize = 10_000;

/// Longest arguments whose values are read without a look at their types, where these are the method's own: far below what
/// the quotas allow.
const MAX_OWN_BYTES: usize = 50_000;

/// The arguments are not what the method takes. Says nothing of what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the arguments are not what this method takes, or too large: see its Candid interface")]
pub struct Refused;

/// The one argument of a method.
///
/// # Errors
/// [`Refused`] if it isn't Candid of that type, or its decoding takes more work than any acceptable one's.
pub fn decode<T: CandidType + DeserializeOwned + 'static>(bytes: &[u8]) -> Result<T, Refused> {
    if bytes.len() <= MAX_OWN_BYTES
        && let Some(argument) = encoding::decode_own(bytes)
    {
        return Ok(argument);
    }
    decode_within(DECODING_QUOTA, bytes)
}

/// The same for a method whose argument has a long blob: `most` bytes of it beyond what any other argument has.
///
/// # Errors
/// [`Refused`], as [`decode`].
pub fn decode_long<T: CandidType + DeserializeOwned>(
    most: usize,
    bytes: &[u8],
) -> Result<T, Refused> {
    decode_within(DECODING_QUOTA + most, bytes)
}

fn decode_within<T: CandidType + DeserializeOwned>(
    quota: usize,
    bytes: &[u8],
) -> Result<T, Refused> {
    let mut config = DecoderConfig::new();
    config
        .set_decoding_quota(quota)
        .set_skipping_quota(SKIPPING_QUOTA)
        .set_full_error_message(false);
    let mut arguments = IDLDeserialize::new_with_config(bytes, &config).map_err(|_| Refused)?;
    let argument = arguments.get_value().map_err(|_| Refused)?;
    arguments.done().map_err(|_| Refused)?;
    Ok(argument)
}

#[cfg(test)]
mod tests {
    use candid::{Encode, Reserved};
    use indus_api::{
        certified::{MAX_LABEL_BYTES, MAX_PATH_LABELS, MAX_PATHS},
        paging::PageArgs,
        registry::{CancelArgs, OrganisationProfile},
    };
    use serde_bytes::ByteBuf;

    use super::*;

    type Paths = Vec<Vec<ByteBuf>>;

    fn paths(paths: usize, labels: usize, bytes: usize) -> Paths {
        vec![vec![ByteBuf::from(vec![7; bytes]); labels]; paths]
    }

    #[test]
    fn the_largest_read_within_its_limits_is_decoded() {
        let largest = paths(MAX_PATHS, MAX_PATH_LABELS, MAX_LABEL_BYTES);
        assert_eq!(decode::<Paths>(&Encode!(&largest).unwrap()), Ok(largest));
    }

    #[test]
    fn twice_the_largest_read_is_decoded_so_that_its_refusal_is_typed() {
        let larger = paths(2 * MAX_PATHS, MAX_PATH_LABELS, MAX_LABEL_BYTES);
        assert_eq!(decode::<Paths>(&Encode!(&larger).unwrap()), Ok(larger));
    }

    #[test]
    fn arguments_far_over_every_limit_are_refused() {
        let one_label = paths(1, 1, 1_000_000);
        assert_eq!(decode::<Paths>(&Encode!(&one_label).unwrap()), Err(Refused));
        let many_empty = paths(1, 500_000, 0);
        assert_eq!(
            decode::<Paths>(&Encode!(&many_empty).unwrap()),
            Err(Refused)
        );
        let reason = CancelArgs {
            id: 1,
            reason: "a".repeat(1_000_000),
        };
        assert_eq!(
            decode::<CancelArgs>(&Encode!(&reason).unwrap()),
            Err(Refused)
        );
    }

    #[test]
    fn a_long_blob_is_decoded_where_one_is_expected() {
        let long = ByteBuf::from(vec![7; 1_000_000]);
        let bytes = Encode!(&long).unwrap();
        assert_eq!(decode::<ByteBuf>(&bytes), Err(Refused));
        assert_eq!(decode_long(1_000_000, &bytes), Ok(long));
        assert_eq!(decode_long::<ByteBuf>(500_000, &bytes), Err(Refused));
    }

    #[test]
    fn a_few_bytes_that_stand_for_millions_of_values_are_refused() {
        // vec null with 100,000,000 elements, as an extra argument and where paths are expected
        let bomb = b"DIDL\x01\x6d\x7f\x01\x00\x80\xc2\xd7\x2f";
        assert_eq!(decode::<Paths>(bomb), Err(Refused));
        let extra = b"DIDL\x02\x6c\x02\x88\xdf\xf5\xdb\x0b\x79\x96\xd5\xf2\xba\x08\x6e\x78\x6d\x7f\x02\x00\x01";
        let extra = [&extra[..], &[1, 0, 0, 0, 0, 0x80, 0xc2, 0xd7, 0x2f]].concat();
        assert_eq!(decode::<PageArgs<u64>>(&extra), Err(Refused));
        let many = Encode!(&vec![Reserved; 1_000_000]).unwrap();
        assert_eq!(decode::<Paths>(&many), Err(Refused));
    }

    #[test]
    fn what_is_not_the_candid_of_the_argument_is_refused() {
        for bytes in [
            &b""[..],
            b"DIDL",
            b"DIDL\x00\x00",
            b"DIDL\x00\x01\x71\x01a",
            b"not candid at all",
        ] {
            assert_eq!(
                decode::<OrganisationProfile>(bytes),
                Err(Refused),
                "{bytes:?}"
            );
        }
        let good = Encode!(&PageArgs::<u64> {
            after: None,
            limit: 1
        })
        .unwrap();
        assert_eq!(
            decode::<PageArgs<u64>>(&[&good[..], &[0]].concat()),
            Err(Refused)
        );
        assert_eq!(
            decode::<PageArgs<u64>>(&good[..good.len() - 1]),
            Err(Refused)
        );
    }

    #[test]
    fn every_truncation_of_an_argument_is_refused() {
        let good = Encode!(&CancelArgs {
            id: 1,
            reason: "no longer needed".into()
        })
        .unwrap();
        for length in 0..good.len() {
            assert_eq!(
                decode::<CancelArgs>(&good[..length]),
                Err(Refused),
                "{length}"
            );
        }
    }
}
