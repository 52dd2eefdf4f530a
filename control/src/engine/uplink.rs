//! Those who are asked for an interface's addresses.
use crate::addressing::{Assignment, DelegatedPrefix};
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenBy {
    Configuration,
    Delegation,
}
#[derive(Default)]
pub(super) struct Uplink {}
impl Uplink {
    pub(super) fn assignments(&self) -> impl Iterator<Item = (GivenBy, &Assignment)> {
        std::iter::empty()
    }
    pub(super) fn delegated(&self) -> impl Iterator<Item = &DelegatedPrefix> {
        self.assignments().flat_map(|(_, it)| &it.delegated)
    }
    pub(super) fn far_end(&self) -> Option<[u8; 6]> {
        None
    }
}
