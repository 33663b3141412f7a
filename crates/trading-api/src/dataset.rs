//! The bundled market data: decoded once at start, then only looked up.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::GzDecoder;
use serde::Serialize;

use crate::day::Day;
use crate::decimal::{Adjusted, Price};

/// Real daily bars; see `data/README.md` for where they come from.
const ARCHIVE: &[u8] = include_bytes!("../data/stocks.csv.gz");
const HEADER: &str = "Ticker,Date,Open,High,Low,Close,Volume,Adj Close";
/// Far above what the archive unpacks to (797,881 bytes).
const TEXT_BYTES_MAX: u64 = 8 * 1_024 * 1_024;

/// What every answer says about the origin of its numbers.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Source {
    pub(crate) dataset: &'static str,
    pub(crate) attribution: &'static str,
    pub(crate) licence: &'static str,
}

pub(crate) const SOURCE: Source = Source {
    dataset: "bokeh_sampledata 2026.1 stocks.csv (daily bars, 2000-03-01 to 2013-03-01)",
    attribution: "Quandl WIKI Prices. Archived copy supplied by marketneutral on Kaggle",
    licence: "public domain",
};

/// One trading day of one symbol: prices as traded, 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bar {
    pub(crate) date: Day,
    pub(crate) open: Price,
    pub(crate) high: Price,
    pub(crate) low: Price,
    pub(crate) close: Price,
    pub(crate) adj_close: Adjusted,
    pub(crate) volume: u64,
}

/// All bars by symbol, oldest first, no day twice, none of them empty.
#[derive(Debug)]
pub(crate) struct Dataset {
    bars: BTreeMap<Box<str>, Box<[Bar]>>,
}

impl Dataset {
    /// # Errors
    /// The archive that was compiled in is not what this program expects: which line, and why.
    pub(crate) fn load() -> Result<Self, String> {
        let mut text = String::new();
        GzDecoder::new(ARCHIVE)
            .take(TEXT_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|error| format!("market data: cannot unpack: {error}"))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) {
            return Err(format!("market data:1: expected the columns {HEADER}"));
        }
        let mut bars: BTreeMap<Box<str>, Vec<Bar>> = BTreeMap::new();
        for (index, line) in lines.enumerate() {
            let flaw = |why: &str| format!("market data:{}: {why}: {line}", index + 2);
            let (symbol, bar) = row(line).ok_or_else(|| flaw("not a row"))?;
            if bar.low > bar.open.min(bar.close) || bar.high < bar.open.max(bar.close) {
                return Err(flaw("a price outside low and high"));
            }
            let of_symbol = bars.entry(symbol.into()).or_default();
            if of_symbol.last().is_some_and(|last| last.date >= bar.date) {
                return Err(flaw("not after the row before"));
            }
            of_symbol.push(bar);
        }
        let bars = bars.into_iter().map(|(symbol, bars)| (symbol, bars.into_boxed_slice()));
        Ok(Self { bars: bars.collect() })
    }

    /// The bars of a symbol, oldest first; `None` if the dataset does not have it.
    pub(crate) fn bars(&self, symbol: &str) -> Option<&[Bar]> {
        self.bars.get(symbol).map(AsRef::as_ref)
    }

    /// Every symbol, in alphabetical order.
    pub(crate) fn symbols(&self) -> Vec<&str> {
        self.bars.keys().map(AsRef::as_ref).collect()
    }

    /// How many bars there are, of all symbols.
    pub(crate) fn len(&self) -> usize {
        self.bars.values().map(|bars| bars.len()).sum()
    }
}

/// The part of `bars` from `start` to `end`, both included; `None` = no bound.
pub(crate) fn between(bars: &[Bar], start: Option<Day>, end: Option<Day>) -> &[Bar] {
    let from = start.map_or(0, |day| bars.partition_point(|bar| bar.date < day));
    let to = end.map_or(bars.len(), |day| bars.partition_point(|bar| bar.date <= day));
    bars.get(from..to).unwrap_or_default()
}

fn row(line: &str) -> Option<(&str, Bar)> {
    let mut fields = line.split(',');
    let symbol = fields.next().filter(|symbol| !symbol.is_empty())?;
    let bar = Bar {
        date: Day::parse(fields.next()?)?,
        open: Price::parse(fields.next()?)?,
        high: Price::parse(fields.next()?)?,
        low: Price::parse(fields.next()?)?,
        close: Price::parse(fields.next()?)?,
        volume: fields.next()?.parse().ok()?,
        adj_close: Adjusted::parse(fields.next()?)?,
    };
    // Both divide something later.
    let positive = bar.close.units() > 0 && bar.adj_close.units() > 0;
    (fields.next().is_none() && positive).then_some((symbol, bar))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_archive_is_the_one_whose_origin_is_recorded() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/data/stocks.csv.gz");
        let sum = Command::new("sha256sum").arg(file).output().unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap();
        assert!(
            sum.starts_with("5abadf99b2d394f920120a27de6f0df129859d71d4cfb0bf661bcc99446ab1fd "),
            "{sum}"
        );
    }

    #[test]
    fn every_row_is_there_exactly() {
        let data = Dataset::load().unwrap();
        assert_eq!(data.symbols(), ["AAPL", "FB", "GOOG", "IBM", "MSFT"]);
        assert_eq!(data.len(), 12_154);
        assert_eq!(data.bars("GOOG").unwrap().len(), 2_148);
        assert!(data.bars("TSLA").is_none());
        let first = &data.bars("AAPL").unwrap()[0];
        assert_eq!(
            serde_json::to_string(first).unwrap(),
            r#"{"date":"2000-03-01","open":118.56,"high":132.06,"low":118.5,"close":130.31,"adjClose":4.186662803811,"volume":9616100}"#
        );
    }

    #[test]
    fn a_range_includes_both_ends_and_may_be_empty() {
        let data = Dataset::load().unwrap();
        let bars = data.bars("FB").unwrap();
        let dates = |start: &str, end: &str| -> Vec<String> {
            between(bars, Day::parse(start), Day::parse(end))
                .iter()
                .map(|bar| bar.date.to_string())
                .collect()
        };
        assert_eq!(dates("2012-05-18", "2012-05-21"), ["2012-05-18", "2012-05-21"]);
        assert_eq!(dates("2012-05-19", "2012-05-20"), [] as [&str; 0]);
        assert_eq!(dates("2014-01-01", "2015-01-01"), [] as [&str; 0]);
        assert_eq!(dates("2013-01-01", "2012-01-01"), [] as [&str; 0]);
        assert_eq!(between(bars, None, None).len(), 196);
    }

    #[test]
    fn a_flaw_is_told_with_its_line() {
        let good = "A,2000-01-03,1,2,1,2,5,2";
        for (rows, why) in [
            ("A,2000-01-03,1,2,1,2,5", "not a row"),
            ("A,2000-01-03,1,2,1,2,5,2,9", "not a row"),
            ("A,2000-01-03,1,2,1,0,5,2", "not a row"),
            ("A,2000-01-03,1,2,1.5,2,5,2", "outside low and high"),
            (&format!("{good}\n{good}"), "not after the row before"),
        ] {
            let error = Dataset::parse(&format!("{HEADER}\n{rows}\n")).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert!(Dataset::parse("").is_err());
    }
}
