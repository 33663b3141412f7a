//! Where output goes, in which form, and how much of it is kept.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::size::Size;
use crate::span::Span;

/// Where output goes, in which form, and how much of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogFiles {
    /// `out_file`; default `$NEXUS_HOME/logs/<app>-out.log`.
    pub out_file: Option<PathBuf>,
    /// `error_file`; default `$NEXUS_HOME/logs/<app>-error.log`.
    pub error_file: Option<PathBuf>,
    /// `merge_logs`: all instances write into one file; default false.
    pub merge_logs: bool,
    /// `log.max_size`: a file of this size is rotated; default 10 M; `None` = whatever its size.
    pub max_size: Option<Size>,
    /// `log.max_age`: a file that was begun this long ago is rotated; default none.
    pub max_age: Option<Span>,
    /// `log.keep`: rotated files of one log that are kept; default 30.
    pub keep: u32,
    /// `log.total`: bytes of all files of an app together, rotated ones included; the oldest go
    /// first; default 500 M; `None` = whatever they are.
    pub total: Option<Size>,
    /// `log.compress`: whether rotated files are compressed; default true.
    pub compress: bool,
    /// `log.rate`: lines a second of one worker's stream that are kept, the rest is counted;
    /// default none.
    pub rate: Option<u32>,
    /// `log.on_full`: what happens to lines while the disk takes none; default they wait.
    pub on_full: OnFull,
    /// `log.format`, also written `log_type`; default raw.
    pub format: LogFormat,
    /// `log_date_format`, in day.js's letters: a stamp before each line; `time = true` is
    /// [`LogFiles::TIME`]; default none.
    pub date_format: Option<String>,
}

/// What a line of a log file looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// What the app wrote, byte for byte.
    #[default]
    Raw,
    /// One JSON object a line.
    Json,
}

/// What happens to lines while the file takes none: the disk is full, or broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFull {
    /// They wait in the pipe; when that is full, their writer waits.
    #[default]
    Wait,
    /// They are left out and counted; their writer never waits.
    Drop,
}

impl LogFiles {
    /// Where output goes that nobody wants: workers write there themselves.
    pub const NOWHERE: &'static str = "/dev/null";

    /// The `log_date_format` of `time = true`.
    pub const TIME: &'static str = "YYYY-MM-DDTHH:mm:ss";

    /// How many of the two streams are kept.
    pub fn kept(&self) -> usize {
        let files = [&self.out_file, &self.error_file].into_iter();
        files.filter(|file| file.as_deref() != Some(Path::new(LogFiles::NOWHERE))).count()
    }
}

impl Default for LogFiles {
    fn default() -> LogFiles {
        LogFiles {
            out_file: None,
            error_file: None,
            merge_logs: false,
            max_size: Some(Size(10 << 20)),
            max_age: None,
            keep: 30,
            total: Some(Size(500 << 20)),
            compress: true,
            rate: None,
            on_full: OnFull::Wait,
            format: LogFormat::Raw,
            date_format: None,
        }
    }
}
