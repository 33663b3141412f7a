//! What a symbol was worth at the close of a day, and how much that was up or down.

use crate::dataset::Bar;
use crate::day::Day;
use crate::decimal::{Percent, Price, ratio};

/// A bar, and the change since the trading day before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quote {
    pub(crate) bar: Bar,
    /// `None` on a symbol's first day.
    pub(crate) change: Option<Change>,
}

/// The change since the close before, free of splits and dividends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    /// The close before in today's shares: the one that a 2:1 split halves.
    pub(crate) previous_close: Price,
    pub(crate) previous_date: Day,
    /// Today's close less `previous_close`.
    pub(crate) amount: Price,
    pub(crate) percent: Percent,
}

impl Quote {
    /// The last close on or before `as_of` (`None` = the last there is); `None` if the symbol was
    /// not traded by then.
    pub(crate) fn at(bars: &[Bar], as_of: Option<Day>) -> Option<Self> {
        let end = as_of.map_or(bars.len(), |day| bars.partition_point(|bar| bar.date <= day));
        let (bar, earlier) = bars.get(..end)?.split_last()?;
        Some(Self { bar: *bar, change: earlier.last().and_then(|before| change(before, bar)) })
    }
}

/// Prices as traded jump at a split, so the two days are compared by their adjusted closes: their
/// ratio is the real one.
fn change(before: &Bar, today: &Bar) -> Option<Change> {
    const HUNDRED_PERCENT: i64 = 1_000_000;
    let (was, is) = (before.adj_close.units(), today.adj_close.units());
    let previous = ratio(today.close.units(), was, is)?;
    Some(Change {
        previous_close: Price::from_units(previous),
        previous_date: before.date,
        amount: Price::from_units(today.close.units().checked_sub(previous)?),
        percent: Percent::from_units(ratio(HUNDRED_PERCENT, is.checked_sub(was)?, was)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Dataset;

    fn on(symbol: &str, date: &str) -> Option<Quote> {
        let data = Dataset::load().unwrap();
        Quote::at(data.bars(symbol).unwrap(), Some(Day::parse(date).unwrap()))
    }

    fn told(symbol: &str, date: &str) -> [String; 4] {
        let quote = on(symbol, date).unwrap();
        let change = quote.change.unwrap();
        [
            quote.bar.close.to_string(),
            change.previous_close.to_string(),
            change.amount.to_string(),
            change.percent.to_string(),
        ]
    }

    #[test]
    fn a_split_is_not_a_fall() {
        assert_eq!(told("AAPL", "2000-06-21"), ["55.63", "50.625", "5.005", "9.8864"]);
        assert_eq!(told("AAPL", "2005-02-28"), ["44.86", "44.495", "0.365", "0.8203"]);
    }

    #[test]
    fn a_fall_is_a_fall() {
        assert_eq!(told("AAPL", "2000-09-29"), ["25.75", "53.5", "-27.75", "-51.8692"]);
    }

    #[test]
    fn a_day_without_trade_shows_the_close_before_it() {
        let saturday = on("IBM", "2000-03-04").unwrap();
        assert_eq!(saturday.bar.date, Day::parse("2000-03-03").unwrap());
    }

    #[test]
    fn nothing_is_known_before_the_first_day_and_no_change_on_it() {
        assert!(on("FB", "2012-05-17").is_none());
        assert!(on("FB", "2012-05-18").unwrap().change.is_none());
        assert!(Quote::at(&[], None).is_none());
    }
}
