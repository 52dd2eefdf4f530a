//! The words behind the `?` of a request.

use hyper::StatusCode;

use super::answer::Refusal;

/// Each word once, as it was written.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query that may have these words.
    ///
    /// # Errors
    /// When another word stands there, or one stands there twice.
    pub(super) fn parse(text: Option<&str>, known: &[&str]) -> Result<Self, Refusal> {
        let mut words: Vec<(String, String)> = Vec::new();
        for (word, value) in form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            if !known.contains(&word.as_ref()) {
                let known = match known {
                    [] => "none".to_owned(),
                    known => known.join(", "),
                };
                return Err(bad(format!("{word:?} is unknown; there are: {known}")));
            }
            if words.iter().any(|(other, _)| *other == word) {
                return Err(bad(format!("{word:?} stands there twice")));
            }
            words.push((word.into_owned(), value.into_owned()));
        }
        Ok(Self(words))
    }

    pub(super) fn text(&self, word: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other == word);
        found.map(|(_, value)| value.as_str())
    }

    /// A whole number up to `most`.
    ///
    /// # Errors
    /// When it is something else.
    pub(super) fn number(&self, word: &str, most: usize) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.text(word) else {
            return Ok(None);
        };
        let is_digits = text.bytes().all(|octet| octet.is_ascii_digit());
        let number = text
            .parse()
            .ok()
            .filter(|&it: &usize| is_digits && it <= most);
        number
            .map(Some)
            .ok_or_else(|| bad(format!("{word:?} is a whole number from 0 to {most}")))
    }
}

fn bad(text: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_strange_ones_refused() {
        let read = |text| Query::parse(Some(text), &["graph", "most"]);
        let query = read("most=10&graph=set%2FA%2F192.0.2.1").unwrap();
        assert_eq!(query.text("graph"), Some("set/A/192.0.2.1"));
        assert_eq!(query.number("most", 10).unwrap(), Some(10));
        assert!(query.number("most", 9).is_err());
        assert_eq!(Query::parse(None, &[]).unwrap().text("most"), None);
        for bad in ["mots=1", "most=1&most=2", "=1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        for bad in [
            "most=",
            "most=-1",
            "most=+1",
            "most=1e3",
            "most=99999999999999999999999",
        ] {
            assert!(read(bad).unwrap().number("most", 1000).is_err(), "{bad}");
        }
    }
}
