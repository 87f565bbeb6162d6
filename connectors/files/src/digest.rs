//! Digests of what is read, by the algorithm a sender uses.

use std::io::{Read, Seek, SeekFrom};

use huiliu_sdk::{Cx, Result};
use sha2::digest::DynDigest;

use crate::config::Algorithm;
use crate::encoding::read_some;
use crate::fault::broken;
use crate::ledger::Fingerprint;

const BUFFER_BYTES: usize = 256 << 10;

impl Algorithm {
    /// The name as it is written in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sm3 => "sm3",
        }
    }

    /// How many hexadecimal digits its digests have.
    pub(crate) fn digits(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha1 => 40,
            Self::Sha256 | Self::Sm3 => 64,
        }
    }

    fn hasher(self) -> Box<dyn DynDigest> {
        match self {
            Self::Md5 => Box::new(md5::Md5::default()),
            Self::Sha1 => Box::new(sha1::Sha1::default()),
            Self::Sha256 => Box::new(sha2::Sha256::default()),
            Self::Sm3 => Box::new(sm3::Sm3::default()),
        }
    }
}

/// What a file holds, with its digest by `also` if that is another one.
pub(crate) fn fingerprint(
    mut file: impl Read + Seek,
    name: &str,
    also: Option<Algorithm>,
    cx: &Cx,
) -> Result<(Fingerprint, String)> {
    let failed = |cause| broken(name, cause);
    let mut main = Algorithm::Sha256.hasher();
    let mut other = also.filter(|also| *also != Algorithm::Sha256).map(Algorithm::hasher);
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut size = 0;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    loop {
        cx.check()?;
        let read = read_some(&mut file, &mut buffer).map_err(failed)?;
        if read == 0 {
            break;
        }
        main.update(&buffer[..read]);
        if let Some(other) = &mut other {
            other.update(&buffer[..read]);
        }
        size += read as u64;
    }
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let sha256 = hex(main);
    let asked = other.map_or_else(|| sha256.clone(), hex);
    Ok((Fingerprint { size, sha256 }, asked))
}

fn hex(hasher: Box<dyn DynDigest>) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn every_algorithm_gives_its_known_digest() {
        for (algorithm, expected) in [
            (Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Algorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Algorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (Algorithm::Sm3, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
        ] {
            let (found, asked) =
                fingerprint(Cursor::new(b"abc"), "a", Some(algorithm), &Cx::new()).unwrap();
            assert_eq!((asked.as_str(), asked.len()), (expected, algorithm.digits()));
            assert_eq!(found.size, 3);
        }
    }
}
