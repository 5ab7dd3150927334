//! A seat's life, across each of its dates.

use indus_api::{
    Error,
    licences::{NoticeCause, RenewArgs, Seat, SeatArgs, SeatState},
    paging::PageArgs,
};
use license_manager::{seats, step};

use crate::setting::{
    DAY, HOLDER, OFFICE, QUEUE, Setting, commitment, conflict, invalid_field, seat_args,
};

fn seat(s: &Setting) -> Option<Seat> {
    let all = PageArgs {
        after: None,
        limit: 100,
    };
    let mut seats = seats::list(&s.state, all).unwrap().items;
    assert!(seats.len() < 2);
    seats.pop()
}

fn renew(s: &mut Setting, seat: &Seat, expires_at_ns: u64) -> Result<Seat, Error> {
    let args = RenewArgs {
        seat: seat.seat,
        application: seat.application,
        expires_at_ns,
    };
    s.call(OFFICE, |state, context, subject| {
        seats::renew(state, context, subject, args)
    })
}

/// Goes to a time: the next message, or tick, is at it.
fn go(s: &mut Setting, time_ns: u64) {
    s.time_ns = time_ns - 1;
}

fn tick_at(s: &mut Setting, time_ns: u64) {
    s.time_ns = time_ns;
    s.tick();
}

#[test]
fn a_grant_can_be_claimed_until_its_deadline_and_lapses_at_it() {
    let mut s = Setting::new();
    let id = s.ranked(QUEUE, &[(HOLDER, 50)])[0];
    let granted = s.grant(id).unwrap();
    let SeatState::Granted { claim_by_ns } = granted.state else {
        panic!("{granted:?}");
    };
    assert_eq!(claim_by_ns, s.time_ns + 14 * DAY);
    tick_at(&mut s, claim_by_ns - 1);
    assert!(seat(&s).is_some());
    // Past the deadline it is too late, even before the timer has been there.
    go(&mut s, claim_by_ns);
    assert_eq!(s.claim(HOLDER, 1), Err(Error::Expired));
    tick_at(&mut s, claim_by_ns);
    assert_eq!(seat(&s), None);
    assert_eq!(s.audit().last().unwrap(), step::LAPSED);
}

#[test]
fn a_grant_is_claimed_in_the_last_moment() {
    let mut s = Setting::new();
    let id = s.ranked(QUEUE, &[(HOLDER, 50)])[0];
    let granted = s.grant(id).unwrap();
    go(&mut s, granted.ends_at_ns() - 1);
    let claimed = s.claim(HOLDER, 1).unwrap();
    let licence = claimed.licence().unwrap();
    assert_eq!(licence.claimed_at_ns, s.time_ns);
    assert_eq!(licence.expires_at_ns, s.time_ns + 365 * DAY);
    assert_eq!(licence.idle_at_ns, s.time_ns + 45 * DAY);
    tick_at(&mut s, granted.ends_at_ns());
    assert_eq!(seat(&s), Some(claimed));
}

#[test]
fn an_idle_holder_gets_a_notice_which_a_check_in_takes_back() {
    let mut s = Setting::new();
    let active = s.active();
    let idle_at = active.licence().unwrap().idle_at_ns;
    tick_at(&mut s, idle_at - 1);
    assert_eq!(seat(&s), Some(active));
    tick_at(&mut s, idle_at);
    let noticed = seat(&s).unwrap();
    let notice = noticed.licence().unwrap().notice.clone().unwrap();
    assert_eq!(notice.cause, NoticeCause::Idle);
    assert_eq!(notice.reclaim_at_ns, idle_at + 14 * DAY);
    assert!(noticed.is_valid_at(notice.reclaim_at_ns - 1));
    assert!(!noticed.is_valid_at(notice.reclaim_at_ns));
    go(&mut s, notice.reclaim_at_ns - 1);
    let back = s.check_in(HOLDER, 1).unwrap();
    let licence = back.licence().unwrap();
    assert_eq!(licence.notice, None);
    assert_eq!(licence.idle_at_ns, s.time_ns + 45 * DAY);
    tick_at(&mut s, notice.reclaim_at_ns);
    assert_eq!(seat(&s), Some(back));
}

#[test]
fn an_idle_seat_is_reclaimed_when_the_notice_is_over() {
    let mut s = Setting::new();
    let idle_at = s.active().licence().unwrap().idle_at_ns;
    tick_at(&mut s, idle_at);
    let end = seat(&s).unwrap().ends_at_ns();
    tick_at(&mut s, end - 1);
    assert!(seat(&s).is_some());
    go(&mut s, end);
    assert_eq!(s.check_in(HOLDER, 1), Err(Error::Expired));
    tick_at(&mut s, end);
    assert_eq!(seat(&s), None);
    assert_eq!(s.audit().last().unwrap(), step::RECLAIMED);
    // and may be applied for again
    s.open_round();
    s.apply(HOLDER, QUEUE).unwrap();
}

#[test]
fn check_ins_that_follow_each_other_soon_do_not_fill_the_log() {
    let mut s = Setting::new();
    let active = s.active();
    let blocks = s.blocks();
    let claimed_at = active.licence().unwrap().last_active_ns;
    go(&mut s, claimed_at + DAY - 1);
    assert_eq!(s.check_in(HOLDER, 1), Ok(active));
    assert_eq!(s.blocks(), blocks);
    go(&mut s, claimed_at + DAY);
    let checked = s.check_in(HOLDER, 1).unwrap();
    assert_eq!(checked.licence().unwrap().last_active_ns, s.time_ns);
    assert_eq!(s.blocks(), blocks + 1);
}

