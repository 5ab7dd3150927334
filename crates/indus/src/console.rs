//! What people see: lines and progress on standard output, errors on standard error.
//!
//! On a terminal the progress of one activity is one line that changes; elsewhere it is a line at each tenth.
//! A reader that went away is no reason to stop: errors of writing are ignored.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// Standard output and standard error of the command.
pub(crate) struct Console {
    terminal: bool,
    progress: Option<Progress>,
}

struct Progress {
    activity: String,
    done: usize,
    total: usize,
}

impl Console {
    pub(crate) fn new() -> Self {
        Self {
            terminal: io::stdout().is_terminal(),
            progress: None,
        }
    }

    /// One line on standard output.
    pub(crate) fn line(&mut self, line: impl Display) {
        self.end_progress();
        write(&mut io::stdout().lock(), format_args!("{line}\n"));
    }

    /// One line on standard error, after the name of the command.
    pub(crate) fn error(&mut self, line: impl Display) {
        self.end_progress();
        write(&mut io::stderr().lock(), format_args!("indus: {line}\n"));
    }

    /// Begins an activity of `total` steps.
    pub(crate) fn begin(&mut self, activity: &str, total: usize) {
        self.end_progress();
        self.progress = Some(Progress {
            activity: activity.into(),
            done: 0,
            total,
        });
        self.show(true);
    }

    /// One step of the activity is done.
    pub(crate) fn step(&mut self) {
        let Some(progress) = &mut self.progress else {
            return;
        };
        let tenths = |done: usize| done * 10 / progress.total.max(1);
        let tenth_begins = tenths(progress.done) != tenths(progress.done + 1);
        progress.done += 1;
        self.show(tenth_begins);
    }

    fn show(&self, tenth_begins: bool) {
        let Some(Progress {
            activity,
            done,
            total,
        }) = &self.progress
        else {
            return;
        };
        if self.terminal {
            write(
                &mut io::stdout().lock(),
                format_args!("\r\x1b[K{activity}: {done} of {total}"),
            );
        } else if tenth_begins {
            write(
                &mut io::stdout().lock(),
                format_args!("{activity}: {done} of {total}\n"),
            );
        }
    }

    /// Ends the changing line, so that what comes next gets its own.
    fn end_progress(&mut self) {
        if self.progress.take().is_some() && self.terminal {
            write(&mut io::stdout().lock(), format_args!("\n"));
        }
    }
}

fn write(to: &mut impl Write, text: std::fmt::Arguments<'_>) {
    let _ = to.write_fmt(text).and_then(|()| to.flush());
}
