//! What each value alone cannot show: whether the parts of a file fit together.

use super::model::Config;
use super::problem::Problems;
use super::tree::Node;

/// Reports everything that does not fit together.
pub(crate) fn check(_config: &Config, _root: &Node, _problems: &mut Problems<'_>) {}