#[test]
fn a_licence_expires_though_its_holder_checks_in() {
    let mut s = Setting::new();
    let active = s.active();
    let expires_at = active.licence().unwrap().expires_at_ns;
    while s.time_ns + 40 * DAY < expires_at {
        s.time_ns += 40 * DAY;
        s.check_in(HOLDER, 1).unwrap();
        s.tick();
    }
    tick_at(&mut s, expires_at - 1);
    let last = seat(&s).unwrap();
    assert!(last.is_valid_at(expires_at - 1) && !last.is_valid_at(expires_at));
    tick_at(&mut s, expires_at);
    assert_eq!(seat(&s), None);
    assert_eq!(s.audit().last().unwrap(), step::EXPIRED);
}

#[test]
fn a_licence_is_renewed_by_a_term_from_now_at_most() {
    let mut s = Setting::new();
    let active = s.active();
    let expires_at = active.licence().unwrap().expires_at_ns;
    s.time_ns += DAY;
    let latest = s.time_ns + 365 * DAY;
    let (early, late) = (expires_at - 1, latest + 10);
    for time in [early, late] {
        assert_eq!(invalid_field(renew(&mut s, &active, time)), "expires_at_ns");
    }
    let renewed = renew(&mut s, &active, latest).unwrap();
    assert_eq!(renewed.licence().unwrap().expires_at_ns, latest);
    let blocks = s.blocks();
    assert_eq!(renew(&mut s, &active, latest), Ok(renewed));
    assert_eq!(s.blocks(), blocks);
}

#[test]
fn a_suspended_licence_is_not_valid_until_it_is_reinstated() {
    let mut s = Setting::new();
    let active = s.active();
    let suspended = s.suspend(&active, 1).unwrap();
    assert!(!suspended.is_valid_at(s.time_ns));
    assert_eq!(s.suspend(&active, 1), Ok(suspended));
    assert_eq!(conflict(s.suspend(&active, 2)), "the seat is suspended");
    assert_eq!(conflict(s.claim(HOLDER, 1)), "the seat is suspended");
    assert_eq!(conflict(s.check_in(HOLDER, 1)), "the seat is suspended");
    // nobody is idle while suspended
    let idle_at = active.licence().unwrap().idle_at_ns;
    tick_at(&mut s, idle_at + DAY);
    assert_eq!(seat(&s).unwrap().licence().unwrap().notice, None);
    let back = s.reinstate(&active).unwrap();
    assert!(back.is_valid_at(s.time_ns));
    assert_eq!(back.licence().unwrap().idle_at_ns, s.time_ns + 45 * DAY);
    assert_eq!(s.reinstate(&active), Ok(back));
}

#[test]
fn a_suspended_licence_expires_too() {
    let mut s = Setting::new();
    let active = s.active();
    s.suspend(&active, 1).unwrap();
    tick_at(&mut s, active.licence().unwrap().expires_at_ns);
    assert_eq!(seat(&s), None);
    s.audit();
}

#[test]
fn a_decided_notice_stays_over_check_ins_until_an_officer_takes_it_back() {
    let mut s = Setting::new();
    let active = s.active();
    let noticed = s.reclaim(&active, 1).unwrap();
    let end = noticed.ends_at_ns();
    assert_eq!(end, s.time_ns + 14 * DAY);
    assert_eq!(s.reclaim(&active, 1), Ok(noticed));
    assert_eq!(
        conflict(s.reclaim(&active, 2)),
        "a notice was given for another reason"
    );
    s.time_ns += 3 * DAY;
    assert_eq!(s.check_in(HOLDER, 1).unwrap().ends_at_ns(), end);
    assert!(s.reinstate(&active).unwrap().ends_at_ns() > end);
    tick_at(&mut s, end);
    assert!(seat(&s).is_some());
    let noticed = s.reclaim(&active, 2).unwrap();
    tick_at(&mut s, noticed.ends_at_ns());
    assert_eq!(seat(&s), None);
}

#[test]
fn a_decided_notice_gives_an_idle_holder_no_more_time() {
    let mut s = Setting::new();
    let active = s.active();
    let idle_at = active.licence().unwrap().idle_at_ns;
    tick_at(&mut s, idle_at);
    let end = seat(&s).unwrap().ends_at_ns();
    s.time_ns += 5 * DAY;
    assert_eq!(s.reclaim(&active, 1).unwrap().ends_at_ns(), end);
}

#[test]
fn a_decision_never_hits_the_next_holder() {
    let mut s = Setting::new();
    let active = s.active();
    let args = SeatArgs {
        application: active.application + 1,
        ..seat_args(&active, 1)
    };
    let stale = s.call(OFFICE, |state, context, subject| {
        seats::suspend(state, context, subject, args)
    });
    assert_eq!(conflict(stale), "the seat was granted for application 1");
}

#[test]
fn what_was_not_claimed_can_only_be_claimed() {
    let mut s = Setting::new();
    let id = s.ranked(QUEUE, &[(HOLDER, 50)])[0];
    let granted = s.grant(id).unwrap();
    let not_claimed = "the seat was not claimed";
    assert_eq!(conflict(s.check_in(HOLDER, 1)), not_claimed);
    assert_eq!(conflict(s.suspend(&granted, 1)), not_claimed);
    assert_eq!(conflict(s.reinstate(&granted)), not_claimed);
    assert_eq!(conflict(s.reclaim(&granted, 1)), not_claimed);
    let later = s.time_ns + DAY;
    assert_eq!(conflict(renew(&mut s, &granted, later)), not_claimed);
    s.claim(HOLDER, 1).unwrap();
    let reason = seat_args(&granted, 1).reason;
    assert_eq!(reason, commitment(1));
}
