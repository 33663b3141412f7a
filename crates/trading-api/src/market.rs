//! The market data routes.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::dataset::{Bar, SOURCE, Source, between};
use crate::day::Day;
use crate::decimal::{Adjusted, Percent, Price};
use crate::problem::{Problem, echo};
use crate::quote::Quote;

/// The only length of bar that the dataset has.
const TIMEFRAME: &str = "1d";
/// Most bars in one answer, and the default of `limit`; every symbol's whole history fits.
const BARS_MAX: usize = 5_000;

/// Where the numbers of an answer come from; part of every answer that has numbers.
#[derive(Serialize)]
pub(crate) struct Origin {
    source: Source,
    /// Whether the market moves these numbers now. It does not.
    live: bool,
    /// Whether any of these numbers is made up. None is.
    simulated: bool,
    /// The day of the newest bar used.
    as_of: Option<Day>,
}

impl Origin {
    fn recorded(as_of: Option<Day>) -> Self {
        Self { source: SOURCE, live: false, simulated: false, as_of }
    }
}

#[derive(Serialize)]
pub(crate) struct Enveloped<T> {
    success: bool,
    data: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QuoteView {
    symbol: String,
    current_price: Price,
    change: Option<Price>,
    change_percent: Option<Percent>,
    volume: u64,
    /// The dataset does not have it.
    market_cap: Option<Price>,
    timeframe: &'static str,
    last_updated: Day,
    open: Price,
    high: Price,
    low: Price,
    adj_close: Adjusted,
    previous_close: Option<Price>,
    previous_date: Option<Day>,
    #[serde(flatten)]
    origin: Origin,
}

#[derive(Deserialize)]
pub(crate) struct QuoteQuery {
    timeframe: Option<String>,
    as_of: Option<String>,
}

/// `GET /api/trading/market/{symbol}?timeframe=1d&as_of=YYYY-MM-DD`
pub(crate) async fn quote(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<QuoteQuery>, QueryRejection>,
) -> Result<Json<Enveloped<QuoteView>>, Problem> {
    let (symbol, bars) = bars_of(&app, path)?;
    let Query(query) = query.map_err(|error| bad_query(&error))?;
    if let Some(asked) = query.timeframe.filter(|it| !it.eq_ignore_ascii_case(TIMEFRAME)) {
        return Err(bad_parameter("timeframe", &asked, "1d, the dataset has daily bars only"));
    }
    let as_of = day("as_of", query.as_of.as_deref())?;
    let Some(Quote { bar, change }) = Quote::at(bars, as_of) else {
        let first = bars.first().map(|bar| bar.date);
        let detail = format!("{symbol} was not yet traded then, or is not recorded");
        return Err(Problem::new(StatusCode::NOT_FOUND, "no_data", detail)
            .with("first_date", first.map(|day| day.to_string())));
    };
    let data = QuoteView {
        symbol,
        current_price: bar.close,
        change: change.map(|change| change.amount),
        change_percent: change.map(|change| change.percent),
        volume: bar.volume,
        market_cap: None,
        timeframe: TIMEFRAME,
        last_updated: bar.date,
        open: bar.open,
        high: bar.high,
        low: bar.low,
        adj_close: bar.adj_close,
        previous_close: change.map(|change| change.previous_close),
        previous_date: change.map(|change| change.previous_date),
        origin: Origin::recorded(Some(bar.date)),
    };
    Ok(Json(Enveloped { success: true, data }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HistoryView {
    success: bool,
    symbol: String,
    timeframe: &'static str,
    /// Oldest first.
    data: Vec<Bar>,
    /// How many bars `data` has, and how many the range has.
    count: usize,
    total: usize,
    /// Ask again from this day for the rest; null when this is all.
    next_start: Option<Day>,
    #[serde(flatten)]
    origin: Origin,
}

#[derive(Deserialize)]
pub(crate) struct HistoryQuery {
    start: Option<String>,
    end: Option<String>,
    limit: Option<String>,
}

/// `GET /api/market/historical/{symbol}?start=YYYY-MM-DD&end=YYYY-MM-DD&limit=N`
pub(crate) async fn history(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Json<HistoryView>, Problem> {
    let (symbol, bars) = bars_of(&app, path)?;
    let Query(query) = query.map_err(|error| bad_query(&error))?;
    let start = day("start", query.start.as_deref())?;
    let end = day("end", query.end.as_deref())?;
    if let (Some(start), Some(end)) = (start, end)
        && start > end
    {
        let expected = format!("a day not before start, which is {start}");
        return Err(bad_parameter("end", &end.to_string(), &expected));
    }
    let limit = limit(query.limit.as_deref())?;
    let range = between(bars, start, end);
    let (page, rest) = range.split_at(limit.min(range.len()));
    Ok(Json(HistoryView {
        success: true,
        symbol,
        timeframe: TIMEFRAME,
        data: page.to_vec(),
        count: page.len(),
        total: range.len(),
        next_start: rest.first().map(|bar| bar.date),
        origin: Origin::recorded(page.last().map(|bar| bar.date)),
    }))
}

/// The bars of the symbol in the path, and its name as the dataset writes it.
fn bars_of(
    app: &App,
    path: Result<Path<String>, PathRejection>,
) -> Result<(String, &[Bar]), Problem> {
    let Path(written) =
        path.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "bad_path", error.body_text()))?;
    let symbol = written.to_ascii_uppercase();
    match app.data.bars(&symbol) {
        Some(bars) => Ok((symbol, bars)),
        None => {
            let detail = format!("the dataset has no symbol {:?}", echo(&written));
            Err(Problem::new(StatusCode::NOT_FOUND, "unknown_symbol", detail)
                .with("known_symbols", app.data.symbols()))
        }
    }
}

fn day(parameter: &'static str, written: Option<&str>) -> Result<Option<Day>, Problem> {
    written
        .map(|text| {
            Day::parse(text).ok_or_else(|| {
                bad_parameter(parameter, text, "a day that exists, written YYYY-MM-DD")
            })
        })
        .transpose()
}

fn limit(written: Option<&str>) -> Result<usize, Problem> {
    let Some(text) = written else { return Ok(BARS_MAX) };
    text.parse()
        .ok()
        .filter(|limit| (1..=BARS_MAX).contains(limit))
        .ok_or_else(|| bad_parameter("limit", text, &format!("a number from 1 to {BARS_MAX}")))
}

fn bad_parameter(parameter: &'static str, written: &str, expected: &str) -> Problem {
    let detail = format!("{parameter} is {:?}; expected {expected}", echo(written));
    Problem::new(StatusCode::BAD_REQUEST, "bad_parameter", detail).with("parameter", parameter)
}

fn bad_query(error: &QueryRejection) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_query", error.body_text())
}
