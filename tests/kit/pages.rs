//! Pages over HTTP: gateways accept them, with the subnet's certificate.

use std::time::Duration;

use candid::{Encode, Principal, decode_one};
use ic_response_verification::verify_request_response_pair;
use indus_kit::http::{HttpRequest, HttpResponse};
use sample::interface::Wait;

use crate::desks::{CONTROLLER, Desks, note, person};

const FIVE_MINUTES_NS: u128 = 300_000_000_000;

/// The status and body that a gateway takes.
fn accepted(desks: &Desks, url: &str) -> (u16, String) {
    let request = HttpRequest::get(url).build();
    let response = answer(desks, &request);
    let verified = verify_request_response_pair(
        request,
        response,
        desks.desk.as_slice(),
        desks.now_ns().into(),
        FIVE_MINUTES_NS,
        &desks.root_key,
        2,
    )
    .unwrap();
    let response = verified.response.expect("certified");
    let body = String::from_utf8(response.body).unwrap();
    (response.status_code.unwrap(), body)
}

fn answer(desks: &Desks, request: &HttpRequest<'_>) -> HttpResponse<'static> {
    let argument = Encode!(request).unwrap();
    let reply = desks
        .pic
        .query_call(desks.desk, Principal::anonymous(), "http_request", argument)
        .unwrap();
    decode_one(&reply).unwrap()
}

fn metric(page: &str, name: &str) -> u64 {
    let line = page.lines().find(|line| line.starts_with(name)).unwrap();
    line[name.len()..].trim().parse().unwrap()
}

#[test]
fn gateways_accept_the_pages_from_the_first_rounds_on() {
    let desks = Desks::new();
    let (status, body) = accepted(&desks, "/");
    assert!(status == 200 && body.contains("<h1>sample</h1>"), "{body}");
    let (status, body) = accepted(&desks, "/metrics");
    assert_eq!((status, metric(&body, "indus_log_blocks ")), (200, 1));
    assert_eq!(accepted(&desks, "/nothing").0, 404);
}

#[test]
fn pages_are_rendered_anew_each_minute_and_stay_certified_in_between() {
    let desks = Desks::new();
    let args = note("mine", Wait::Suite);
    desks.write(person(1), "post_note", &args).unwrap().unwrap();
    // The certified state has changed since the page was rendered.
    let (_, before) = accepted(&desks, "/metrics");
    assert_eq!(metric(&before, "indus_log_blocks "), 1);
    desks.pass(Duration::from_secs(60));
    let (_, after) = accepted(&desks, "/metrics");
    assert_eq!(
        metric(&after, "indus_log_blocks "),
        desks.service_info(desks.desk).blocks
    );
    assert_eq!(metric(&after, "indus_records{collection=\"notes\"} "), 1);
    assert_eq!(metric(&after, "indus_pending_operations "), 0);
    let rendered = "indus_rendered_timestamp_seconds ";
    assert!(metric(&after, rendered) >= metric(&before, rendered) + 60);
}

#[test]
fn after_an_upgrade_pages_come_back_when_it_is_confirmed() {
    let desks = Desks::new();
    desks.upgrade(false).unwrap();
    let request = HttpRequest::get("/").build();
    assert_eq!(answer(&desks, &request).status_code().as_u16(), 503);
    desks.confirm(CONTROLLER).unwrap();
    desks.pass(Duration::from_secs(60));
    assert_eq!(accepted(&desks, "/").0, 200);
}
