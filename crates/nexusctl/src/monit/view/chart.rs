//! A row of bars: the past of one figure. What is not known is a gap, not zero.

/// The bars of `rows` lines of `columns` columns, the uppermost line first. Values are spread over
/// the columns, the greatest of those that share a column counts: a short peak must be seen. `top`
/// is the value of a full column.
pub(super) fn chart(
    values: &[Option<f64>],
    columns: usize,
    rows: usize,
    top: f64,
    ascii: bool,
) -> Vec<String> {
    let marks: &[char] = if ascii {
        &[' ', '.', ':', '-', '=', '+', '*', '#']
    } else {
        &[' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
    };
    let steps = marks.len() - 1;
    let spread = spread(values, columns);
    let filled: Vec<Option<usize>> =
        spread.iter().map(|value| value.map(|value| level(value, top, steps * rows))).collect();
    let line = |row: usize| {
        let below = (rows - 1 - row) * steps;
        let mark = |filled: &Option<usize>| {
            let filled = filled.map_or(0, |filled| filled.saturating_sub(below).min(steps));
            marks.get(filled).copied().unwrap_or(' ')
        };
        filled.iter().map(mark).collect::<String>()
    };
    (0..rows).map(line).collect()
}

/// The greatest value of each column; the youngest at the right.
fn spread(values: &[Option<f64>], columns: usize) -> Vec<Option<f64>> {
    let greatest = |part: &[Option<f64>]| part.iter().flatten().copied().reduce(f64::max);
    (0..columns)
        .map(|column| {
            let from = column * values.len() / columns;
            let to = ((column + 1) * values.len()).div_ceil(columns);
            greatest(values.get(from..to).unwrap_or_default())
        })
        .collect()
}

/// How many steps are filled: at least one of what is known, so that it differs from a gap.
fn level(value: f64, top: f64, steps: usize) -> usize {
    if top <= 0.0 {
        return 1;
    }
    let part = (value / top).clamp(0.0, 1.0);
    ((part * steps as f64).round() as usize).clamp(1, steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_seen_and_a_gap_is_blank() {
        let values: Vec<Option<f64>> =
            [0.0, 0.0, 100.0, 0.0, 50.0, 50.0].into_iter().map(Some).chain([None, None]).collect();
        assert_eq!(chart(&values, 4, 1, 100.0, false), ["▁█▄ "]);
        assert_eq!(chart(&values, 4, 2, 100.0, true), [" #  ", ".## "]);
        assert_eq!(chart(&values, 8, 1, 0.0, true), ["......  "]);
        assert_eq!(chart(&[], 3, 1, 1.0, false), ["   "]);
        assert_eq!(chart(&[Some(1.0)], 3, 1, 1.0, false), ["███"]);
    }
}
