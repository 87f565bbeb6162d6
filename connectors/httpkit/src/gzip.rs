//! Compressed bodies, within the same limit as others.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

/// Why a body could not be expanded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    /// It ends before its end.
    Cut,
    /// It is larger than the limit.
    TooLarge,
}

/// Expands a gzip body of at most `limit` bytes; no more than that is ever held.
pub(crate) fn expand(body: &[u8], limit: u64) -> Result<Bytes, Bad> {
    let mut expanded = Vec::new();
    // A damaged body reads like a cut one: what arrived is not what was sent.
    MultiGzDecoder::new(body)
        .take(limit.saturating_add(1))
        .read_to_end(&mut expanded)
        .map_err(|_| Bad::Cut)?;
    if expanded.len() as u64 > limit {
        return Err(Bad::TooLarge);
    }
    Ok(expanded.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(body: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(body).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn a_bomb_stops_at_the_limit_and_a_cut_body_is_no_body() {
        let bomb = packed(&vec![0; 50 << 20]);
        assert!(bomb.len() < 100_000);
        assert_eq!(expand(&bomb, 1 << 20), Err(Bad::TooLarge));
        let good = packed(b"{}");
        assert_eq!(expand(&good, 2), Ok(Bytes::from_static(b"{}")));
        assert_eq!(expand(&good, 1), Err(Bad::TooLarge));
        assert_eq!(expand(&good[..good.len() - 3], 10), Err(Bad::Cut));
        assert_eq!(expand(b"{}", 10), Err(Bad::Cut));
    }
}
