//! Who may log in, found by name: there may be tens of thousands.

use std::ops::Deref;
use std::sync::Arc;

use super::Login;

/// The logins of a server, in the order of the configuration. Copies share them.
#[derive(Debug, Clone)]
pub struct Logins {
    logins: Arc<[Login]>,
    /// The places of all logins, in the order of their names.
    by_name: Arc<[usize]>,
}

impl Logins {
    /// Those with this name, with their places, in their order.
    pub(super) fn named(&self, name: &[u8]) -> impl Iterator<Item = (usize, &Login)> {
        let name_at = |place: usize| self.logins[place].username.as_bytes();
        let first = self.by_name.partition_point(|&place| name_at(place) < name);
        let named = self.by_name[first..].iter().copied();
        let named = named.map(|place| (place, &self.logins[place]));
        named.take_while(move |(_, login)| login.username.as_bytes() == name)
    }
}

impl FromIterator<Login> for Logins {
    fn from_iter<I: IntoIterator<Item = Login>>(logins: I) -> Self {
        let logins: Arc<[Login]> = logins.into_iter().collect();
        let mut by_name: Vec<usize> = (0..logins.len()).collect();
        // Stable: those of one name stay in their order.
        by_name.sort_by(|&one, &other| logins[one].username.cmp(&logins[other].username));
        Self {
            logins,
            by_name: by_name.into(),
        }
    }
}

impl<const N: usize> From<[Login; N]> for Logins {
    fn from(logins: [Login; N]) -> Self {
        logins.into_iter().collect()
    }
}

impl Deref for Logins {
    type Target = [Login];

    fn deref(&self) -> &[Login] {
        &self.logins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_a_name_are_found_in_their_order() {
        let names = ["b", "", "a", "b", "ab", "b"];
        let logins: Logins = names
            .iter()
            .map(|name| Login {
                username: (*name).to_owned(),
                password: "secret".into(),
                remote_ip: [10, 0, 0, 1].into(),
            })
            .collect();
        for name in ["", "a", "ab", "b", "c", "B"] {
            let places: Vec<usize> = logins.named(name.as_bytes()).map(|(at, _)| at).collect();
            let expected: Vec<usize> = (0..names.len()).filter(|&at| names[at] == name).collect();
            assert_eq!(places, expected, "{name}");
        }
    }
}
