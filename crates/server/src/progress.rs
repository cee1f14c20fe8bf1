//! How far a command is: a line on standard error, where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use offshoot_engine::{check, dump};

const OF_KNOWN_LENGTH: &str = "{msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
const OF_UNKNOWN_LENGTH: &str = "{msg} {spinner} {bytes}, {bytes_per_sec}";

/// Removes its line when dropped.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Of something that is so many bytes long, if that is known.
    pub(crate) fn new(what: &'static str, bytes: Option<u64>) -> Progress {
        let (bar, template) = match bytes {
            Some(bytes) => (ProgressBar::new(bytes), OF_KNOWN_LENGTH),
            None => (ProgressBar::new_spinner(), OF_UNKNOWN_LENGTH),
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Progress(bar.with_style(style).with_message(what))
    }

    /// Of a dump that is written or read.
    pub(crate) fn dump(&mut self, told: dump::Progress) {
        let what = match told.stage {
            dump::Stage::Dumping => "dumping",
            dump::Stage::Verifying => "verifying",
            _ => "loading",
        };
        if self.0.message() != what {
            self.0.set_message(what);
            self.0.reset_eta();
        }
        self.0.set_position(told.bytes);
    }

    /// Of a check.
    pub(crate) fn check(&mut self, told: check::Progress) {
        self.0.set_position(told.bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() -> Result<(), indicatif::style::TemplateError> {
        [OF_KNOWN_LENGTH, OF_UNKNOWN_LENGTH]
            .into_iter()
            .try_for_each(|text| ProgressStyle::with_template(text).map(drop))
    }
}
