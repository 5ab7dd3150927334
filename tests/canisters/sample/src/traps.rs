//! What this canister does because it was told to: trap, or answer in another way. In the heap: an upgrade makes it forget.

use std::cell::Cell;

use crate::interface::{Ending, Point};

thread_local! {
    static ARMED: Cell<Option<Point>> = const { Cell::new(None) };
    static ENDING: Cell<Ending> = const { Cell::new(Ending::Reply) };
}

/// From now on traps there, and nowhere else.
pub(crate) fn arm(point: Option<Point>) {
    ARMED.set(point);
}

/// Traps, if this is where.
pub(crate) fn at(point: Point) {
    if ARMED.get() == Some(point) {
        trap();
    }
}

/// Traps.
pub(crate) fn trap() -> ! {
    ic_cdk::api::trap("told to")
}

/// From now on stamps are answered that way.
pub(crate) fn end(ending: Ending) {
    ENDING.set(ending);
}

/// How stamps are answered.
pub(crate) fn ending() -> Ending {
    ENDING.get()
}
