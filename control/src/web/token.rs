//! The secret that actions need.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::secret::Secret;

/// What cannot be guessed.
const LEAST_OCTETS: usize = 16;
/// A header that holds more is refused anyway.
const MOST_OCTETS: u64 = 1024;
/// Reading by others, and writing by anybody else.
const FORBIDDEN_MODE: u32 = 0o026;

/// Why a token cannot be taken from its file.
#[derive(Debug)]
pub enum TokenError {
    Io(PathBuf, io::Error),
    /// Others may read it, or write it; with the file's mode.
    Open(PathBuf, u32),
    /// It is too short, or holds what a header cannot.
    Unfit(PathBuf),
}

impl fmt::Display for TokenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(
                formatter,
                "{}: the token cannot be read: {error}; write one into the file, or take `token-file` away",
                path.display()
            ),
            Self::Open(path, mode) => write!(
                formatter,
                "{}: others may read or change the token (mode {mode:03o}); `chmod 600` the file, and change the token",
                path.display()
            ),
            Self::Unfit(path) => write!(
                formatter,
                "{}: this is no token; write {LEAST_OCTETS} to {MOST_OCTETS} letters, digits and signs of ASCII, as `openssl rand -hex 32` gives them",
                path.display()
            ),
        }
    }
}

impl std::error::Error for TokenError {}

/// Reads a token: the file's text without the white space around it.
///
/// # Errors
/// When the file cannot be read, others may read it, or its text is unfit.
pub(super) fn read(path: &Path) -> Result<Secret, TokenError> {
    let failed = |error| TokenError::Io(path.to_owned(), error);
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & FORBIDDEN_MODE != 0 {
        return Err(TokenError::Open(path.to_owned(), mode));
    }
    let mut octets = Vec::new();
    // One more than may be, and room for an end of line.
    let most = MOST_OCTETS + 3;
    file.take(most).read_to_end(&mut octets).map_err(failed)?;
    let unfit = || TokenError::Unfit(path.to_owned());
    let text = String::from_utf8(octets).map_err(|_| unfit())?;
    let token = text.trim();
    let length = LEAST_OCTETS..=MOST_OCTETS as usize;
    if !length.contains(&token.len()) || !token.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Err(unfit());
    }
    Ok(Secret::from(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    #[test]
    fn a_token_is_long_and_for_its_owner() {
        let path = std::env::temp_dir().join(format!("hal2tp-token-{}", std::process::id()));
        let taken = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            read(&path)
        };
        let long = "a".repeat(1024);
        for good in ["0123456789abcdef", "0123456789abcdef\n", &long] {
            for mode in [0o600, 0o400, 0o640] {
                assert_eq!(taken(good, mode).unwrap(), Secret::from(good.trim()));
            }
        }
        for bad in [
            "",
            "0123456789abcde\n",
            "0123456789 abcdef",
            "0123456789abcdeü",
            &(long + "a"),
        ] {
            assert!(
                matches!(taken(bad, 0o600), Err(TokenError::Unfit(_))),
                "{bad:?}"
            );
        }
        for mode in [0o644, 0o620, 0o602] {
            let error = taken("0123456789abcdef", mode).unwrap_err();
            assert!(
                error.to_string().contains(&format!("mode {mode:o}")),
                "{error}"
            );
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(read(&path), Err(TokenError::Io(..))));
    }
}
