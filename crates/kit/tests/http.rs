//! Gateways accept every response of a site, and no other one: `ic-response-verification`, which they run, is the judge. The
//! network that certifies has a BLS key of its own.

#![allow(clippy::unwrap_used)]

use candid::{Encode, Principal};
use ic_certification::hash_tree::{fork_hash, labeled_hash, leaf_hash};
use ic_http_certification::{CERTIFICATE_HEADER_NAME, HttpRequest, HttpResponse};
use ic_response_verification::verify_request_response_pair;
use indus_kit::{
    arguments,
    http::{LABEL, Page, Site, Status, status::Metric},
};
use proptest::prelude::*;
use testnet::Subnet;

const NOW: u64 = 1_700_000_000_000_000_000;
const FIVE_MINUTES_NS: u128 = 300_000_000_000;
const SUBNET: Subnet = Subnet::new(7);
/// Tag 55799.
const SELF_DESCRIBED: [u8; 3] = [0xd9, 0xd9, 0xf7];

fn canister() -> Principal {
    Principal::from_slice(&[0, 0, 0, 0, 0, 0x10, 0, 7, 1, 1])
}

fn site() -> Site {
    let status = Status {
        name: "registry",
        about: "Who and what is on the subnet",
        time_ns: NOW,
        facts: vec![("Version", "0.1.0".into())],
        metrics: vec![Metric::gauge("indus_organisations", "Organisations", 12)],
    };
    Site::render(NOW, status.pages()).unwrap()
}

/// The canister's tree: `data` with something pruned, beside the site's subtree.
fn whole_tree(subtree: &[u8]) -> Vec<u8> {
    let bytes = |content: &[u8]| {
        let head = 0x40 | u8::try_from(content.len()).unwrap();
        [&[head], content].concat()
    };
    [
        &SELF_DESCRIBED[..],
        &[0x83, 1, 0x83, 2],
        &bytes(b"data"),
        &[0x82, 4, 0x58, 32],
        &leaf_hash(b"everything else"),
        &[0x83, 2],
        &bytes(LABEL.as_bytes()),
        subtree,
    ]
    .concat()
}

fn root(site: &Site) -> [u8; 32] {
    fork_hash(
        &labeled_hash(b"data", &leaf_hash(b"everything else")),
        &labeled_hash(LABEL.as_bytes(), &site.root_hash()),
    )
}

fn certificate(certified_data: [u8; 32]) -> Vec<u8> {
    SUBNET.certificate(canister(), certified_data, NOW)
}

fn answer(site: &Site, url: &str) -> HttpResponse<'static> {
    let request = HttpRequest::get(url).build();
    site.respond(&request, Some(&certificate(root(site))), whole_tree)
}

/// The status and body that a gateway takes, if it takes any.
fn accepted(url: &str, response: &HttpResponse<'_>) -> Result<(u16, Vec<u8>), String> {
    let verified = verify_request_response_pair(
        HttpRequest::get(url).build(),
        response.clone(),
        canister().as_slice(),
        NOW.into(),
        FIVE_MINUTES_NS,
        &SUBNET.root_key_der(),
        2,
    )
    .map_err(|error| error.to_string())?;
    let response = verified.response.expect("a certified response");
    let status = response.status_code.expect("a certified status");
    Ok((status, response.body))
}

#[test]
fn pages_and_their_absence_are_accepted() {
    let site = site();
    for (url, status) in [
        ("/", 200),
        ("/?a=b", 200),
        ("/metrics", 200),
        ("/%6detrics?x", 200),
        ("//", 200),
        ("//metrics", 200),
        ("/%2fmetrics", 200),
        ("/metrics/", 404),
        ("/metrics//", 404),
        ("/metrics/x", 404),
        ("/Metrics", 404),
        ("/index.html", 404),
        ("/a/b/c/d/e?f=g", 404),
        ("/%D9%BE", 404),
    ] {
        let response = answer(&site, url);
        let body = response.body().to_vec();
        assert_eq!(accepted(url, &response), Ok((status, body)), "{url}");
    }
    let metrics = answer(&site, "/metrics");
    assert!(metrics.body().starts_with(b"# HELP indus_organisations"));
}

