//! One line on the terminal that says how far a long statement has come.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use lookalike::ProgressSink;

/// Work shorter than this shows no line.
const QUIET_TIME: Duration = Duration::from_millis(500);
/// At most ten lines a second.
const PAUSE: Duration = Duration::from_millis(100);

/// A line that overwrites itself on stderr. Clones share the line.
#[derive(Debug, Clone)]
pub struct ProgressLine {
    line: Option<Arc<Mutex<Line>>>,
}

#[derive(Debug)]
struct Line {
    next: Instant,
    width: usize,
}

impl ProgressLine {
    /// A line, or nothing at all where nobody would see it.
    pub fn new(visible: bool) -> Self {
        let line = || Arc::new(Mutex::new(Line { next: Instant::now() + QUIET_TIME, width: 0 }));
        Self { line: visible.then(line) }
    }

    /// Starts the time during which nothing is shown anew.
    pub fn restart(&self) {
        self.with(|line| line.next = Instant::now() + QUIET_TIME);
    }

    /// Takes the line away so that something else can be printed.
    pub fn clear(&self) {
        self.with(|line| {
            if line.width > 0 {
                draw(&format!("\r{:width$}\r", "", width = line.width));
                line.width = 0;
            }
        });
    }

    fn with(&self, change: impl FnOnce(&mut Line)) {
        if let Some(line) = &self.line {
            change(&mut line.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl ProgressSink for ProgressLine {
    fn update(&self, phase: &str, done: u64, total: u64) {
        self.with(|line| {
            let now = Instant::now();
            if now < line.next {
                return;
            }
            line.next = now + PAUSE;
            let text = text(phase, done, total);
            let width = text.chars().count();
            draw(&format!("\r{text:<pad$}", pad = line.width.max(width)));
            line.width = width;
        });
    }

    /// Shown even where the line is not.
    fn warn(&self, message: &str) {
        self.clear();
        draw(&format!("warning: {message}\n"));
    }

    fn finish(&self) {
        self.clear();
    }
}

/// Progress is a courtesy: a terminal that is gone is no reason to stop.
fn draw(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

fn text(phase: &str, done: u64, total: u64) -> String {
    match total {
        0 => format!("{phase}: {done}"),
        _ => format!("{phase}: {:.0} % ({done} of {total})", 100.0 * done.min(total) as f64 / total as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_phase_share_and_counts() {
        assert_eq!(text("compare", 1, 4), "compare: 25 % (1 of 4)");
        assert_eq!(text("compare", 5, 4), "compare: 100 % (5 of 4)");
        assert_eq!(text("read", 7, 0), "read: 7");
    }

    #[test]
    fn a_short_phase_draws_nothing() {
        let line = ProgressLine::new(true);
        line.update("fit", 1, 2);
        line.with(|line| assert_eq!(line.width, 0));
    }
}
