//! Cells of what was measured once or several times.

use benches::figure::Figure;
use benches::report::Cell;

/// Of something counted in each round.
///
/// # Panics
/// When there is none.
pub(super) fn counted(values: &[u64]) -> Cell {
    match values {
        [only] => Cell::Count(*only),
        several => {
            let values: Vec<f64> = several.iter().map(|value| *value as f64).collect();
            Cell::Figure(Figure::new(&values))
        }
    }
}

/// Of something measured in each round and direction; a dash when there is none.
pub(super) fn measured(values: &[f64]) -> Cell {
    match values {
        [] => Cell::Text("-".to_owned()),
        values => Cell::Figure(Figure::new(values)),
    }
}