#[test]
fn every_header_is_certified_and_none_can_be_left_out() {
    let site = site();
    let response = answer(&site, "/");
    let headers = response.headers().to_vec();
    for name in [
        "content-security-policy",
        "x-content-type-options",
        "referrer-policy",
    ] {
        assert!(headers.iter().any(|(header, _)| header == name), "{name}");
    }
    for (n, (name, _)) in headers.iter().enumerate() {
        let mut without = headers.clone();
        without.remove(n);
        let mut changed = headers.clone();
        changed[n].1.insert(0, 'x');
        for headers in [without, changed] {
            let forged = HttpResponse::builder()
                .with_status_code(response.status_code())
                .with_headers(headers)
                .with_body(response.body().to_vec())
                .build();
            assert!(accepted("/", &forged).is_err(), "{name}");
        }
    }
}

#[test]
fn a_page_stands_for_its_own_path_only_and_a_404_for_no_page() {
    let site = site();
    for (asked, answered) in [
        ("/", "/metrics"),
        ("/metrics", "/"),
        ("/", "/other"),
        ("/metrics", "/other"),
        ("/other", "/"),
        ("/other", "/metrics"),
    ] {
        let response = answer(&site, answered);
        assert!(accepted(asked, &response).is_err(), "{asked} {answered}");
    }
}

#[test]
fn a_forged_body_status_or_certificate_is_refused() {
    let site = site();
    let response = answer(&site, "/");
    let forged = |status: u16, body: Vec<u8>| {
        HttpResponse::builder()
            .with_status_code(status.try_into().unwrap())
            .with_headers(response.headers().to_vec())
            .with_body(body)
            .build()
    };
    let body = response.body().to_vec();
    assert!(accepted("/", &forged(200, body.clone())).is_ok());
    assert!(accepted("/", &forged(201, body.clone())).is_err());
    assert!(accepted("/", &forged(200, [body, vec![b' ']].concat())).is_err());

    let request = HttpRequest::get("/").build();
    let other = certificate([1; 32]);
    let response = site.respond(&request, Some(&other), whole_tree);
    assert!(accepted("/", &response).is_err());
}

#[test]
fn without_a_certificate_the_page_comes_without_its_proof() {
    let request = HttpRequest::get("/").build();
    let response = site().respond(&request, None, |_| panic!("nothing to prove"));
    assert_eq!(response.body(), answer(&site(), "/").body());
    let is_proof = |header: &(String, String)| header.0 == CERTIFICATE_HEADER_NAME;
    assert!(!response.headers().iter().any(is_proof));
}

#[test]
fn requests_of_gateways_are_decoded_within_the_bounds_of_arguments() {
    let headers = (0..50).map(|n| (format!("x-header-{n}"), "v".repeat(200)));
    let request = HttpRequest::get("/metrics")
        .with_headers(headers.collect())
        .build();
    let bytes = Encode!(&request).unwrap();
    assert_eq!(arguments::decode(&bytes), Ok(request));
}

#[test]
fn a_new_rendering_has_a_new_root() {
    let page = |body: &str| Page {
        path: "/",
        content_type: "text/plain",
        body: body.into(),
    };
    let render = |body| Site::render(NOW, vec![page(body)]).unwrap().root_hash();
    assert_eq!(render("a"), render("a"));
    assert_ne!(render("a"), render("b"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_path_is_asked_for_the_answer_is_accepted(
        url in "(/|(/[a-z%.$*<>-]{0,6}){1,5})(\\?[a-z=]{0,5})?"
    ) {
        // a URL that a gateway can't parse never reaches a canister
        if HttpRequest::get(url.as_str()).build().get_path().is_ok() {
            let result = accepted(&url, &answer(&site(), &url));
            prop_assert!(result.is_ok(), "{} {:?}", url, result);
        }
    }
}
