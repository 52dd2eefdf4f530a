//! A password or tunnel secret that never shows.
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use subtle::ConstantTimeEq;

/// What stands in the place of a secret wherever one would be shown.
const MASK: &str = "***";

/// A secret, taken verbatim from the configuration.
///
/// `Debug`, `Display` and `Serialize` print `***`, so that no log line or
/// status page can carry it. Comparison takes the same time wherever the two
/// differ (the length is not hidden).
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The octets of the secret, for the protocols that need them.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self(secret.to_owned())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_shows_and_compares() {
        let secret: Secret = serde_json::from_str("\"hush \\n\"").unwrap();
        assert_eq!(secret.as_bytes(), b"hush \n");
        let shown = format!(
            "{secret:?} {secret:#?} {secret} {}",
            serde_json::to_string(&secret).unwrap()
        );
        assert_eq!(shown, "*** *** *** \"***\"");
        assert_eq!(secret, Secret::from("hush \n"));
        assert_ne!(secret, Secret::from("hush"));
        assert_ne!(secret, Secret::from("hush x"));
    }
}
