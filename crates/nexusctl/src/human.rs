//! Sizes and lengths of time as people read them.

/// Three figures, binary: `96 MiB`, `1.21 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 999.5 would be written as four figures.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = match value {
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    // Below a GiB a fraction says nothing that anybody acts upon.
    let decimals = if unit < 2 && value >= 9.995 { 0 } else { decimals };
    format!("{value:.decimals$} {}", UNITS.get(unit).copied().unwrap_or_default())
}

/// Of one CPU: `38%`, `0.4%`, `250%`.
pub(crate) fn share(percent: f64) -> String {
    // A tenth is shown only where it is all that there is.
    if percent > 0.0 && percent < 0.95 {
        format!("{percent:.1}%")
    } else {
        format!("{percent:.0}%")
    }
}

/// Two units: `812ms`, `41s`, `3m 10s`, `9h 12m`, `2d 4h`.
pub(crate) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match () {
        () if ms < 1000 => format!("{ms}ms"),
        () if seconds < 60 => format!("{seconds}s"),
        () if seconds < 3_600 => format!("{minutes}m {}s", seconds % 60),
        () if seconds < 86_400 => format!("{hours}h {minutes}m"),
        () => format!("{days}d {hours}h"),
    }
}

/// As [`span`], in whole seconds: `0s`, `41s`, `3m 10s`.
pub(crate) fn seconds(ms: u64) -> String {
    if ms < 1000 { "0s".to_owned() } else { span(ms) }
}

/// A length of time that was waited for: `0.4s`, `12.3s`, then as [`span`].
pub(crate) fn waited(ms: u64) -> String {
    if ms < 60_000 { format!("{}.{}s", ms / 1000, ms / 100 % 10) } else { span(ms) }
}

/// One unit, for brackets: `2s`, `9h`.
pub(crate) fn ago(ms: u64) -> String {
    let text = span(ms);
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// `1 instance`, `4 instances`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_figures() {
        let table = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (100_663_296, "96 MiB"),
            (1_299_227_607, "1.21 GiB"),
            (12_992_276_070, "12.1 GiB"),
            (1_047_527_424, "999 MiB"),
            (1_048_051_712, "0.98 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, text) in table {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_share_is_whole_unless_it_is_less_than_one() {
        let table = [(0.0, "0%"), (0.4, "0.4%"), (0.97, "1%"), (7.4, "7%"), (250.0, "250%")];
        for (percent, text) in table {
            assert_eq!(share(percent), text);
        }
    }

    #[test]
    fn spans_have_two_units() {
        let table = [
            (812, "812ms"),
            (41_999, "41s"),
            (190_000, "3m 10s"),
            (33_120_000, "9h 12m"),
            (187_200_000, "2d 4h"),
        ];
        for (ms, text) in table {
            assert_eq!(span(ms), text);
        }
        assert_eq!((seconds(999), seconds(1_999)), ("0s".into(), "1s".into()));
        assert_eq!(ago(33_120_000), "9h");
        assert_eq!(waited(412), "0.4s");
        assert_eq!(waited(190_000), "3m 10s");
        assert_eq!(count(1, "app"), "1 app");
    }
}
