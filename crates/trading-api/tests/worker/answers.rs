//! What each route says.

use serde_json::{Value, json};

use crate::client::Answer;
use crate::program::Program;

fn is_problem(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let document = answer.json();
    assert_eq!(document["status"], status);
    assert_eq!(document["code"], code);
    assert!(document["title"].is_string() && document["detail"].is_string(), "{document}");
    document
}

#[test]
fn health_tells_which_worker_answered() {
    let program = Program::start(&[("NEXUS_INSTANCE", "2"), ("ENVIRONMENT", "test")]);
    let mut client = program.client();
    let health = client.get("/api/health").json();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["worker"], program.pid());
    assert_eq!(health["instance"], 2);
    assert_eq!(health["environment"], "test");
    assert_eq!(health["port"], program.address().port());
    assert_eq!(health["bars"], 12_154);
    assert!(health["memory"]["rss"].as_u64() > Some(100_000), "{health}");
    assert!(health["uptime"].as_f64() > Some(0.0));
    assert!(health["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(client.get("/live").json(), json!({ "status": "alive" }));
    assert_eq!(client.get("/ready").json(), json!({ "status": "ready" }));
}

#[test]
fn a_quote_is_the_last_recorded_close_and_says_so() {
    let program = Program::start(&[]);
    let answer = program.client().get("/api/trading/market/aapl?timeframe=1D");
    assert_eq!(answer.status, 200);
    let quote = answer.json();
    assert_eq!(quote["success"], true);
    let data = &quote["data"];
    assert_eq!(data["symbol"], "AAPL");
    assert_eq!(data["marketCap"], Value::Null);
    assert_eq!(data["timeframe"], "1d");
    for date in ["as_of", "lastUpdated"] {
        assert_eq!(data[date], "2013-03-01");
    }
    assert_eq!((&data["live"], &data["simulated"]), (&json!(false), &json!(false)));
    assert!(data["source"]["attribution"].as_str().unwrap().contains("Quandl"));
    // Digit by digit, not by way of a float.
    assert!(answer.body.contains("\"currentPrice\":430.47,"), "{}", answer.body);
}

#[test]
fn splits_are_not_falls_but_falls_are() {
    let program = Program::start(&[]);
    let mut client = program.client();
    for (day, change, percent) in [
        ("2000-06-21", "5.005", "9.8864"),
        ("2005-02-28", "0.365", "0.8203"),
        ("2000-09-29", "-27.75", "-51.8692"),
    ] {
        let answer = client.get(&format!("/api/trading/market/AAPL?as_of={day}"));
        let said = format!("\"change\":{change},\"changePercent\":{percent},");
        assert!(answer.body.contains(&said), "{day}: {}", answer.body);
        assert!(answer.body.contains(&format!("\"as_of\":\"{day}\"")));
    }
}

#[test]
fn history_is_oldest_first_and_comes_in_pages() {
    let program = Program::start(&[]);
    let mut client = program.client();
    let path = "/api/market/historical/FB?start=2012-05-18&end=2012-05-31&limit=3";
    let page = client.get(path).json();
    let dates: Vec<_> = page["data"].as_array().unwrap().iter().map(|bar| &bar["date"]).collect();
    assert_eq!(dates, ["2012-05-18", "2012-05-21", "2012-05-22"]);
    assert_eq!((&page["count"], &page["total"]), (&json!(3), &json!(9)));
    assert_eq!(page["nextStart"], "2012-05-23");
    assert_eq!(page["as_of"], "2012-05-22");
    assert_eq!((&page["live"], &page["simulated"]), (&json!(false), &json!(false)));
    for key in ["open", "high", "low", "close", "adjClose", "volume"] {
        assert!(page["data"][0][key].is_number(), "{key}");
    }
    let all = client.get("/api/market/historical/IBM").json();
    assert_eq!((&all["count"], &all["nextStart"]), (&json!(3_270), &Value::Null));
    let none = client.get("/api/market/historical/IBM?start=2020-01-01").json();
    assert_eq!((&none["data"], &none["as_of"]), (&json!([]), &Value::Null));
}

#[test]
fn what_is_not_known_is_a_problem_and_never_a_price() {
    let program = Program::start(&[]);
    let mut client = program.client();
    for path in ["/api/trading/market/TSLA", "/api/market/historical/BTC%2FUSD"] {
        let document = is_problem(&client.get(path), 404, "unknown_symbol");
        assert_eq!(document["known_symbols"], json!(["AAPL", "FB", "GOOG", "IBM", "MSFT"]));
    }
    is_problem(&client.get("/api/trading/market/FB?as_of=2012-05-17"), 404, "no_data");
    let document = is_problem(&client.get("/api/nothing"), 404, "unknown_route");
    assert_eq!(document["routes"].as_array().unwrap().len(), 5);
    for query in ["start=2012-02-30", "end=01/02/2012", "limit=0", "limit=5001", "limit=x"] {
        let answer = client.get(&format!("/api/market/historical/IBM?{query}"));
        let document = is_problem(&answer, 400, "bad_parameter");
        assert!(query.starts_with(document["parameter"].as_str().unwrap()));
    }
    let backwards = "/api/market/historical/IBM?start=2012-02-02&end=2012-02-01";
    is_problem(&client.get(backwards), 400, "bad_parameter");
    is_problem(&client.get("/api/trading/market/IBM?timeframe=5m"), 400, "bad_parameter");
    is_problem(&client.get("/api/trading/market/%FF"), 400, "bad_path");
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let program = Program::start(&[]);
    let mut client = program.client();
    client.send("DELETE /live HTTP/1.1\r\nHost: test\r\n\r\n");
    let answer = client.answer();
    is_problem(&answer, 405, "wrong_method");
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
}

#[test]
fn every_line_of_the_log_is_a_json_object() {
    let mut program = Program::start(&[]);
    let mut client = program.client();
    client.send("GET /live HTTP/1.1\r\nHost: test\r\nX-Request-Id: abc-1\r\n\r\n");
    assert_eq!(client.answer().header("x-request-id"), Some("abc-1"));
    client.send("GET /x%22y HTTP/1.1\r\nHost: test\r\nX-Request-Id: a b\r\n\r\n");
    let own = client.answer().header("x-request-id").unwrap().to_owned();
    assert_eq!(own, format!("{}-2", program.pid()));
    drop(client);
    program.ask_to_stop("-INT");
    let (status, lines) = program.ended();
    assert!(status.success(), "{status}");
    let requests: Vec<_> = lines.iter().filter(|line| line["message"] == "request").collect();
    assert_eq!(requests.len(), 2, "{lines:?}");
    assert_eq!(requests[0]["request_id"], "abc-1");
    assert_eq!((&requests[0]["method"], &requests[0]["path"]), (&json!("GET"), &json!("/live")));
    assert_eq!((&requests[1]["status"], &requests[1]["request_id"]), (&json!(404), &json!(own)));
    assert!(requests.iter().all(|line| line["duration_us"].is_u64()));
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["level"] == "INFO"));
}

#[test]
fn the_access_log_can_be_left_out() {
    let mut program = Program::start(&[("ACCESS_LOG", "off"), ("LOG_LEVEL", "debug")]);
    assert_eq!(program.client().get("/live").status, 200);
    program.ask_to_stop("-TERM");
    let (_, lines) = program.ended();
    assert!(!lines.is_empty() && lines.iter().all(|line| line["message"] != "request"));
}
