//! The token that opens a door: how it is made and where it is kept.

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aes_gcm::aead::OsRng;
use aes_gcm::aead::rand_core::RngCore;
use huiliu_sdk::{Error, ErrorKind, Result};

/// Bytes of randomness in a token.
const TOKEN_BYTES: usize = 32;

/// A new token: 32 bytes from the operating system's random source, in hexadecimal.
pub fn make() -> String {
    let mut bytes = [0_u8; TOKEN_BYTES];
    OsRng.fill_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads the token in the file `path`; when there is no such file, makes it with a new token that
/// only its owner can read.
///
/// Two processes that do this at once end up with the same token.
pub fn load_or_create(path: &Path) -> Result<String> {
    if let Some(token) = load(path)? {
        return Ok(token);
    }
    let token = make();
    if create(path, &token)? {
        return Ok(token);
    }
    load(path)?.ok_or_else(|| {
        Error::new(
            ErrorKind::Conflict,
            "E-TOKEN",
            format!("the token file {} appeared and vanished", path.display()),
        )
        .hint("run it again")
    })
}

fn load(path: &Path) -> Result<Option<String>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(file_error("read", path, e)),
    };
    let mode =
        std::fs::metadata(path).map_err(|e| file_error("read", path, e))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Error::new(
            ErrorKind::Permission,
            "E-TOKEN",
            format!("the token file {} can be read by others", path.display()),
        )
        .hint("`chmod 600` it, or delete it and a new token will be made"));
    }
    let token = text.trim();
    if token.len() < TOKEN_BYTES || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::new(
            ErrorKind::Config,
            "E-TOKEN",
            format!("the token file {} holds no usable token", path.display()),
        )
        .hint("delete it and a new token will be made"));
    }
    Ok(Some(token.to_owned()))
}

/// Writes a whole file beside `path` and links it there, so that nobody ever sees half a token and
/// a token that is already there stays. False when there was one.
fn create(path: &Path, token: &str) -> Result<bool> {
    let failed = |e| file_error("make", path, e);
    let folder = path.parent().unwrap_or(Path::new("."));
    let draft = folder.join(format!(".token-{}", &make()[..16]));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .map_err(failed)?;
    let written = file
        .write_all(format!("{token}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&draft, path));
    std::fs::remove_file(&draft).map_err(failed)?;
    match written {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(failed(e)),
    }
}

fn file_error(action: &str, path: &Path, error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Permission,
        "E-TOKEN",
        format!("could not {action} the token file {}", path.display()),
    )
    .hint("check the folder and who owns it")
    .cause(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_64_hexadecimal_digits_and_differ() {
        let token = make();
        assert_eq!(token.len(), 64);
        assert!(token.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(token, make());
    }

    #[test]
    fn the_file_is_made_once_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = load_or_create(&path).unwrap();
        assert_eq!(load_or_create(&path).unwrap(), token);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
        assert!(!create(&path, "another").unwrap(), "a token that is there stays");
        assert_eq!(load_or_create(&path).unwrap(), token);
    }

    #[test]
    fn a_token_others_can_read_or_that_is_too_short_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        load_or_create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(load_or_create(&path).unwrap_err().kind(), ErrorKind::Permission);
        std::fs::write(&path, "short\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(load_or_create(&path).unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn threads_that_create_at_once_agree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let tokens: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| load_or_create(&path).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(tokens.len(), 1);
    }
}
