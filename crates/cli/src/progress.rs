//! One line on the terminal that says how far a long statement has come.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use lookalike::{ProgressSink, Training};

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
    /// What the last epoch of a training was like.
    epoch: String,
}

impl ProgressLine {
    /// A line, or nothing at all where nobody would see it.
    pub fn new(visible: bool) -> Self {
        let line = || Arc::new(Mutex::new(Line { next: Instant::now() + QUIET_TIME, width: 0, epoch: String::new() }));
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
            let mut text = text(phase, done, total);
            if phase == "training" {
                text.push_str(&line.epoch);
            }
            let width = text.chars().count();
            draw(&format!("\r{text:<pad$}", pad = line.width.max(width)));
            line.width = width;
        });
    }

    fn training(&self, state: &Training) {
        self.with(|line| line.epoch = epoch(state));
    }

    /// Shown even where the line is not.
    fn warn(&self, message: &str) {
        self.clear();
        draw(&format!("warning: {message}\n"));
    }

    fn finish(&self) {
        self.clear();
        self.with(|line| line.epoch.clear());
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

fn epoch(state: &Training) -> String {
    let Training { epoch, epochs, loss, held_out, rows_per_second, seconds_left } = state;
    let held_out = if held_out.is_nan() { String::new() } else { format!(", held out {held_out:.4}") };
    format!(
        "; epoch {epoch} of {epochs}: loss {loss:.4}{held_out}, {rows_per_second:.0} rows/s, {seconds_left:.0} s left"
    )
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
    fn the_last_epoch_stands_beside_the_training() {
        let state = Training {
            epoch: 3,
            epochs: 10,
            loss: 1.25,
            held_out: f64::NAN,
            rows_per_second: 80_000.4,
            seconds_left: 12.3,
        };
        assert_eq!(epoch(&state), "; epoch 3 of 10: loss 1.2500, 80000 rows/s, 12 s left");
        assert!(epoch(&Training { held_out: 2.0, ..state }).contains("loss 1.2500, held out 2.0000, "));
    }

    #[test]
    fn a_short_phase_draws_nothing() {
        let line = ProgressLine::new(true);
        line.update("fit", 1, 2);
        line.with(|line| assert_eq!(line.width, 0));
    }
}
