//! The HTTP gateway: canisters as web sites, their responses verified.

use candid::Principal;
use end_to_end::pocket_ic;
use pocket_ic::{PocketIc, common::rest::InstanceHttpGatewayConfig};
use reqwest::{Url, blocking::Client};

use crate::{canisters::counter, site::site};

struct Live {
    pic: PocketIc,
    url: Url,
}

fn live() -> Live {
    let mut pic = pocket_ic()
        .with_nns_subnet()
        .with_application_subnet()
        .build();
    let url = pic.make_live(None);
    Live { pic, url }
}

/// Asks for a page of a canister: status, and text.
fn page(url: &Url, host: &str, path: &str) -> (u16, String) {
    let port = url.port().unwrap();
    let request = Client::new()
        .get(format!("http://127.0.0.1:{port}{path}"))
        .header("host", format!("{host}:{port}"));
    let response = request.send().unwrap();
    (response.status().as_u16(), response.text().unwrap())
}

#[test]
fn a_certified_page_is_shown_by_host_and_by_query() {
    let Live { pic, url } = live();
    let canister = site(&pic, true);
    let expected = (200, String::from("hello"));
    assert_eq!(page(&url, &format!("{canister}.localhost"), "/"), expected);
    assert_eq!(
        page(&url, "localhost", &format!("/?canisterId={canister}")),
        expected
    );
}

#[test]
fn a_page_that_is_not_certified_is_shown_at_a_raw_domain_alone() {
    let Live { pic, url } = live();
    let canister = site(&pic, false);
    let (status, text) = page(&url, &format!("{canister}.localhost"), "/");
    assert_eq!(status, 500);
    assert!(text.contains("verification failed"), "{text}");
    let raw = page(&url, &format!("{canister}.raw.localhost"), "/");
    assert_eq!(raw, (200, String::from("hello")));
}

#[test]
fn what_is_no_site_is_refused_in_words() {
    let Live { pic, url } = live();
    let (status, text) = page(&url, "localhost", "/");
    assert_eq!(status, 400);
    assert!(text.contains("which canister"), "{text}");
    let counter = counter(&pic);
    let (status, text) = page(&url, &format!("{counter}.localhost"), "/");
    assert_eq!(status, 502);
    assert!(text.contains("http_request"), "{text}");
    let nobody = Principal::from_text("lqy7q-dh777-77777-aaaaq-cai").unwrap();
    let (status, _) = page(&url, &format!("{nobody}.localhost"), "/");
    assert_eq!(status, 404);
}

#[test]
fn the_gateway_passes_on_what_is_for_the_network() {
    let Live { pic, url } = live();
    let status = reqwest::blocking::get(url.join("api/v2/status").unwrap()).unwrap();
    assert!(status.status().is_success());
    let gateway = url.as_str().trim_end_matches('/').to_owned();
    let default = pocket_ic::get_default_effective_canister_id(gateway).unwrap();
    assert_eq!(
        pic.topology().get_subnet(default),
        Some(pic.topology().get_app_subnets()[0])
    );
}

#[test]
fn a_gateway_comes_with_an_instance_and_listens_for_the_domains_it_is_told() {
    let config = InstanceHttpGatewayConfig {
        ip_addr: Some(String::from("127.0.0.1")),
        port: None,
        domains: Some(vec![String::from("agency.example")]),
        https_config: None,
        domain_custom_provider_local_file: None,
    };
    let pic = pocket_ic()
        .with_nns_subnet()
        .with_application_subnet()
        .with_auto_progress()
        .with_http_gateway(config)
        .build();
    let canister = site(&pic, true);
    let url = pic.url().unwrap();
    let shown = page(&url, &format!("{canister}.agency.example"), "/");
    assert_eq!(shown, (200, String::from("hello")));
    assert_eq!(page(&url, &format!("{canister}.localhost"), "/").0, 400);

    let list = pic.get_server_url().join("http_gateway").unwrap();
    let gateways: serde_json::Value = reqwest::blocking::get(list).unwrap().json().unwrap();
    assert_eq!(gateways[0]["domains"][0], "agency.example");
    drop(pic);
    // It goes with its instance.
    assert!(reqwest::blocking::get(url).is_err());
}

#[test]
#[should_panic(expected = "https_config is not supported")]
fn a_gateway_with_a_certificate_is_refused_in_words() {
    let mut pic = pocket_ic().with_nns_subnet().build();
    let https = pocket_ic::common::rest::HttpsConfig {
        cert_path: String::from("/cert"),
        key_path: String::from("/key"),
    };
    pic.make_live_with_params(None, None, None, Some(https));
}
